//! A machine that runs pods: containerd and a kubelet.

use std::net::Ipv4Addr;

use serde_json::json;

use super::pki::Authority;
use super::{ClusterSpec, PodSpec, control_plane, kubernetes};
use crate::node::SCRATCH;
use crate::runtime::{Containerd, Daemon, KUBERNETES, Kind};
use crate::{Cmd, Node};

/// Where the kubelet's files are.
const FOLDER: &str = "/etc/kubernetes";

/// The manifests of static pods.
const STATIC_PODS: &str = "/etc/kubernetes/manifests";

/// The kubelet sets these for the whole machine, which here is the host: it is shown copies. Not to
/// the whole node: a /proc with something mounted on it cannot be mounted anew in a user namespace.
const START: &str = r#"
mount --make-rprivate /proc
for name in vm/overcommit_memory vm/panic_on_oom kernel/panic kernel/panic_on_oops \
    kernel/keys/root_maxkeys kernel/keys/root_maxbytes
do
    copy=/run/kubelet-sysctl/$name
    mkdir -p "${copy%/*}"
    cat "/proc/sys/$name" >"$copy"
    mount --bind "$copy" "/proc/sys/$name"
done
exec "$0" "$@"
"#;

/// A worker of a cluster.
#[derive(Debug)]
pub struct Worker {
    /// Its name in the cluster.
    pub name: String,
    /// The machine.
    pub node: Node,
    /// Its address in the cluster's network.
    pub address: Ipv4Addr,
    /// Its runtime.
    pub containerd: Containerd,
    /// Its kubelet.
    pub kubelet: Daemon,
}

/// A worker that has its containerd and waits for an API server.
pub(super) struct Prepared {
    pub(super) name: String,
    pub(super) node: Node,
    pub(super) address: Ipv4Addr,
    containerd: Containerd,
}

impl Prepared {
    /// Starts containerd, which takes longest, because of its images.
    pub(super) fn new(name: String, kind: Kind, node: Node, address: Ipv4Addr) -> Self {
        let containerd = Containerd::of(kind, &node);
        Self {
            name,
            node,
            address,
            containerd,
        }
    }

    /// Starts the kubelet.
    pub(super) fn join(self, server: &str, authority: &Authority, spec: &ClusterSpec) -> Worker {
        let kubelet = kubelet(&self, server, authority, spec);
        let Self {
            name,
            node,
            address,
            containerd,
        } = self;
        Worker {
            name,
            node,
            address,
            containerd,
            kubelet,
        }
    }
}

impl Worker {
    /// Loads an archive into the images that pods can have.
    pub fn load_image(&self, name: &str, archive: &[u8]) {
        let place = format!("{SCRATCH}/{name}");
        self.node.write(&place, archive);
        self.containerd.import(KUBERNETES, &place);
    }

    /// Has the kubelet run a pod that no API server has asked for; its name ends in the worker's.
    pub fn run_static(&self, pod: &PodSpec) {
        let file = format!("{STATIC_PODS}/{}.json", pod.name());
        self.node.write(file, pod.manifest().to_string());
    }

    /// `ctr` among the kubelet's containers.
    pub fn ctr(&self, arguments: &[&str]) -> Cmd {
        let words = ["-n", KUBERNETES];
        self.containerd.ctr(words.iter().chain(arguments))
    }
}

fn kubelet(worker: &Prepared, server: &str, authority: &Authority, spec: &ClusterSpec) -> Daemon {
    let Prepared {
        name,
        node,
        address,
        ..
    } = worker;
    let address = address.to_string();
    let user = format!("system:node:{name}");
    let identity = authority.issue(&user, Some("system:nodes"), &[name, &address]);
    node.write(
        format!("{FOLDER}/kubelet.conf"),
        authority.kubeconfig(&control_plane::url(server), &identity),
    );
    node.write(format!("{FOLDER}/pki/ca.crt"), authority.certificate());
    node.write(format!("{FOLDER}/pki/kubelet.crt"), identity.certificate);
    node.write(format!("{FOLDER}/pki/kubelet.key"), identity.key);
    node.write(format!("{FOLDER}/kubelet.yaml"), configuration(spec));
    node.command(["mkdir", "-p", STATIC_PODS]).ok();

    let program = kubernetes().join("kubelet").display().to_string();
    let words = [
        "unshare",
        "--mount",
        // What it mounts for pods must be seen by containerd.
        "--propagation=unchanged",
        "sh",
        "-ec",
        START,
        &program,
        &format!("--config={FOLDER}/kubelet.yaml"),
        &format!("--kubeconfig={FOLDER}/kubelet.conf"),
        &format!("--hostname-override={name}"),
        &format!("--node-ip={address}"),
    ];
    Daemon::spawn("kubelet", node, &words, "/usr/bin")
}

fn configuration(spec: &ClusterSpec) -> String {
    let gates = spec
        .kubelet_gates
        .iter()
        .map(|&(gate, on)| (gate.to_owned(), json!(on)));
    let gates: serde_json::Map<_, _> = gates.collect();
    // However full the host's disk and memory are, pods stay.
    let never = json!({
        "memory.available": "0%",
        "nodefs.available": "0%",
        "nodefs.inodesFree": "0%",
        "imagefs.available": "0%",
        "imagefs.inodesFree": "0%",
    });
    let configuration = json!({
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "authentication": {
            "anonymous": { "enabled": false },
            "webhook": { "enabled": true },
            "x509": { "clientCAFile": format!("{FOLDER}/pki/ca.crt") },
        },
        "authorization": { "mode": "Webhook" },
        "tlsCertFile": format!("{FOLDER}/pki/kubelet.crt"),
        "tlsPrivateKeyFile": format!("{FOLDER}/pki/kubelet.key"),
        "containerRuntimeEndpoint": "unix:///run/containerd/containerd.sock",
        "cgroupDriver": "cgroupfs",
        "failCgroupV1": false,
        "failSwapOn": false,
        "enforceNodeAllocatable": [],
        "evictionHard": never,
        // Made before the first pod is put there: the kubelet watches only what it has found.
        "staticPodPath": STATIC_PODS,
        "fileCheckFrequency": "1s",
        "imageGCHighThresholdPercent": 100,
        "clusterDNS": ["10.96.0.10"],
        // Its default is below /usr, which is the host's.
        "volumePluginDir": "/var/lib/kubelet/plugins",
        "featureGates": gates,
    });
    configuration.to_string()
}
