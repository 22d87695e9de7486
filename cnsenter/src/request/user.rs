//! Who the command is to be.

use serde::{Deserialize, Serialize};

use super::Error;
use crate::escape::{escaped, escaped_start};

/// `-u USER[:GROUP]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UserSpec {
    /// The user.
    pub user: IdOrName,
    /// The group; None is the user's own in the container's /etc/passwd.
    pub group: Option<IdOrName>,
}

/// A number where it looks like one (CVE-2024-40635: never the name of another), else a name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum IdOrName {
    /// A uid or gid in the container's user namespace.
    Id(u32),
    /// A name from the container's /etc/passwd or /etc/group.
    Name(String),
}

impl IdOrName {
    /// Reads a uid, gid, user name or group name. A number always is an id, and one that is out
    /// of range an error: `4294967295` means "no change" to the kernel, and a larger one must not
    /// wrap around to 0 (CVE-2024-40635).
    ///
    /// # Errors
    /// [`Error::BadUser`].
    pub fn parse(text: &str) -> Result<Self, Error> {
        let bad = || Error::BadUser(escaped_start(text));
        let looks_numeric = |t: &str| {
            let digits = t.strip_prefix(['+', '-']).unwrap_or(t);
            !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit())
        };
        if looks_numeric(text) {
            return match text.parse::<u32>() {
                Ok(id) if id < u32::MAX && !text.starts_with('+') => Ok(Self::Id(id)),
                _ => Err(bad()),
            };
        }
        if text.is_empty() || text.contains([':', '\n', '\0', ',']) {
            return Err(bad());
        }
        Ok(Self::Name(text.to_owned()))
    }
}

impl std::fmt::Display for IdOrName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Id(id) => write!(f, "{id}"),
            Self::Name(name) => write!(f, "{}", escaped(name)),
        }
    }
}

impl UserSpec {
    /// Reads `UID[:GID]` or `NAME[:GROUP]`.
    ///
    /// # Errors
    /// [`Error::BadUser`].
    pub fn parse(text: &str) -> Result<Self, Error> {
        let (user, group) = match text.split_once(':') {
            Some((user, group)) => (user, Some(group)),
            None => (text, None),
        };
        let parts = || {
            Ok(Self {
                user: IdOrName::parse(user)?,
                group: group.map(IdOrName::parse).transpose()?,
            })
        };
        // Of one half alone nobody sees what is missing.
        parts().map_err(|_: Error| Error::BadUser(escaped_start(text)))
    }
}
