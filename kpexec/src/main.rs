//! `kpexec`: run a command in any pod's container.

use std::process::ExitCode;

fn main() -> ExitCode {
    kpexec::run::main()
}
