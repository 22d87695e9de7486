//! The command's environment and working directory.

use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use super::{Cwd, Facts, Identity};
use crate::request::{Namespace, Request};

/// Where commands are looked for if the environment has no PATH.
pub(super) const DEFAULT_PATH: &[u8] =
    b"/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// The container's environment, or the caller's where the container's files are not entered; then
/// what cnsenter adds; then `-e`. Each name once, the last value wins.
pub(super) fn environment(request: &Request, facts: &Facts, identity: &Identity) -> Vec<Vec<u8>> {
    let mut env = Environment::default();
    if !request.clear_env {
        if request.namespaces.contains(&Namespace::Mount) {
            for entry in &facts.container_env {
                env.set_entry(entry);
            }
        } else {
            for (name, value) in &request.caller_env {
                env.set(name.as_bytes(), value.as_bytes());
            }
        }
        if env.get(b"PATH").is_none() {
            env.set(b"PATH", DEFAULT_PATH);
        }
        if env.get(b"HOME").is_none_or(<[u8]>::is_empty) {
            let root = if identity.uid == 0 {
                &b"/root"[..]
            } else {
                b"/"
            };
            env.set(b"HOME", identity.home.as_deref().unwrap_or(root));
        }
    }
    if let Some(term) = request.io.tty.as_ref().and_then(|t| t.term.as_ref()) {
        env.set(b"TERM", term.as_bytes());
    }
    for (name, value) in &request.env {
        env.set(name.as_bytes(), value.as_bytes());
    }
    env.0
}

/// PATH of this environment.
pub(super) fn search_path(env: &[Vec<u8>]) -> Vec<u8> {
    env.iter()
        .find_map(|e| e.strip_prefix(b"PATH="))
        .unwrap_or(DEFAULT_PATH)
        .to_vec()
}

/// `-w`, else the container's own where its files are entered, else the caller's.
pub(super) fn cwd(request: &Request, facts: &Facts, in_mount_ns: bool) -> Option<Cwd> {
    match &request.workdir {
        Some(path) => Some(Cwd {
            path: path.into(),
            required: true,
        }),
        None if in_mount_ns => {
            let own = &facts.container_cwd;
            let path = if own.is_absolute() {
                own.clone()
            } else {
                PathBuf::from("/")
            };
            Some(Cwd {
                path,
                required: false,
            })
        }
        None => None,
    }
}

#[derive(Default)]
struct Environment(Vec<Vec<u8>>);

impl Environment {
    fn get(&self, name: &[u8]) -> Option<&[u8]> {
        self.0
            .iter()
            .find_map(|e| e.strip_prefix(name)?.strip_prefix(b"="))
    }

    fn set(&mut self, name: &[u8], value: &[u8]) {
        self.set_entry(&[name, b"=", value].concat());
    }

    /// Sets a `K=V`; what has no name or holds a NUL cannot be passed to execve(2).
    fn set_entry(&mut self, entry: &[u8]) {
        let Some(at) = entry.iter().position(|b| *b == b'=').filter(|at| *at > 0) else {
            return;
        };
        if entry.contains(&0) {
            return;
        }
        match self.0.iter_mut().find(|e| e.starts_with(&entry[..=at])) {
            Some(old) => *old = entry.to_vec(),
            None => self.0.push(entry.to_vec()),
        }
    }
}
