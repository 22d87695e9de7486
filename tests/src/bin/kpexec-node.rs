//! Plays the parts of a test node that are processes of their own; see `kpexec_tests::node`.

use std::process::ExitCode;

fn main() -> ExitCode {
    kpexec_tests::node::play(std::env::args_os().skip(1).collect())
}
