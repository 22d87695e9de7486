//! What a test wants of a container, whichever runtime makes it.

use std::collections::BTreeMap;

use crate::Image;

/// The first of the host's user IDs that a container with a user namespace has.
pub(crate) const USERNS_BASE: u32 = 200_000;

/// How many of them it has.
pub(crate) const USERNS_SIZE: u32 = 65_536;

/// A container to be run.
#[derive(Clone, Debug)]
pub struct ContainerSpec {
    pub(crate) name: String,
    pub(crate) image: Image,
    pub(crate) argv: Vec<String>,
    pub(crate) env: BTreeMap<String, String>,
    pub(crate) labels: BTreeMap<String, String>,
    pub(crate) cwd: Option<String>,
    pub(crate) uid: u32,
    pub(crate) privileged: bool,
    pub(crate) no_caps: bool,
    pub(crate) seccomp: bool,
    pub(crate) read_only: bool,
    pub(crate) userns: bool,
    pub(crate) host_network: bool,
    pub(crate) host_pid: bool,
    pub(crate) no_pivot: bool,
    pub(crate) memory: Option<u64>,
    pub(crate) pids: Option<u32>,
}

impl ContainerSpec {
    /// A container that runs a command of busybox.
    pub fn new<S: Into<String>>(name: &str, argv: impl IntoIterator<Item = S>) -> Self {
        Self {
            name: name.to_owned(),
            image: Image::Busybox,
            argv: argv.into_iter().map(Into::into).collect(),
            env: BTreeMap::new(),
            labels: BTreeMap::new(),
            cwd: None,
            uid: 0,
            privileged: false,
            no_caps: false,
            seccomp: false,
            read_only: false,
            userns: false,
            host_network: false,
            host_pid: false,
            no_pivot: false,
            memory: None,
            pids: None,
        }
    }

    /// A container that does nothing for a long time.
    pub fn sleeper(name: &str) -> Self {
        Self::new(name, ["sleep", "1000000"])
    }

    /// A container with one static program, no shell and no users.
    pub fn shell_less(name: &str) -> Self {
        Self {
            image: Image::Static,
            ..Self::new(name, ["/sleep", "1000000"])
        }
    }

    /// As hardened as Kubernetes' restricted profile wants it: a user's, no capabilities, the
    /// runtime's own seccomp filter, a root that cannot be written.
    pub fn locked_down(name: &str) -> Self {
        Self::sleeper(name)
            .uid(1000)
            .drop_all_caps()
            .seccomp()
            .read_only()
    }

    /// Sets a variable of the container's environment.
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.env.insert(name.to_owned(), value.to_owned());
        self
    }

    /// Gives the container a label.
    pub fn label(mut self, name: &str, value: &str) -> Self {
        self.labels.insert(name.to_owned(), value.to_owned());
        self
    }

    /// The working directory.
    pub fn cwd(mut self, folder: &str) -> Self {
        self.cwd = Some(folder.to_owned());
        self
    }

    /// The user and group ID of its init.
    pub fn uid(self, uid: u32) -> Self {
        Self { uid, ..self }
    }

    /// All capabilities and devices, and no filters.
    pub fn privileged(self) -> Self {
        Self {
            privileged: true,
            ..self
        }
    }

    /// No capabilities at all.
    pub fn drop_all_caps(self) -> Self {
        Self {
            no_caps: true,
            ..self
        }
    }

    /// The runtime's default seccomp filter. Docker and Podman always have it.
    pub fn seccomp(self) -> Self {
        Self {
            seccomp: true,
            ..self
        }
    }

    /// A root file system that cannot be written.
    pub fn read_only(self) -> Self {
        Self {
            read_only: true,
            ..self
        }
    }

    /// A user namespace of its own. Docker has only one for all containers, and so not this.
    pub fn userns(self) -> Self {
        Self {
            userns: true,
            ..self
        }
    }

    /// The node's network.
    pub fn host_network(self) -> Self {
        Self {
            host_network: true,
            ..self
        }
    }

    /// The node's processes.
    pub fn host_pid(self) -> Self {
        Self {
            host_pid: true,
            ..self
        }
    }

    /// A root that chroot made, not pivot_root. Only containerd, runc and crun have this.
    pub fn no_pivot(self) -> Self {
        Self {
            no_pivot: true,
            ..self
        }
    }

    /// The limit of its memory, in bytes.
    pub fn memory(self, bytes: u64) -> Self {
        Self {
            memory: Some(bytes),
            ..self
        }
    }

    /// The limit of its number of processes.
    pub fn pids(self, count: u32) -> Self {
        Self {
            pids: Some(count),
            ..self
        }
    }
}

/// The capabilities that containers have unless they ask for others.
pub(crate) const DEFAULT_CAPS: [&str; 14] = [
    "CAP_AUDIT_WRITE",
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_FOWNER",
    "CAP_FSETID",
    "CAP_KILL",
    "CAP_MKNOD",
    "CAP_NET_BIND_SERVICE",
    "CAP_NET_RAW",
    "CAP_SETFCAP",
    "CAP_SETGID",
    "CAP_SETPCAP",
    "CAP_SETUID",
    "CAP_SYS_CHROOT",
];
