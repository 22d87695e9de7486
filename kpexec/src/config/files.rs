//! The kubeconfig's files.

use std::io;
use std::path::{Path, PathBuf};

use kube::config::{Kubeconfig, KubeconfigError};

use super::{Error, Selection};

/// What a kubeconfig has to choose from.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Names {
    /// Its contexts.
    pub contexts: Vec<String>,
    /// Its clusters.
    pub clusters: Vec<String>,
    /// Its users.
    pub users: Vec<String>,
}

/// What there is to choose from: in this file, else where [`load`] looks.
///
/// # Errors
/// When a file cannot be read.
pub fn names(file: Option<&Path>) -> Result<Names, Error> {
    let all = read(file)?.unwrap_or_default();
    Ok(Names {
        contexts: all.contexts.into_iter().map(|c| c.name).collect(),
        clusters: all.clusters.into_iter().map(|c| c.name).collect(),
        users: all.auth_infos.into_iter().map(|u| u.name).collect(),
    })
}

/// The namespace of the context that is chosen, if a file says so. No credentials are looked for.
///
/// # Errors
/// When a file cannot be read.
pub fn namespace(selection: &Selection) -> Result<Option<String>, Error> {
    let Some(all) = read(selection.file.as_deref())? else {
        return Ok(None);
    };
    let name = selection.context.as_ref().or(all.current_context.as_ref());
    let context = all
        .contexts
        .iter()
        .find(|context| Some(&context.name) == name);
    let namespace = context.and_then(|context| context.context.as_ref()?.namespace.clone());
    Ok(namespace.filter(|namespace| !namespace.is_empty()))
}

/// The merged files; None where there are none and none was asked for.
pub(super) fn read(file: Option<&Path>) -> Result<Option<Kubeconfig>, Error> {
    let read_one = |path: &Path| {
        Kubeconfig::read_from(path).map_err(|error| match error {
            KubeconfigError::ReadConfig(source, path) => Error::Read { path, source },
            other => Error::Load {
                path: path.to_owned(),
                place: place_of(&other),
            },
        })
    };
    if let Some(path) = file {
        return read_one(path).map(Some);
    }
    let mut merged: Option<Kubeconfig> = None;
    for path in places() {
        let next = match read_one(&path) {
            // As kubectl: a file of the list that is not there says nothing.
            Err(Error::Read { source, .. }) if source.kind() == io::ErrorKind::NotFound => continue,
            other => other?,
        };
        merged = Some(match merged {
            Some(first) => first.merge(next).map_err(|e| Error::Merge(Box::new(e)))?,
            None => next,
        });
    }
    Ok(merged)
}

/// Where in a file an error is: of its words nothing can be told, for they repeat the file.
fn place_of(error: &KubeconfigError) -> String {
    let location = match error {
        KubeconfigError::Parse(error) => error.location(),
        _ => None,
    };
    location.map_or(String::new(), |at| format!(" (line {})", at.line()))
}

/// Those that KUBECONFIG names, else the one in the home directory.
pub(super) fn places() -> Vec<PathBuf> {
    let listed = std::env::var_os("KUBECONFIG").unwrap_or_default();
    let listed: Vec<_> = std::env::split_paths(&listed)
        .filter(|path| !path.as_os_str().is_empty())
        .collect();
    if listed.is_empty() {
        let home = std::env::home_dir().unwrap_or_default();
        return vec![home.join(".kube/config")];
    }
    listed
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_broken_file_is_not_repeated() {
        let file = tempfile();
        std::fs::write(
            &file,
            "apiVersion: v1\nusers:\n- user:\n    token: SECRET\n   x: y\n",
        )
        .unwrap();
        let told = read(Some(&file)).unwrap_err();
        std::fs::remove_file(&file).unwrap();
        assert!(std::error::Error::source(&told).is_none());
        let told = told.to_string();
        assert!(
            told.contains("(line ") && !told.contains("SECRET"),
            "{told}"
        );
    }

    fn tempfile() -> PathBuf {
        std::env::temp_dir().join(format!("kpexec-config-{}", std::process::id()))
    }
}
