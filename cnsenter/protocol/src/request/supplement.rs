//! What a command line cannot or should not hold: the payload of a Request frame.

use sha2::{Digest, Sha256};

use crate::fields;

const ARGUMENT: u8 = 1;
const WORKDIR: u8 = 2;
const NAME: u8 = 3;
const VALUE: u8 = 4;
const USER: u8 = 5;
const GROUP: u8 = 6;

/// The parts of a request that a Request frame holds.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Supplement {
    /// The command, if any of it does not fit.
    pub(super) command: Option<Vec<Vec<u8>>>,
    /// The working directory, if it is not UTF-8.
    pub(super) workdir: Option<Vec<u8>>,
    /// The user, if a shell would change it.
    pub(super) user: Option<String>,
    /// All groups, if a shell would change one of them.
    pub(super) groups: Option<Vec<String>>,
    /// All variables.
    pub(super) env: Vec<(Vec<u8>, Vec<u8>)>,
}

impl Supplement {
    pub(super) fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        for argument in self.command.iter().flatten() {
            fields::put(&mut out, ARGUMENT, argument);
        }
        if let Some(workdir) = &self.workdir {
            fields::put(&mut out, WORKDIR, workdir);
        }
        if let Some(user) = &self.user {
            fields::put(&mut out, USER, user.as_bytes());
        }
        for group in self.groups.iter().flatten() {
            fields::put(&mut out, GROUP, group.as_bytes());
        }
        for (name, value) in &self.env {
            fields::put(&mut out, NAME, name);
            fields::put(&mut out, VALUE, value);
        }
        out
    }

    pub(super) fn decode(payload: &[u8]) -> Result<Self, fields::Error> {
        let mut read = Self::default();
        let mut name = None;
        for field in fields::fields(payload) {
            let (tag, value) = field?;
            let value = value.to_vec();
            let text =
                || String::from_utf8(value.clone()).map_err(|_| fields::Error::BadValue(tag));
            match tag {
                ARGUMENT => read.command.get_or_insert_default().push(value),
                WORKDIR if read.workdir.is_none() => read.workdir = Some(value),
                USER if read.user.is_none() => read.user = Some(text()?),
                GROUP => read.groups.get_or_insert_default().push(text()?),
                NAME if name.is_none() => name = Some(value),
                VALUE => {
                    let name = name.take().ok_or(fields::Error::Missing(NAME))?;
                    read.env.push((name, value));
                }
                WORKDIR | NAME | USER => return Err(fields::Error::BadValue(tag)),
                _ => {}
            }
        }
        match name {
            Some(_) => Err(fields::Error::Missing(VALUE)),
            None => Ok(read),
        }
    }
}

/// SHA-256, in hexadecimal digits.
pub(super) fn sum(payload: &[u8]) -> String {
    let digest = Sha256::digest(payload);
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}
