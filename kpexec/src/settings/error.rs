//! What is wrong with the configuration file, or with a variable of the environment.

use std::io;
use std::path::PathBuf;

/// What is wrong with the configuration file, or with a variable of the environment.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It is there, but cannot be read.
    #[error("cannot read the configuration file {}", path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It is no TOML.
    #[error("{place}: {message}")]
    Syntax {
        /// File and line.
        place: String,
        /// What is wrong.
        message: String,
    },
    /// A setting that there is not.
    #[error(
        "{place}: there is no setting {name:?}{}",
        nearest.map_or(String::new(), |name| format!("; did you mean {name}?"))
    )]
    Unknown {
        /// File and line.
        place: String,
        /// Its name.
        name: String,
        /// The one that is most like it.
        nearest: Option<&'static str>,
    },
    /// A value that has another form.
    #[error("{place}: {name} is {found}; write {}", example)]
    Form {
        /// File and line.
        place: String,
        /// Of what.
        name: &'static str,
        /// What it is.
        found: &'static str,
        /// How it is written.
        example: String,
    },
    /// A value that the flag would not have either.
    #[error("{place} cannot be {value:?}: {reason}")]
    Value {
        /// Where.
        place: String,
        /// It.
        value: String,
        /// What to write.
        reason: String,
    },
    /// A variable is not text.
    #[error("the environment's {0} is not UTF-8")]
    NotText(String),
}

impl Error {
    /// What to do.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        matches!(self, Self::Unknown { .. })
            .then(|| "kpexec config show --help lists all settings".to_owned())
    }
}
