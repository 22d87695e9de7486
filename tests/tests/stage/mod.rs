//! Where attacks take place.

use kpexec_tests::{Container, ContainerSpec, Kind, Node, Runtime};

/// A container of runc's, cnsenter, and whoever attacks.
pub(crate) struct Stage {
    pub(crate) node: Node,
    pub(crate) runtime: Box<dyn Runtime>,
    pub(crate) container: Container,
}

impl Stage {
    pub(crate) fn new(spec: ContainerSpec) -> Self {
        let node = Node::start();
        let runtime = Kind::Runc11.start(&node);
        let container = runtime.run(&spec);
        node.cnsenter(["--version"]).ok();
        Self {
            node,
            runtime,
            container,
        }
    }

    /// A path of the container's, on the node.
    pub(crate) fn inside(&self, path: &str) -> String {
        format!("/proc/{}/root{path}", self.container.pid)
    }
}

/// A container that may do all that a container can.
pub(crate) fn strong() -> ContainerSpec {
    ContainerSpec::sleeper("web").privileged()
}
