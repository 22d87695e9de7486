//! A user's own machine, on the cluster's network.

use std::ffi::{OsStr, OsString};
use std::net::Ipv4Addr;

use super::Cluster;
use crate::{Cmd, Node, cache};

/// A machine from which somebody who may do everything uses the cluster.
#[derive(Debug)]
pub struct Laptop<'a> {
    cluster: &'a Cluster,
    /// The machine.
    pub node: Node,
    address: Ipv4Addr,
}

impl Cluster {
    /// A laptop on the cluster's network.
    pub fn laptop(&self) -> Laptop<'_> {
        let node = Node::start();
        let address = self.attach(&node);
        let kubeconfig = self.machine.read(super::control_plane::ADMIN);
        node.write("/root/.kube/config", kubeconfig);
        Laptop {
            cluster: self,
            node,
            address,
        }
    }
}

impl Laptop<'_> {
    /// `kpexec` on this machine.
    pub fn kpexec<S: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = S>) -> Cmd {
        let program: OsString = cache::kpexec().into();
        let words = arguments.into_iter().map(|word| word.as_ref().to_owned());
        self.node.command([program].into_iter().chain(words))
    }

    /// Drops every packet from and to this machine, without a word to anybody.
    pub fn cut(&self) {
        self.cluster.cut(self.address);
    }

    /// Undoes [`Laptop::cut`].
    pub fn mend(&self) {
        self.cluster.mend(self.address);
    }
}
