//! What is wrong with a value of the command line.

/// What is wrong with a value of the command line.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum Error {
    /// TYPE is none of ours.
    #[error(
        "{0:?} is no resource type whose pods kpexec finds; it is pod, deployment, replicaset, \
         statefulset, daemonset, job, cronjob, service or replicationcontroller"
    )]
    Kind(String),
    /// Not one slash.
    #[error("arguments in resource/name form may not have more than one slash")]
    Slashes,
    /// `TYPE/` or `/NAME`.
    #[error("arguments in resource/name form must have a single resource and name")]
    HalfNamed,
    /// What no object is called.
    #[error("invalid resource name {name:?}: [{why}]")]
    Name {
        /// It.
        name: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// `-e` without a name.
    #[error("{0:?} is no variable; write NAME=VALUE, or NAME to pass the caller's on")]
    Env(String),
}
