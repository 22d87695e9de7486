//! The object that a manifest describes, in YAML or JSON.

use std::io::{self, Read};
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::Type;
use crate::request::{self, Named};

/// An object, and where it says that it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Manifest {
    /// The object.
    pub named: Named,
    /// Its namespace, if it says so.
    pub namespace: Option<String>,
}

/// Why a manifest is of no use.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It is somewhere else.
    #[error("{0} is no file; fetch it, and hand it over: curl -fsS {0} | kpexec -f - ...")]
    Url(String),
    /// It cannot be read.
    #[error("cannot read the manifest {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It is neither YAML nor JSON.
    #[error("cannot parse the manifest {}: {reason}", path.display())]
    Parse {
        /// The file.
        path: PathBuf,
        /// Why, and where.
        reason: String,
    },
    /// It describes nothing.
    #[error("the manifest {} describes no object", .0.display())]
    Empty(PathBuf),
    /// It describes more than one object.
    #[error("cannot exec into multiple objects at a time")]
    Several,
    /// The name is none.
    #[error(transparent)]
    Name(#[from] request::Error),
    /// `-n` says something else.
    #[error(
        "the namespace from the provided object {found:?} does not match the namespace {wanted:?}. \
         You must pass '--namespace={found}' to perform this operation."
    )]
    Namespace {
        /// The object's.
        found: String,
        /// `-n`.
        wanted: String,
    },
}

#[derive(Deserialize, Debug)]
#[serde(rename_all = "camelCase")]
struct Object {
    api_version: String,
    kind: String,
    #[serde(default)]
    metadata: Metadata,
    /// Of a List.
    #[serde(default)]
    items: Vec<Object>,
}

#[derive(Deserialize, Debug, Default)]
struct Metadata {
    #[serde(default)]
    name: String,
    #[serde(default)]
    namespace: String,
}

impl Manifest {
    /// Reads a file; `-` is stdin.
    ///
    /// # Errors
    /// When it does not describe exactly one object.
    pub fn read(path: &Path) -> Result<Self, Error> {
        if let Some(url) = path.to_str().filter(|text| text.contains("://")) {
            return Err(Error::Url(url.to_owned()));
        }
        let read = if path == Path::new("-") {
            let mut text = String::new();
            io::stdin().read_to_string(&mut text).map(|_| text)
        } else {
            std::fs::read_to_string(path)
        };
        let text = read.map_err(|source| Error::Read {
            path: path.to_owned(),
            source,
        })?;
        Self::parse(&text, path)
    }

    fn parse(text: &str, path: &Path) -> Result<Self, Error> {
        let failed = |reason: String| Error::Parse {
            path: path.to_owned(),
            reason: reason.lines().next().unwrap_or_default().to_owned(),
        };
        let objects: Vec<Object> = if text.trim_start().starts_with('{') {
            let documents = serde_json::Deserializer::from_str(text).into_iter();
            let documents: Result<_, _> = documents.collect();
            documents.map_err(|e| failed(e.to_string()))?
        } else {
            serde_saphyr::from_multiple(text).map_err(|e| failed(e.to_string()))?
        };
        let mut objects = objects.into_iter().flat_map(|object| {
            if object.kind == "List" {
                object.items
            } else {
                vec![object]
            }
        });
        let object = objects
            .next()
            .ok_or_else(|| Error::Empty(path.to_owned()))?;
        if objects.next().is_some() {
            return Err(Error::Several);
        }
        let kind = Type::of_manifest(&object.kind, &object.api_version);
        Ok(Self {
            named: Named::new(kind, &object.metadata.name)?,
            namespace: Some(object.metadata.namespace).filter(|name| !name.is_empty()),
        })
    }

    /// The object's namespace, which must not be another than that of `-n`.
    ///
    /// # Errors
    /// [`Error::Namespace`]
    pub fn namespace(&self, wanted: Option<&str>) -> Result<Option<String>, Error> {
        match (&self.namespace, wanted) {
            (Some(found), Some(wanted)) if found != wanted => Err(Error::Namespace {
                found: found.clone(),
                wanted: wanted.to_owned(),
            }),
            (found, wanted) => Ok(found.clone().or(wanted.map(str::to_owned))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<(String, Option<String>), String> {
        let manifest = Manifest::parse(text, Path::new("web.yaml"));
        let manifest = manifest.map_err(|error| error.to_string())?;
        Ok((manifest.named.to_string(), manifest.namespace))
    }

    #[test]
    fn the_object_is_read_from_yaml_and_json() {
        let yaml = "# a comment\n---\napiVersion: apps/v1\nkind: Deployment\nmetadata:\n  name: web\n  namespace: shop\n";
        assert_eq!(
            parse(yaml),
            Ok(("deployment/web".into(), Some("shop".into())))
        );
        let json =
            "{\"apiVersion\": \"v1\",\n\t\"kind\": \"Pod\", \"metadata\": {\"name\": \"web\"}}";
        assert_eq!(parse(json), Ok(("web".into(), None)));
        let list = format!("{{\"apiVersion\": \"v1\", \"kind\": \"List\", \"items\": [{json}]}}");
        assert_eq!(parse(&list), Ok(("web".into(), None)));
        let custom = "{apiVersion: argoproj.io/v1, kind: Rollout, metadata: {name: web}}";
        let custom = parse(&format!("---\n{custom}"));
        assert_eq!(custom, Ok(("rollout.v1.argoproj.io/web".into(), None)));
    }

    #[test]
    fn one_object_it_has_to_be() {
        let pod = "{apiVersion: v1, kind: Pod, metadata: {name: web}}";
        let two = format!("---\n{pod}\n---\n{pod}\n");
        assert_eq!(
            parse(&two),
            Err("cannot exec into multiple objects at a time".into())
        );
        for empty in ["", "# nothing\n", "---\n---\n"] {
            let told = "the manifest web.yaml describes no object";
            assert_eq!(parse(empty), Err(told.into()), "{empty:?}");
        }
        for bad in [
            "a: [",
            "{\"a\": ",
            "text",
            "kind: Pod",
            "---\nkind: [x]\napiVersion: v1",
        ] {
            let error = parse(bad).unwrap_err();
            assert!(
                error.starts_with("cannot parse the manifest web.yaml: "),
                "{error}"
            );
            assert!(!error.contains('\n'), "{error}");
        }
        let nameless = parse("{\"apiVersion\": \"v1\", \"kind\": \"Pod\"}");
        assert!(nameless.unwrap_err().contains("may not be empty"));
    }

    #[test]
    fn its_namespace_and_that_of_the_command_line_are_one() {
        let manifest = |namespace: Option<&str>| Manifest {
            named: Named::parse("web").unwrap(),
            namespace: namespace.map(str::to_owned),
        };
        let shop = Some("shop".to_owned());
        assert_eq!(manifest(Some("shop")).namespace(None).unwrap(), shop);
        assert_eq!(
            manifest(Some("shop")).namespace(Some("shop")).unwrap(),
            shop
        );
        assert_eq!(manifest(None).namespace(Some("shop")).unwrap(), shop);
        assert_eq!(manifest(None).namespace(None).unwrap(), None);
        assert!(manifest(Some("shop")).namespace(Some("other")).is_err());
    }

    #[test]
    fn a_url_is_left_to_those_who_fetch() {
        let error = Manifest::read(Path::new("https://h/web.yaml")).unwrap_err();
        assert!(error.to_string().contains("curl -fsS https://h/web.yaml"));
    }
}
