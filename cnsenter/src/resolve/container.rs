//! What resolving finds.

use std::path::PathBuf;

use nix::unistd::Pid;
use serde::Serialize;

use crate::spec::Spec;

/// A container that some source knows of. A source fills in what it knows.
#[derive(Debug, Clone)]
pub struct Container {
    /// Its full ID, as the runtime spells it; a PID's `pid:N` where there is no runtime.
    pub id: String,
    /// Whose it is.
    pub runtime: Runtime,
    /// containerd's namespace.
    pub runtime_namespace: Option<String>,
    /// The runtime handler: `io.containerd.runc.v2`, `crun`, `io.containerd.kata.v2` ...
    pub handler: Option<String>,
    /// The runtime's own name for it (Docker, Podman), if it has one.
    pub name: Option<String>,
    /// Its place in Kubernetes, from the runtime's labels.
    pub pod: Option<Pod>,
    /// The container of its pod that an annotation of that names for people to enter, if a source said.
    pub pod_default: Option<String>,
    /// The image it was made of, if a source said.
    pub image: Option<String>,
    /// When it was made, in seconds since the epoch, if a source said.
    pub created: Option<i64>,
    /// Whose runtime it is: root's (0), or that of a user with rootless containers.
    pub owner: u32,
    /// Whether it is a pod's sandbox.
    pub sandbox: bool,
    /// What it is doing.
    pub state: State,
    /// Its runtime spec, if it was read.
    pub spec: Option<Spec>,
    /// Which source said so, for `-v` and `ls -o wide`.
    pub source: Source,
    /// What still names `state`'s PID as this container's, to be read again once the process is
    /// pinned (PID reuse between lookup and entry).
    pub witness: Witness,
}

impl Container {
    /// A container of which nothing is known but its ID.
    #[must_use]
    pub fn new(id: &str, runtime: Runtime) -> Self {
        Self {
            id: id.to_owned(),
            runtime,
            runtime_namespace: None,
            handler: None,
            name: None,
            pod: None,
            pod_default: None,
            image: None,
            created: None,
            owner: 0,
            sandbox: false,
            state: State::Unknown,
            spec: None,
            source: Source::Cgroup,
            witness: Witness::Cgroup,
        }
    }

    /// Its name as people know it: `NS/POD/CONTAINER`, else the runtime's own name.
    #[must_use]
    pub fn display_name(&self) -> Option<String> {
        let Some(pod) = &self.pod else {
            return self.name.clone();
        };
        let container = pod.container.iter().map(|c| format!("/{c}"));
        Some(format!(
            "{}/{}{}",
            pod.namespace,
            pod.name,
            container.collect::<String>()
        ))
    }

    /// One line for `-v`, escaped.
    #[must_use]
    pub fn summary(&self) -> String {
        let name = self
            .display_name()
            .map(|n| format!(" ({n})"))
            .unwrap_or_default();
        let pid = self
            .state
            .pid()
            .map(|p| format!(", PID {p}"))
            .unwrap_or_default();
        let text = format!(
            "{}{name} of {}, {}{pid}, by {}",
            self.id,
            self.runtime.name(),
            self.state.name(),
            self.source
        );
        crate::escape::escaped(&text).to_string()
    }
}

/// Container runtimes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Runtime {
    /// containerd, by whatever client.
    Containerd,
    /// CRI-O.
    #[serde(rename = "cri-o")]
    CriO,
    /// Docker Engine.
    Docker,
    /// Podman.
    Podman,
    /// An OCI runtime used alone (runc, crun).
    Oci,
    /// Only the kernel is known: `pid:N`, or a cgroup's name.
    None,
}

impl Runtime {
    /// As it is shown.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Containerd => "containerd",
            Self::CriO => "cri-o",
            Self::Docker => "docker",
            Self::Podman => "podman",
            Self::Oci => "oci",
            Self::None => "-",
        }
    }
}

/// A container's place in Kubernetes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Pod {
    /// Kubernetes namespace.
    pub namespace: String,
    /// Pod name.
    pub name: String,
    /// Pod UID, if the source knows it.
    pub uid: Option<String>,
    /// Container name; None for the sandbox itself.
    pub container: Option<String>,
}

/// What a container is doing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    /// Its init runs.
    Running(Pid),
    /// Its init is frozen.
    Paused(Pid),
    /// Made, not started; some runtimes have a process waiting already.
    Created(Option<Pid>),
    /// Ended.
    Exited {
        /// Exit code, if known.
        code: Option<i32>,
        /// When, in seconds since the epoch, if known.
        at: Option<i64>,
    },
    /// The source knows of the container, not of its state.
    Unknown,
}

impl State {
    /// The init's PID, while there is one.
    #[must_use]
    pub fn pid(&self) -> Option<Pid> {
        match self {
            Self::Running(pid) | Self::Paused(pid) => Some(*pid),
            Self::Created(pid) => *pid,
            Self::Exited { .. } | Self::Unknown => None,
        }
    }

    /// As it is shown.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Running(_) => "running",
            Self::Paused(_) => "paused",
            Self::Created(_) => "created",
            Self::Exited { .. } => "exited",
            Self::Unknown => "unknown",
        }
    }
}

/// Where knowledge of a container comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// A runtime's state directory.
    StateDir(PathBuf),
    /// A daemon's socket.
    Daemon(PathBuf),
    /// The names of processes' cgroups.
    Cgroup,
    /// The admin gave a PID.
    Given,
}

impl std::fmt::Display for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::StateDir(path) => write!(f, "{}", path.display()),
            Self::Daemon(path) => write!(f, "{}", path.display()),
            Self::Cgroup => f.write_str("cgroup"),
            Self::Given => f.write_str("given"),
        }
    }
}

/// What names a PID as a container's init.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Witness {
    /// A file that holds the PID and nothing else (containerd's init.pid, podman's pidfile).
    PidFile(PathBuf),
    /// A runtime's state file (runc's state.json, crun's status): its JSON names the PID.
    StateFile {
        /// The file.
        path: PathBuf,
        /// The JSON key that holds the PID: `init_process_pid`, `pid`.
        key: &'static str,
    },
    /// The process's cgroup names the container.
    Cgroup,
    /// A daemon said so a moment ago: it is asked again.
    Daemon,
    /// Nobody but the admin.
    Given,
}
