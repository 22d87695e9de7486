//! Users of the cluster.

use std::ffi::OsStr;

use super::Cluster;
use crate::Cmd;

/// Somebody with a client certificate.
#[derive(Debug)]
pub struct User<'a> {
    pub(super) cluster: &'a Cluster,
    /// The name that roles are bound to.
    pub name: String,
    /// A kubeconfig that needs no other file; it serves on every machine of the network.
    pub kubeconfig: String,
    pub(super) file: String,
}

impl<'a> User<'a> {
    pub(super) fn make(cluster: &'a Cluster, name: &str) -> Self {
        let identity = cluster.authority.issue(name, None, &[]);
        let kubeconfig = cluster.authority.kubeconfig(&cluster.url(), &identity);
        let file = format!("/etc/kubernetes/users/{name}.conf");
        cluster.machine.write(&file, &kubeconfig);
        Self {
            cluster,
            name: name.to_owned(),
            kubeconfig,
            file,
        }
    }

    /// `kubectl` of this user.
    pub fn kubectl<S: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = S>) -> Cmd {
        self.cluster.kubectl_as(&self.file, arguments)
    }
}
