//! What is wrong with a value of the command line.

/// What is wrong with a value of the command line.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum Error {
    /// stdin cannot be two things.
    #[error("-f - reads the manifest from stdin, which -i gives to the command; name a file")]
    StdinTwice,
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
    /// What only the API server knows the pods of.
    #[error(
        "with --node a pod is named by its own name, and not by {0}: the API server is not asked; with \
         --ssh alone it is"
    )]
    NeedsApi(String),
    /// Two ways at once.
    #[error("--node is reached by SSH, and --ssh=never forbids that; leave one of them out")]
    NodeWithoutSsh,
    /// `--node HOST:PORT`.
    #[error("--node takes no port; name it with --ssh-port {port}")]
    NodePort {
        /// The port.
        port: u16,
    },
    /// Options that cnsenter has, too.
    #[error(transparent)]
    Options(#[from] cnsenter_options::Error),
}
