//! containers/storage: Podman's and CRI-O's containers.
//!
//! `<run>/<driver>-containers/<id>/userdata/` has the PID (and CRI-O's bundle),
//! `<data>/<driver>-containers/<id>/userdata/` Podman's bundle, and
//! `<data>/<driver>-containers/containers.json` the names.

use serde::Deserialize;

use super::super::known::Store;
use super::super::process::{self, Claim};
use super::super::trust::{self, Dir};
use super::super::{Container, Context, Error, Source, State, Witness};
use super::{created_or, failure, parse_pid, read_spec, set_spec};
use crate::request::Query;

/// The most that is read from a pidfile, in bytes.
const SMALL: u64 = 4096;

/// The most that is read from containers.json, in bytes.
const NAMES_LIMIT: u64 = 64 << 20;

/// The names of one container.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Names {
    /// Full ID.
    pub id: String,
    /// Its names.
    pub names: Vec<String>,
    /// JSON within the JSON, with the image's name.
    pub metadata: String,
}

/// Reads a containers.json or volatile-containers.json.
///
/// # Errors
/// When it is not JSON of that form.
pub fn parse_containers(json: &[u8]) -> serde_json::Result<Vec<Names>> {
    serde_json::from_slice(json)
}

pub(super) fn load(
    ctx: &Context<'_>,
    store: &Store,
    id: &str,
    dir: &Dir,
) -> Result<Option<Container>, Error> {
    let fail = |e| failure(id, e);
    let run = match dir.dir("userdata") {
        Ok(run) => run,
        Err(e) if e.is_missing() => return Ok(None),
        Err(e) => return Err(fail(e)),
    };
    let mut container = Container::new(id, store.runtime);
    container.source = Source::StateDir(run.path().to_owned());
    let spec = match read_spec(&run) {
        Err(e) if e.is_missing() => lasting(ctx, store, id, dir).and_then(|d| read_spec(&d)),
        other => other,
    };
    match run.read("pidfile", SMALL) {
        Ok(file) => {
            let path = run.path().join("pidfile");
            let pid = parse_pid(&file.bytes).ok_or_else(|| {
                fail(trust::Error::Malformed {
                    path: path.clone(),
                    what: "a PID",
                })
            })?;
            let linux = spec.as_ref().ok().and_then(|s| s.linux.as_ref());
            let claim = Claim {
                pid,
                cgroups_path: linux.map_or("", |l| &l.cgroups_path),
                written: Some(file.modified),
                start: None,
            };
            let state = process::state(ctx.proc, &ctx.lookup.host_root, &claim)?;
            container.state = created_or(ctx, store, &[id], state);
            container.witness = Witness::PidFile(path);
        }
        Err(e) if e.is_missing() => container.state = State::Created(None),
        Err(e) => return Err(fail(e)),
    }
    match spec {
        Ok(spec) => set_spec(&mut container, spec),
        Err(e) if e.is_missing() && container.state.pid().is_none() => return Ok(None),
        Err(e) => return Err(fail(e)),
    }
    if let State::Exited { .. } = container.state {
        container.state = exited(ctx, store, id);
    }
    Ok(Some(container))
}

/// The lasting folder of the container whose running one is `dir`.
fn lasting(ctx: &Context<'_>, store: &Store, id: &str, dir: &Dir) -> Result<Dir, trust::Error> {
    let missing = || trust::Error::Missing(dir.path().to_owned());
    let data = store.data.as_ref().ok_or_else(missing)?;
    let driver = dir
        .path()
        .parent()
        .and_then(|p| p.file_name())
        .ok_or_else(missing)?;
    ctx.root
        .dir(&data.join(driver), store.owner)?
        .dir(id)?
        .dir("userdata")
}

/// conmon writes the exit code to a file.
fn exited(ctx: &Context<'_>, store: &Store, id: &str) -> State {
    let dirs = match store.owner {
        0 => vec!["/run/libpod/exits".to_owned(), "/run/crio/exits".to_owned()],
        uid => vec![format!("/run/user/{uid}/libpod/tmp/exits")],
    };
    let file = dirs
        .iter()
        .filter_map(|d| ctx.root.dir(d.as_ref(), store.owner).ok())
        .find_map(|d| d.read(id, SMALL).ok());
    State::Exited {
        code: file.as_ref().and_then(|f| {
            let text = std::str::from_utf8(&f.bytes).ok()?;
            text.trim().parse().ok()
        }),
        at: file.map(|f| f.modified),
    }
}

fn all_names(ctx: &Context<'_>, store: &Store) -> Vec<Names> {
    let Some(data) = &store.data else {
        return Vec::new();
    };
    let Ok(data) = ctx.root.dir(data, store.owner) else {
        return Vec::new();
    };
    let drivers = data.names().unwrap_or_default();
    let drivers = drivers.iter().filter(|n| n.ends_with("-containers"));
    drivers
        .filter_map(|n| data.dir(n).ok())
        .flat_map(|dir| {
            ["containers.json", "volatile-containers.json"].map(|f| dir.read(f, NAMES_LIMIT))
        })
        .filter_map(|file| parse_containers(&file.ok()?.bytes).ok())
        .flatten()
        .collect()
}

pub(super) fn ids_of_name(ctx: &Context<'_>, store: &Store, name: &str) -> Vec<String> {
    let named = |n: &Names| n.names.iter().any(|x| x == name);
    let all = all_names(ctx, store).into_iter().filter(named);
    all.map(|n| n.id).collect()
}

/// See [`super::Stores::recorded`]; all of them for an empty `word`.
pub(super) fn recorded(ctx: &Context<'_>, store: &Store, word: &str) -> Vec<Container> {
    let prefix = word.is_empty() || word.len() >= Query::MIN_PREFIX;
    let meant = |n: &Names| prefix && n.id.starts_with(word) || n.names.iter().any(|x| x == word);
    let all = all_names(ctx, store).into_iter().filter(meant);
    let read = |n: Names| {
        let mut container = Container::new(&n.id, store.runtime);
        container.owner = store.owner;
        container.source = Source::StateDir(store.data.clone().unwrap_or_default());
        container.state = match exited(ctx, store, &n.id) {
            State::Exited { code: None, .. } => State::Created(None),
            ended => ended,
        };
        container.name = n.names.into_iter().next();
        container
    };
    all.map(read).collect()
}

/// Fills in names and images.
pub(super) fn name_all(ctx: &Context<'_>, store: &Store, containers: &mut [Container]) {
    #[derive(Default, Deserialize)]
    #[serde(default, rename_all = "kebab-case")]
    struct Metadata {
        image_name: String,
    }
    let ours = |c: &&mut Container| match &c.source {
        Source::StateDir(path) => path.starts_with(&store.path),
        _ => false,
    };
    let mut ours: Vec<_> = containers.iter_mut().filter(ours).collect();
    if ours.is_empty() {
        return;
    }
    for names in all_names(ctx, store) {
        let Some(container) = ours.iter_mut().find(|c| c.id == names.id) else {
            continue;
        };
        container.name = container.name.take().or(names.names.into_iter().next());
        let metadata: Metadata = serde_json::from_str(&names.metadata).unwrap_or_default();
        let image = Some(metadata.image_name).filter(|i| !i.is_empty());
        container.image = container.image.take().or(image);
    }
}
