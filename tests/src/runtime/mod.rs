//! Container runtimes on a node, all of them driven in the same way.

mod containerd;
mod cri;
mod daemon;
mod engine;
mod oci;
mod spec;

use std::fmt::Debug;

pub use containerd::Containerd;
pub(crate) use containerd::KUBERNETES;
pub use cri::{Cri, Pod};
pub use daemon::Daemon;
pub use engine::Engine;
pub use oci::Oci;
pub(crate) use oci::config as oci_config;
pub use spec::ContainerSpec;

use crate::command::Cmd;
use crate::{Node, Snapshot};

/// A container that was started.
#[derive(Clone, Debug)]
pub struct Container {
    /// The runtime's full ID.
    pub id: String,
    /// The process ID of its init, as the node counts.
    pub pid: u32,
    /// What was asked for.
    pub spec: ContainerSpec,
}

/// A container runtime on a node. Its daemon ends when it is dropped, its containers with the node.
pub trait Runtime: Debug + Send + Sync {
    /// The runtime's name, for messages.
    fn name(&self) -> String;

    /// The node it is on.
    fn node(&self) -> &Node;

    /// Starts a container, in the background.
    ///
    /// # Panics
    /// If that fails, or the runtime cannot do what the spec asks for.
    fn run(&self, spec: &ContainerSpec) -> Container;

    /// The runtime's own way to run a command in a container: what ours is compared with.
    fn exec(&self, container: &Container, argv: &[&str]) -> Cmd;

    /// As [`Runtime::exec`], for a command that reads its standard input.
    fn exec_stdin(&self, container: &Container, argv: &[&str]) -> Cmd {
        self.exec(container, argv)
    }

    /// Freezes the container.
    fn pause(&self, container: &Container);

    /// Thaws the container.
    fn unpause(&self, container: &Container);

    /// Kills the container's init; what the runtime knows of the container stays.
    fn stop(&self, container: &Container);

    /// Removes the container, running or not.
    fn remove(&self, container: &Container);

    /// The daemon, if the runtime has one.
    fn daemon(&self) -> Option<&Daemon> {
        None
    }

    /// Runs the container while `body` runs, and fails if something of it is left afterwards.
    fn with(&self, spec: &ContainerSpec, body: &mut dyn FnMut(&Container)) {
        let before: Snapshot = self.node().snapshot();
        let container = self.run(spec);
        body(&container);
        self.remove(&container);
        before.assert_same(self.node());
    }
}

/// The runtimes that tests can ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// containerd 1.6 with runc 1.1: Debian 12's.
    Containerd16,
    /// containerd 1.6 with crun.
    Containerd16Crun,
    /// containerd 2.2 with runc 1.5. (Debian 12's crun does not know its OCI version.)
    Containerd22,
    /// Docker 20.10 with its own containerd.
    Docker,
    /// Podman 4.3, root's, with crun.
    Podman,
    /// Podman 4.3, a user's, with crun.
    PodmanRootless,
    /// runc 1.1 alone.
    Runc11,
    /// runc 1.5 alone.
    Runc15,
    /// crun alone.
    Crun,
}

impl Kind {
    /// Every runtime.
    pub const ALL: [Self; 9] = [
        Self::Containerd16,
        Self::Containerd16Crun,
        Self::Containerd22,
        Self::Docker,
        Self::Podman,
        Self::PodmanRootless,
        Self::Runc11,
        Self::Runc15,
        Self::Crun,
    ];

    /// Starts the runtime, with all the images loaded. A node has room for one of a family.
    ///
    /// # Panics
    /// If it does not come up; with the end of its log.
    pub fn start(self, node: &Node) -> Box<dyn Runtime> {
        match self {
            Self::Containerd16 | Self::Containerd16Crun | Self::Containerd22 => {
                Box::new(Containerd::of(self, node))
            }
            Self::Docker => Box::new(Engine::docker(node)),
            Self::Podman => Box::new(Engine::podman(node)),
            Self::PodmanRootless => Box::new(Engine::podman_rootless(node)),
            Self::Runc11 => Box::new(Oci::new(node, "/usr/sbin/runc")),
            Self::Runc15 => Box::new(Oci::new(node, &oci::new_runc())),
            Self::Crun => Box::new(Oci::new(node, "/usr/bin/crun")),
        }
    }
}
