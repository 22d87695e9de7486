//! Users of the cluster.

use std::ffi::OsStr;

use super::Cluster;
use super::pki::Identity;
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
        Self::of(cluster, name, &cluster.authority.issue(name, None, &[]))
    }

    pub(super) fn expired(cluster: &'a Cluster, name: &str) -> Self {
        Self::of(cluster, name, &cluster.authority.issue_expired(name))
    }

    fn of(cluster: &'a Cluster, name: &str, identity: &Identity) -> Self {
        let kubeconfig = cluster.authority.kubeconfig(&cluster.url(), identity);
        let file = format!("/etc/kubernetes/users/{name}.conf");
        cluster.machine.write(&file, &kubeconfig);
        Self {
            cluster,
            name: name.to_owned(),
            kubeconfig,
            file,
        }
    }

    /// Grants every right there is.
    pub fn make_admin(&self) {
        let role = [
            "--clusterrole=cluster-admin",
            &format!("--user={}", self.name),
        ];
        let words = ["create", "clusterrolebinding", &self.name]
            .into_iter()
            .chain(role);
        self.cluster.kubectl(words).ok();
    }

    /// `kubectl` of this user.
    pub fn kubectl<S: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = S>) -> Cmd {
        self.cluster.kubectl_as(&self.file, arguments)
    }
}
