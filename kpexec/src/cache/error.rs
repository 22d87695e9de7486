//! Why something is not remembered.

use std::io;
use std::path::PathBuf;

/// Why something is not remembered.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file or folder.
    #[error("cannot {what} {}", path.display())]
    Io {
        /// Doing what.
        what: &'static str,
        /// To which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Others could have written what is in it.
    #[error("{} is not believed: {reason}", path.display())]
    Foreign {
        /// Which.
        path: PathBuf,
        /// Why.
        reason: &'static str,
    },
    /// It grew beyond all measure: that was not us.
    #[error("{} is not read: it is larger than {limit} bytes", path.display())]
    Large {
        /// Which.
        path: PathBuf,
        /// How large it may be.
        limit: u64,
    },
}

impl Error {
    /// For a step that failed.
    pub(super) fn io(what: &'static str, path: &std::path::Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { what, path, source }
    }
}
