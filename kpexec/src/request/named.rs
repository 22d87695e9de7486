//! POD or TYPE/NAME.

use std::fmt;

use super::Error;
use crate::target::{Pods, Type};

/// A pod, or what has pods.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Named {
    /// TYPE.
    pub kind: Type,
    /// NAME.
    pub name: String,
}

impl Named {
    /// Reads POD or TYPE/NAME.
    ///
    /// # Errors
    /// When it is neither.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let (kind, name) = match text.split_once('/') {
            None => ("pod", text),
            Some((_, name)) if name.contains('/') => return Err(Error::Slashes),
            Some((kind, name)) if kind.is_empty() || name.is_empty() => {
                return Err(Error::HalfNamed);
            }
            Some(parts) => parts,
        };
        Self::new(Type::parse(kind), name)
    }

    /// An object of this name.
    ///
    /// # Errors
    /// When none can have it.
    pub fn new(kind: Type, name: &str) -> Result<Self, Error> {
        // As the API server has it for parts of a path.
        let why = match name {
            "" => Some("may not be empty"),
            "." => Some("may not be '.'"),
            ".." => Some("may not be '..'"),
            _ => name.contains('%').then_some("may not contain '%'"),
        };
        let name = name.to_owned();
        match why {
            Some(why) => Err(Error::Name { name, why }),
            None => Ok(Self { kind, name }),
        }
    }
}

impl Named {
    /// Whether it is a pod itself.
    #[must_use]
    pub fn is_pod(&self) -> bool {
        matches!(&self.kind, Type::Known(kind) if kind.pods == Pods::Itself)
    }
}

impl fmt::Display for Named {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.is_pod() {
            true => f.write_str(&self.name),
            false => write!(f, "{}/{}", self.kind, self.name),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_are_read_as_kubectl_reads_them() {
        let named = |text| Named::parse(text).map(|n| (n.kind.to_string(), n.name));
        let pair = |kind: &str, name: &str| Ok((kind.to_owned(), name.to_owned()));
        assert_eq!(named("web-0"), pair("pod", "web-0"));
        assert_eq!(named("po/web-0"), pair("pod", "web-0"));
        assert_eq!(named("deploy/web"), pair("deployment", "web"));
        assert_eq!(named("ro.argoproj.io/web"), pair("ro.argoproj.io", "web"));
        assert_eq!(named("deploy/web/x"), Err(Error::Slashes));
        assert_eq!(named("deploy/"), Err(Error::HalfNamed));
        for bad in ["", ".", "..", "a%2fb"] {
            assert!(matches!(named(bad), Err(Error::Name { .. })), "{bad:?}");
        }
        assert_eq!(Named::parse("svc/web").unwrap().to_string(), "service/web");
    }
}
