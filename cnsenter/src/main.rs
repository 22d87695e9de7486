//! `cnsenter`: run a command in a container on this node.

use std::process::ExitCode;

fn main() -> ExitCode {
    cnsenter::run::main()
}
