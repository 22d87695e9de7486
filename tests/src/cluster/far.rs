//! The same API server, far away.

use std::time::Duration;

use super::{Cluster, control_plane};
use crate::{Live, cache};

/// Where the relay listens, beside the API server.
const PORT: &str = "127.0.0.1:7443";

/// A long way to the API server, for as long as this lives.
#[derive(Debug)]
pub struct Far {
    /// The administrator's kubeconfig for it, on the cluster's machine.
    pub kubeconfig: String,
    _relay: Live,
}

impl Cluster {
    /// The API server through a network of this round trip.
    pub fn far(&self, round_trip: Duration) -> Far {
        let each_way = (round_trip / 2).as_millis().to_string();
        let relay = cache::helper().into_os_string();
        let words = ["relay", PORT, "127.0.0.1:6443", &each_way].map(Into::into);
        let relay = self.machine.command([relay].into_iter().chain(words));
        let relay = relay.deadline(Duration::MAX / 4).spawn();
        let near = self.machine.read(control_plane::ADMIN);
        let kubeconfig = "/etc/kubernetes/far.conf".to_owned();
        let far = near.replace(&self.url(), &format!("https://{PORT}"));
        self.machine.write(&kubeconfig, far);
        let listens = format!(
            "until (exec 3<>/dev/tcp/{}) 2>&-; do :; done",
            PORT.replace(':', "/")
        );
        self.machine.command(["bash", "-c", &listens]).ok();
        Far {
            kubeconfig,
            _relay: relay,
        }
    }
}
