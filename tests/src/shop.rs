//! Pods for sessions to enter.

use cnsenter_protocol::{Profile, Request, Target};

use crate::{ContainerSpec, Cri, Daemon, Kind, Node, Pod, Runtime, SessionClient};

/// A node with containerd and two pods of the namespace "shop": "web", whose one container is
/// "app", and "db".
#[derive(Debug)]
pub struct Shop {
    /// The node.
    pub node: Node,
    web: Pod,
    db: Pod,
    runtime: Box<dyn Runtime>,
}

impl Shop {
    /// Starts all of that.
    pub fn open() -> Self {
        let node = Node::start();
        let runtime = Kind::Containerd22.start(&node);
        let mut cri = Cri::connect(&node, "/run/containerd/containerd.sock");
        // Its init buries what is orphaned in it.
        let spec = |name| ContainerSpec::new(name, ["sh", "-c", "sleep 1000000 & wait"]);
        let web = cri.run("shop", "web", &[spec("app")]);
        let db = cri.run("shop", "db", &[spec("db")]);
        node.cnsenter(["--version"]).ok();
        Self {
            node,
            web,
            db,
            runtime,
        }
    }

    /// All that kpexec says of the container in the pod "web".
    pub fn web(&self) -> Target {
        Self::target(&self.web, "app")
    }

    /// The node's process ID of the init of that container.
    pub fn web_pid(&self) -> u32 {
        self.web.containers[0].pid
    }

    /// Its containerd.
    ///
    /// # Panics
    /// Never: it has one.
    pub fn containerd(&self) -> &Daemon {
        self.runtime.daemon().expect("containerd is a daemon")
    }

    /// And in the pod "db".
    pub fn db(&self) -> Target {
        Self::target(&self.db, "db")
    }

    fn target(pod: &Pod, container: &str) -> Target {
        let id = &pod.containers[0].id;
        Target {
            uid: Some(pod.uid.clone()),
            container: Some(container.to_owned()),
            container_id: Some(format!("containerd://{id}")),
            ..Target::pod(&pod.namespace, &pod.name)
        }
    }

    /// A request for a command in the pod "web".
    pub fn request(&self, command: &[&str]) -> Request {
        let command = command.iter().map(|word| word.as_bytes().to_vec());
        Request::new(self.web(), Profile::Full, command.collect())
    }

    /// A script in the pod "web".
    pub fn sh(&self, script: &str) -> SessionClient {
        SessionClient::start(&self.node, &self.request(&["sh", "-c", script]))
    }
}
