//! `cnsenter`: run a command in a container on this node.

use std::process::ExitCode;

/// musl's own allocator maps and unmaps memory all the time, which costs a short run a tenth.
#[global_allocator]
static ALLOCATOR: dlmalloc::GlobalDlmalloc = dlmalloc::GlobalDlmalloc;

fn main() -> ExitCode {
    cnsenter::run::main()
}
