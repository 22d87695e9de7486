//! etcd, the API server, the controller manager and the scheduler, on a machine of their own.

use crate::Node;
use crate::runtime::Daemon;

use super::pki::{self, Authority};
use super::{ClusterSpec, audit, kubernetes};

/// Where the files of the control plane are, as kubeadm has it.
const FOLDER: &str = "/etc/kubernetes";

/// Whose kubeconfig it is that may do everything.
pub(super) const ADMIN: &str = "/etc/kubernetes/admin.conf";

const ETCD: &str = "http://127.0.0.1:2379";

/// What the API server is reached as by Kubernetes' own pods.
const SERVICE_ADDRESS: &str = "10.96.0.1";

/// The daemons of a control plane. They end when this is dropped.
#[derive(Debug)]
pub(super) struct ControlPlane {
    node: Node,
    pub(super) api_server: Daemon,
    pub(super) etcd: Daemon,
    _controllers: Daemon,
    _scheduler: Daemon,
}

impl ControlPlane {
    /// Starts the daemons, and waits for the API server.
    pub(super) fn start(
        node: &Node,
        address: &str,
        authority: &Authority,
        spec: &ClusterSpec,
    ) -> Self {
        write_keys(node, address, authority);
        let etcd = etcd(node);
        let api_server = api_server(node, address, spec);
        answers(node, &api_server);
        Self {
            node: node.clone(),
            api_server,
            etcd,
            _controllers: controllers(node),
            _scheduler: scheduler(node),
        }
    }

    /// Waits until the API server answers.
    pub(super) fn wait(&self) {
        answers(&self.node, &self.api_server);
    }
}

/// The API server as its clients name it.
pub(super) fn url(address: &str) -> String {
    format!("https://{address}:6443")
}

fn write_keys(node: &Node, address: &str, authority: &Authority) {
    node.write(format!("{FOLDER}/pki/ca.crt"), authority.certificate());
    let names = [
        "localhost",
        "kubernetes.default.svc",
        "127.0.0.1",
        SERVICE_ADDRESS,
        address,
    ];
    let masters = Some("system:masters");
    for (file, user, group, names) in [
        ("apiserver", "kube-apiserver", None, &names[..]),
        (
            "kubelet-client",
            "kube-apiserver-kubelet-client",
            masters,
            &[],
        ),
    ] {
        let identity = authority.issue(user, group, names);
        node.write(format!("{FOLDER}/pki/{file}.crt"), identity.certificate);
        node.write(format!("{FOLDER}/pki/{file}.key"), identity.key);
    }
    let accounts = pki::key();
    node.write(format!("{FOLDER}/pki/sa.pub"), accounts.public_key_pem());
    node.write(format!("{FOLDER}/pki/sa.key"), accounts.serialize_pem());
    for (file, user, group) in [
        ("admin", "admin", masters),
        ("controller-manager", "system:kube-controller-manager", None),
        ("scheduler", "system:kube-scheduler", None),
    ] {
        let identity = authority.issue(user, group, &[]);
        let config = authority.kubeconfig(&url(address), &identity);
        node.write(format!("{FOLDER}/{file}.conf"), config);
    }
}

fn etcd(node: &Node) -> Daemon {
    // Its data is in memory, as all of the node's /var/lib is that no container needs on a disk.
    let words = [
        "/usr/bin/etcd",
        "--data-dir=/var/lib/etcd",
        &format!("--listen-client-urls={ETCD}"),
        &format!("--advertise-client-urls={ETCD}"),
        "--listen-peer-urls=http://127.0.0.1:2380",
    ];
    Daemon::spawn("etcd", node, &words, "/usr/bin")
}

fn api_server(node: &Node, address: &str, spec: &ClusterSpec) -> Daemon {
    let pki = |file: &str| format!("{FOLDER}/pki/{file}");
    let mut flags = vec![
        format!("--etcd-servers={ETCD}"),
        format!("--advertise-address={address}"),
        "--secure-port=6443".to_owned(),
        "--service-cluster-ip-range=10.96.0.0/16".to_owned(),
        "--allow-privileged=true".to_owned(),
        "--authorization-mode=Node,RBAC".to_owned(),
        "--enable-admission-plugins=NodeRestriction".to_owned(),
        "--kubelet-preferred-address-types=InternalIP".to_owned(),
        "--service-account-issuer=https://kubernetes.default.svc".to_owned(),
    ];
    for (flag, file) in [
        ("client-ca-file", "ca.crt"),
        ("tls-cert-file", "apiserver.crt"),
        ("tls-private-key-file", "apiserver.key"),
        ("kubelet-client-certificate", "kubelet-client.crt"),
        ("kubelet-client-key", "kubelet-client.key"),
        ("service-account-key-file", "sa.pub"),
        ("service-account-signing-key-file", "sa.key"),
    ] {
        flags.push(format!("--{flag}={}", pki(file)));
    }
    for (gate, on) in &spec.api_server_gates {
        flags.push(format!("--feature-gates={gate}={on}"));
    }
    if spec.audit_log {
        flags.extend(audit::prepare(node));
    }
    spawn(node, "kube-apiserver", &flags)
}

/// kubectl takes its time: first see whether there is somebody to be asked.
fn answers(node: &Node, api_server: &Daemon) {
    let kubectl = kubernetes().join("kubectl");
    let probe = format!(
        "exec 3<>/dev/tcp/127.0.0.1/6443 && {} --kubeconfig={ADMIN} get --raw /readyz",
        kubectl.display()
    );
    api_server.answers(&node.command(["bash", "-c", &probe]));
}

fn controllers(node: &Node) -> Daemon {
    let flags = [
        format!("--kubeconfig={FOLDER}/controller-manager.conf"),
        format!("--service-account-private-key-file={FOLDER}/pki/sa.key"),
        format!("--root-ca-file={FOLDER}/pki/ca.crt"),
        "--use-service-account-credentials".to_owned(),
        "--leader-elect=false".to_owned(),
        // No test should wait because the tests before it had much done.
        "--kube-api-qps=500".to_owned(),
        "--kube-api-burst=1000".to_owned(),
    ];
    spawn(node, "kube-controller-manager", &flags)
}

fn scheduler(node: &Node) -> Daemon {
    let flags = [
        format!("--kubeconfig={FOLDER}/scheduler.conf"),
        "--leader-elect=false".to_owned(),
    ];
    spawn(node, "kube-scheduler", &flags)
}

fn spawn(node: &Node, program: &str, flags: &[String]) -> Daemon {
    let path = kubernetes().join(program).display().to_string();
    let words: Vec<_> = [&path]
        .into_iter()
        .chain(flags)
        .map(String::as_str)
        .collect();
    Daemon::spawn(program, node, &words, "/usr/bin")
}
