//! What runtimes keep on disk: works with every daemon dead, and needs none where one is alive.

mod docker;
mod oci;
mod rootless;
mod storage;
mod tasks;

pub use docker::parse_config as parse_docker_config;
pub use oci::{OciState, parse_crun_status, parse_runc_state};
pub use storage::{Names, parse_containers};

use super::known::{self, Layout, Store};
use super::process::{self, Claim};
use super::trust::{self, Dir};
use super::{Container, Context, Error, Runtime, State, Witness, labels};
use crate::hostproc::Process;
use crate::request::Scheme;
use crate::spec::{self, Spec};

/// A folder of a runtime that holds one folder for each container.
struct Place {
    /// Its store, in [`Stores::all`].
    store: usize,
    /// containerd's namespace.
    namespace: Option<String>,
    dir: Dir,
}

/// One container's folder, by name alone: nothing in it has been read.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    pub(super) id: String,
    place: usize,
}

/// The state directories that are there, opened as they are needed.
pub(super) struct Stores {
    all: Vec<Store>,
    /// How many of `all` have been opened.
    opened: usize,
    places: Vec<Place>,
    rootless: bool,
    /// Folders that are there and not believed.
    pub(super) problems: Vec<trust::Error>,
}

/// Containers, and those that could not be read.
#[derive(Default)]
pub(super) struct Loaded {
    pub(super) containers: Vec<Container>,
    pub(super) problems: Vec<Error>,
}

impl Loaded {
    fn add(&mut self, result: Result<Option<Container>, Error>) {
        match result {
            Ok(container) => self.containers.extend(container),
            Err(e) => self.problems.push(e),
        }
    }
}

impl Stores {
    /// The node's own state directories.
    pub(super) fn new(ctx: &Context<'_>) -> Self {
        Self {
            all: known::stores(ctx.lookup),
            opened: 0,
            places: Vec::new(),
            rootless: false,
            problems: Vec::new(),
        }
    }

    /// Adds those of users with rootless containers.
    pub(super) fn add_rootless(&mut self, ctx: &Context<'_>) {
        if !std::mem::replace(&mut self.rootless, true) {
            self.all.extend(rootless::stores(ctx));
        }
    }

    fn open_all(&mut self, ctx: &Context<'_>) {
        while self.open_next(ctx) {}
    }

    /// Opens one more of them; no container's folder is read. False if there was none left.
    fn open_next(&mut self, ctx: &Context<'_>) -> bool {
        let Some(store) = self.all.get(self.opened) else {
            return false;
        };
        match places(ctx, store) {
            Ok(found) => {
                let store = self.opened;
                let found = found.into_iter().map(|(namespace, dir)| Place {
                    store,
                    namespace,
                    dir,
                });
                self.places.extend(found);
            }
            Err(e) if e.is_missing() => {}
            // One folder may be above several stores.
            Err(e) if self.problems.iter().any(|p| p.to_string() == e.to_string()) => {}
            Err(e) => self.problems.push(e),
        }
        self.opened += 1;
        true
    }

    fn places_of(&self, scheme: Option<Scheme>) -> impl Iterator<Item = (usize, &Place)> {
        self.places
            .iter()
            .enumerate()
            .filter(move |(_, place)| scheme.is_none_or(|s| fits(s, self.runtime(place))))
    }

    fn runtime(&self, place: &Place) -> Runtime {
        match place.namespace.as_deref() {
            Some("moby") => Runtime::Docker,
            _ => self.all[place.store].runtime,
        }
    }

    /// Reads the containers of exactly this ID. A full 64-digit ID is unique: the first is enough,
    /// and what lies behind it is not even opened.
    pub(super) fn find(&mut self, ctx: &Context<'_>, id: &str, scheme: Option<Scheme>) -> Loaded {
        let unique = is_full_id(id);
        let mut loaded = Loaded::default();
        let mut next = 0;
        loop {
            while next < self.places.len() {
                let place = &self.places[next];
                let meant = scheme.is_none_or(|s| fits(s, self.runtime(place)));
                if meant && place.dir.has(id) {
                    loaded.add(self.load(ctx, next, id));
                    if unique && loaded.containers.iter().any(|c| c.state.pid().is_some()) {
                        return loaded;
                    }
                }
                next += 1;
            }
            if !self.open_next(ctx) {
                return loaded;
            }
        }
    }

    /// Every container's folder.
    pub(super) fn entries(&mut self, ctx: &Context<'_>, scheme: Option<Scheme>) -> Vec<Entry> {
        self.open_all(ctx);
        let mut all = Vec::new();
        for (place, p) in self.places_of(scheme) {
            let names = p.dir.names().unwrap_or_default();
            all.extend(names.into_iter().map(|id| Entry { id, place }));
        }
        all
    }

    /// Reads one of them.
    pub(super) fn read(
        &self,
        ctx: &Context<'_>,
        entry: &Entry,
    ) -> Result<Option<Container>, Error> {
        self.load(ctx, entry.place, &entry.id)
    }

    /// Reads several of them.
    pub(super) fn read_all<'e>(
        &self,
        ctx: &Context<'_>,
        entries: impl IntoIterator<Item = &'e Entry>,
    ) -> Loaded {
        let mut loaded = Loaded::default();
        for entry in entries {
            loaded.add(self.read(ctx, entry));
        }
        loaded
    }

    /// The IDs of containers that a runtime, but not their folder, calls `name`: Docker's and
    /// Podman's own names.
    pub(super) fn ids_of_name(&self, ctx: &Context<'_>, name: &str) -> Vec<String> {
        let mut ids = docker::ids_of_name(ctx, name);
        for store in self.all.iter().filter(|s| s.layout == Layout::Storage) {
            ids.extend(storage::ids_of_name(ctx, store, name));
        }
        ids
    }

    /// Docker's, Podman's and CRI-O's containers that `word` means by ID, prefix or name, and that
    /// have no running folder: ended, never started, or not since the node was.
    pub(super) fn recorded(&self, ctx: &Context<'_>, word: &str) -> Loaded {
        let stores = self.all.iter().filter(|s| s.layout == Layout::Storage);
        Loaded {
            containers: stores
                .flat_map(|s| storage::recorded(ctx, s, word))
                .chain(docker::recorded(ctx, word))
                .collect(),
            problems: Vec::new(),
        }
    }

    /// The entries whose spec holds all of `words`, cheaply: the file is searched, neither checked
    /// nor parsed.
    pub(super) fn mentioning(&self, entries: &[Entry], words: &[&str]) -> Vec<Entry> {
        let finders: Vec<_> = words.iter().map(memchr::memmem::Finder::new).collect();
        let mut buffer = Vec::new();
        let mut holds = |e: &Entry| {
            let place = &self.places[e.place];
            let path = match self.all[place.store].layout {
                Layout::Storage => format!("{}/userdata/config.json", e.id),
                _ => format!("{}/config.json", e.id),
            };
            let spec = place.dir.glance(&path, spec::LIMIT, &mut buffer);
            finders.iter().all(|f| f.find(spec).is_some())
        };
        entries.iter().filter(|e| holds(e)).cloned().collect()
    }

    /// Fills in the names that runtimes keep elsewhere.
    pub(super) fn name_all(&self, ctx: &Context<'_>, containers: &mut [Container]) {
        docker::name_all(ctx, containers);
        for store in self.all.iter().filter(|s| s.layout == Layout::Storage) {
            storage::name_all(ctx, store, containers);
        }
    }

    fn load(&self, ctx: &Context<'_>, place: usize, id: &str) -> Result<Option<Container>, Error> {
        let place = &self.places[place];
        let store = &self.all[place.store];
        let fail = |e: trust::Error| failure(id, e);
        let dir = match place.dir.dir(id) {
            Ok(dir) => dir,
            Err(e) if e.is_missing() => return Ok(None),
            Err(e) => return Err(fail(e)),
        };
        let found = match store.layout {
            Layout::Tasks => {
                let namespace = place.namespace.as_deref();
                tasks::load(ctx, store, namespace, id, &dir, &place.dir)
            }
            Layout::Storage => storage::load(ctx, store, id, &dir),
            Layout::Runc | Layout::Crun => oci::load(ctx, store, id, &dir),
        };
        match found {
            Ok(Some(mut container)) => {
                container.owner = store.owner;
                if let Some(pid) = container.state.pid().filter(|_| store.owner != 0) {
                    process::theirs(ctx.proc, &ctx.proc.process(pid)?, store.owner, dir.path())?;
                }
                if container.runtime == Runtime::Containerd
                    && place.namespace.as_deref() == Some("moby")
                {
                    container.runtime = Runtime::Docker;
                }
                Ok(Some(container))
            }
            other => other,
        }
    }
}

/// Whether it is an ID as CRI runtimes, Docker and Podman make them, of which no two are the same.
pub(super) fn is_full_id(id: &str) -> bool {
    id.len() == 64 && id.bytes().all(|b| b.is_ascii_hexdigit())
}

/// Whether a scheme of a pod's status may mean a runtime's container. (Before it is read, a
/// container in containers/storage may be CRI-O's or Podman's.)
pub(super) fn fits(scheme: Scheme, runtime: Runtime) -> bool {
    match scheme {
        Scheme::Containerd => runtime == Runtime::Containerd,
        Scheme::Docker => runtime == Runtime::Docker,
        Scheme::CriO | Scheme::Podman => matches!(runtime, Runtime::Podman | Runtime::CriO),
    }
}

fn places(ctx: &Context<'_>, store: &Store) -> Result<Vec<(Option<String>, Dir)>, trust::Error> {
    let dir = ctx.root.dir(&store.path, store.owner)?;
    match store.layout {
        Layout::Runc | Layout::Crun => Ok(vec![(None, dir)]),
        Layout::Storage => {
            let drivers = dir.names()?;
            let drivers = drivers.iter().filter(|n| n.ends_with("-containers"));
            Ok(drivers
                .filter_map(|n| Some((None, dir.dir(n).ok()?)))
                .collect())
        }
        Layout::Tasks => {
            let namespaces = match &ctx.lookup.runtime_namespace {
                Some(one) => vec![one.clone()],
                None => dir.names()?,
            };
            let docker_only = ctx.lookup.runtime == crate::request::RuntimeChoice::Docker
                && store.runtime == Runtime::Containerd;
            Ok(namespaces
                .into_iter()
                .filter(|ns| !docker_only || ns == "moby")
                .filter_map(|ns| {
                    let dir = dir.dir(&ns).ok()?;
                    Some((Some(ns), dir))
                })
                .collect())
        }
    }
}

/// Reads a bundle's config.json.
fn read_spec(dir: &Dir) -> Result<Spec, trust::Error> {
    let file = dir.read("config.json", spec::LIMIT)?;
    Spec::parse(&file.bytes).map_err(|_| trust::Error::Malformed {
        path: dir.path().join("config.json"),
        what: "an OCI runtime spec",
    })
}

/// Reads a file that holds a PID and nothing else.
pub(super) fn parse_pid(bytes: &[u8]) -> Option<nix::unistd::Pid> {
    let text = std::str::from_utf8(bytes).ok()?.trim();
    let pid: i32 = text.parse().ok()?;
    (pid > 0).then(|| nix::unistd::Pid::from_raw(pid))
}

/// Gives a container its spec, and what the spec's annotations say.
fn set_spec(container: &mut Container, spec: Spec) {
    labels::of_spec(&spec.annotations, container.runtime).fill(container);
    container.spec = Some(spec);
}

/// A running container whose OCI runtime still keeps its start FIFO has not been started.
fn created_or(ctx: &Context<'_>, store: &Store, below: &[&str], state: State) -> State {
    let State::Running(pid) = state else {
        return state;
    };
    let roots = match below {
        ["moby", _] => &["/run/docker/runtime-runc"],
        _ => store.oci_roots,
    };
    let waits = roots.iter().any(|root| {
        let mut path = ctx.lookup.host_root.join(root.trim_start_matches('/'));
        path.extend(below);
        nix::sys::stat::lstat(&path.join("exec.fifo")).is_ok()
    });
    if waits {
        State::Created(Some(pid))
    } else {
        State::Running(pid)
    }
}

/// Reads a container's witness again: whether it still names the process that was pinned.
pub(super) fn still_names(
    ctx: &Context<'_>,
    container: &Container,
    pinned: &Process,
) -> Result<bool, Error> {
    let (path, state_file) = match &container.witness {
        Witness::PidFile(path) => (path, false),
        Witness::StateFile { path, .. } => (path, true),
        _ => return Ok(false),
    };
    let (Some(dir), Some(name)) = (path.parent(), path.file_name().and_then(|n| n.to_str())) else {
        return Ok(false);
    };
    let file = ctx
        .root
        .dir(dir, container.owner)
        .and_then(|d| d.read(name, oci::LIMIT));
    let file = match file {
        Ok(file) => file,
        Err(e) if e.is_missing() => return Ok(false),
        Err(e) => return Err(failure(&container.id, e)),
    };
    let (pid, start) = if state_file {
        let state = match name {
            "status" => parse_crun_status(&file.bytes),
            _ => parse_runc_state(&file.bytes),
        };
        let state = state.unwrap_or_default();
        (
            Some(nix::unistd::Pid::from_raw(state.pid)),
            Some(state.start),
        )
    } else {
        (parse_pid(&file.bytes), None)
    };
    let linux = container.spec.as_ref().and_then(|s| s.linux.as_ref());
    let claim = Claim {
        pid: pinned.pid(),
        cgroups_path: linux.map_or("", |l| &l.cgroups_path),
        written: Some(file.modified),
        start,
    };
    if container.owner != 0 {
        process::theirs(ctx.proc, pinned, container.owner, path)?;
    }
    Ok(pid == Some(pinned.pid()) && process::is_meant(pinned, &claim, &pinned.read("cgroup")?))
}

fn failure(id: &str, source: trust::Error) -> Error {
    let id = id.to_owned();
    match source {
        trust::Error::Untrusted { .. } => Error::Untrusted { id, source },
        trust::Error::Missing(_) => Error::InTransition { id },
        source => Error::State { id, source },
    }
}
