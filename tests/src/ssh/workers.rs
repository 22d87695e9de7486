//! The way by SSH to a cluster's workers.

use std::fmt::Write as _;

use super::{KEY, KNOWN_HOSTS, Sshd, make_key, public_key};
use crate::{Cluster, Node};

impl Cluster {
    /// Starts an sshd on each worker, with cnsenter. They let root of this machine in, who knows them.
    ///
    /// # Panics
    /// If one does not come up.
    pub fn let_in(&self, machine: &Node) -> Vec<Sshd> {
        make_key(machine, KEY);
        let key = public_key(machine, KEY);
        let mut known = String::new();
        let sshds = self.workers.iter().map(|worker| {
            worker.node.cnsenter(["--version"]).ok();
            let sshd = Sshd::start(&worker.node);
            sshd.authorize("root", &key);
            let _ = writeln!(known, "{} {}", worker.address, sshd.host_key());
            sshd
        });
        let sshds = sshds.collect();
        machine.write(KNOWN_HOSTS, known);
        sshds
    }
}
