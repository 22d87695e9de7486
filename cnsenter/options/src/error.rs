//! Options that have no meaning, or none together.

/// Why a run's options are refused.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum Error {
    /// `--namespaces` and `--no-*` leave nothing over.
    #[error(
        "no namespace is left to enter: the command would run on the node itself; leave a --no-* out"
    )]
    NoNamespace,
    /// Two cgroups at once.
    #[error(
        "--memory bounds a cgroup of the command's own: leave out --cgroup=target, or --memory"
    )]
    MemoryOfTarget,
    /// `-e` without a name.
    #[error("{0:?} is no variable; write NAME=VALUE, or NAME to pass the caller's on")]
    Env(String),
}
