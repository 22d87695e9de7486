//! `kpexec`: run a command in any pod's container.

use std::process::ExitCode;

/// musl's own gives each large buffer back to the kernel, which then has to clear it anew.
#[cfg(target_env = "musl")]
#[global_allocator]
static ALLOCATOR: dlmalloc::GlobalDlmalloc = dlmalloc::GlobalDlmalloc;

fn main() -> ExitCode {
    kpexec::run::main()
}
