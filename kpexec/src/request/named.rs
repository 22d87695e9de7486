//! POD or TYPE/NAME.

use std::fmt;

use super::Error;
use crate::target::{Kind, Pods};

/// A pod, or what has pods.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Named {
    /// TYPE.
    pub kind: Kind,
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
        // As the API server has it for parts of a path.
        let why = match name {
            "" => Some("may not be empty"),
            "." => Some("may not be '.'"),
            ".." => Some("may not be '..'"),
            _ => name.contains('%').then_some("may not contain '%'"),
        };
        if let Some(why) = why {
            let name = name.to_owned();
            return Err(Error::Name { name, why });
        }
        let kind = Kind::parse(kind).ok_or_else(|| Error::Kind(kind.to_owned()))?;
        Ok(Self {
            kind,
            name: name.to_owned(),
        })
    }
}

impl fmt::Display for Named {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kind.pods {
            Pods::Itself => f.write_str(&self.name),
            _ => write!(f, "{}/{}", self.kind.singular, self.name),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_are_read_as_kubectl_reads_them() {
        let named = |text| Named::parse(text).map(|n| (n.kind.plural, n.name));
        assert_eq!(named("web-0"), Ok(("pods", "web-0".into())));
        assert_eq!(named("po/web-0"), Ok(("pods", "web-0".into())));
        assert_eq!(named("deploy/web"), Ok(("deployments", "web".into())));
        assert_eq!(named("deploy/web/x"), Err(Error::Slashes));
        assert_eq!(named("deploy/"), Err(Error::HalfNamed));
        assert_eq!(named("node/n"), Err(Error::Kind("node".into())));
        for bad in ["", ".", "..", "a%2fb"] {
            assert!(matches!(named(bad), Err(Error::Name { .. })), "{bad:?}");
        }
        assert_eq!(Named::parse("svc/web").unwrap().to_string(), "service/web");
    }
}
