//! What is wrong with a request.

use crate::PROTOCOL;
use crate::fields;

/// Why a request cannot be put on a command line, or a command line is none.
#[derive(Debug, Clone, thiserror::Error, PartialEq, Eq)]
pub enum Error {
    /// Another version's.
    #[error("the request is of session protocol {0}; this is protocol {PROTOCOL}")]
    Protocol(String),
    /// The head is not complete.
    #[error(
        "the request names no {0}; it is session {PROTOCOL} NS/POD[,NS/POD...] PROFILE FLAGS -- COMMAND..."
    )]
    Missing(&'static str),
    /// A word before the command has no meaning.
    #[error("the request has the word {0:?}, which session protocol {PROTOCOL} does not know")]
    UnknownFlag(String),
    /// A flag occurs again.
    #[error("the request has the flag {0} more than once")]
    Repeated(&'static str),
    /// A value has no meaning, or is not spelled as it has to be.
    #[error("the request's {name} {value:?} is {why}")]
    BadValue {
        /// Which.
        name: &'static str,
        /// It.
        value: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// A list with one entry for each target has another number of them.
    #[error("the request's {0} has not one entry for each target")]
    Uneven(&'static str),
    /// The words are those of a request, but not the ones that it is written with.
    #[error("the request's word {0:?} is not spelled as session protocol {PROTOCOL} spells it")]
    Spelling(String),
    /// A word of the command line is not UTF-8.
    #[error("the request has a word that is not UTF-8")]
    NotUtf8,
    /// A word outside of the command that a shell would take for something else.
    #[error("the request's word {0:?} cannot be passed on through a shell")]
    NotPlain(String),
    /// A command, name or value that no program can be given.
    #[error("{0} holds a NUL byte")]
    Nul(&'static str),
    /// Even without the command.
    #[error(
        "the request takes {0} bytes as a URL spells them, which is too long: it has too many targets, or variables"
    )]
    TooLong(usize),
    /// The Request frame is longer than it may be.
    #[error("command and variables take {0} bytes, more than a process can be given")]
    TooMuch(usize),
    /// The words name a sum, but nothing came.
    #[error("the Request frame that the command line announces is missing")]
    NoSupplement,
    /// Nothing was announced.
    #[error("a Request frame with content came that the command line does not announce")]
    Unannounced,
    /// Somebody has changed it.
    #[error("the Request frame is not the one whose SHA-256 the command line names")]
    Sum,
    /// It names other variables, or another command, than the words do.
    #[error("the Request frame and the command line differ in {0}")]
    Differs(&'static str),
    /// It cannot be read.
    #[error("the Request frame cannot be read")]
    Supplement(#[from] fields::Error),
}

impl Error {
    pub(super) fn bad(name: &'static str, value: &str, why: &'static str) -> Self {
        Self::BadValue {
            name,
            value: value.to_owned(),
            why,
        }
    }
}
