//! A Kubernetes cluster: a control plane and workers, each a [`Node`] on a network of their own.
//!
//! A cluster takes ten seconds to start, so the tests of a suite share one, in a `static`, and each
//! test has a [`Namespace`] in it. When the cluster is dropped, or the test process ends for
//! whatever reason, all of its machines are gone.
//!
//! ```no_run
//! use std::sync::OnceLock;
//! use kpexec_tests::{Cluster, ClusterSpec, cluster::PodSpec};
//!
//! fn cluster() -> &'static Cluster {
//!     static CLUSTER: OnceLock<Cluster> = OnceLock::new();
//!     CLUSTER.get_or_init(|| Cluster::start(&ClusterSpec::default()))
//! }
//!
//! let shop = cluster().namespace();
//! shop.run(&PodSpec::locked_down("cart").on("node-1"));
//! let id = shop.kubectl(["exec", "cart", "--", "id", "-u"]).ok();
//! assert_eq!(id, "1000");
//! ```

mod audit;
mod control_plane;
mod far;
mod kpexec;
mod laptop;
mod namespace;
mod network;
mod nodepause;
mod pki;
mod pod;
mod user;
mod worker;

use std::ffi::OsStr;
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::thread;
use std::time::Duration;

pub use far::Far;
pub use laptop::Laptop;
pub use namespace::Namespace;
pub use network::Network;
pub use nodepause::nodepause_image;
pub use pod::PodSpec;
pub use user::User;
pub use worker::Worker;

use crate::runtime::{Daemon, Kind};
use crate::{Cache, Cmd, Node};
use control_plane::ControlPlane;

use pki::Authority;
use worker::Prepared;

/// How long kubectl may wait for something; other builds may run on this machine.
const PATIENCE: &str = "--timeout=100s";

/// A deadline for kubectl that is longer than its own.
const DEADLINE: Duration = Duration::from_secs(110);

/// What a cluster is made of. The default: `node-1` has containerd 2.2, `node-2` containerd 1.6.
#[derive(Clone, Debug)]
pub struct ClusterSpec {
    workers: Vec<Kind>,
    api_server_gates: Vec<(&'static str, bool)>,
    kubelet_gates: Vec<(&'static str, bool)>,
    audit_log: bool,
}

impl Default for ClusterSpec {
    fn default() -> Self {
        Self::of(&[Kind::Containerd22, Kind::Containerd16])
    }
}

impl ClusterSpec {
    /// Workers with these containerds, named `node-1` and so on.
    pub fn of(workers: &[Kind]) -> Self {
        Self {
            workers: workers.to_vec(),
            api_server_gates: Vec::new(),
            kubelet_gates: Vec::new(),
            audit_log: false,
        }
    }

    /// With [`Cluster::calls_of`].
    pub fn with_audit_log(mut self) -> Self {
        self.audit_log = true;
        self
    }

    /// Exec as servers before 1.30 speak it: WebSocket protocol v4, which has no half close.
    pub fn with_old_exec(mut self) -> Self {
        self.api_server_gates
            .push(("TranslateStreamCloseWebsocketRequests", false));
        self.kubelet_gates
            .push(("ExtendWebSocketsToKubelet", false));
        self
    }
}

/// A cluster that is running, with its nodes ready.
#[derive(Debug)]
pub struct Cluster {
    /// The machine of the control plane, where kubectl is run. Commands on it find `kubectl` in
    /// PATH only if they are made by [`Cluster::kubectl`] or [`Cluster::command`].
    pub machine: Node,
    /// The machines that run pods.
    pub workers: Vec<Worker>,
    control_plane: ControlPlane,
    network: Network,
    authority: Authority,
}

impl Cluster {
    /// Starts a cluster and waits until its nodes are ready.
    ///
    /// # Panics
    /// If it does not come up; with the end of a log.
    pub fn start(spec: &ClusterSpec) -> Self {
        let machine = Node::start();
        let network = Network::on(&machine);
        let authority = Authority::new();
        let address = network.gateway().to_string();
        let plugged: Vec<_> = spec
            .workers
            .iter()
            .map(|&kind| {
                let node = Node::start();
                let address = network.attach(&node);
                (kind, node, address)
            })
            .collect();

        let (control_plane, workers) = thread::scope(|scope| {
            let workers: Vec<_> = (1..)
                .zip(plugged)
                .map(|(number, (kind, node, address))| {
                    let name = format!("node-{number}");
                    scope.spawn(move || Prepared::new(name, kind, node, address))
                })
                .collect();
            let control_plane = ControlPlane::start(&machine, &address, &authority, spec);
            let joined = workers.into_iter().map(|worker| {
                let worker = worker
                    .join()
                    .expect("containerd starts (why not is said above)");
                worker.join(&address, &authority, spec)
            });
            (control_plane, joined.collect())
        });
        let cluster = Self {
            machine,
            workers,
            control_plane,
            network,
            authority,
        };
        cluster.wait();
        cluster
    }

    fn wait(&self) {
        for worker in &self.workers {
            let node = format!("node/{}", worker.name);
            // One at a time: kubectl does not wait for several to be created.
            for state in ["--for=create", "--for=condition=Ready"] {
                let words = ["wait", PATIENCE, state, &node];
                let output = self.kubectl(words).deadline(DEADLINE).run();
                assert!(
                    output.code == 0,
                    "{output}\nthe kubelet, last line first:\n{}",
                    worker.kubelet.log_backwards(20)
                );
            }
        }
        self.wait_for_account("default");
    }

    /// Waits until a namespace takes pods.
    fn wait_for_account(&self, namespace: &str) {
        let account = ["--for=create", "serviceaccount/default", "-n", namespace];
        self.kubectl(["wait", PATIENCE].into_iter().chain(account))
            .deadline(DEADLINE)
            .ok();
    }

    /// `kubectl` of somebody who may do everything.
    pub fn kubectl<S: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = S>) -> Cmd {
        self.kubectl_as(control_plane::ADMIN, arguments)
    }

    fn kubectl_as<S: AsRef<OsStr>>(
        &self,
        config: &str,
        arguments: impl IntoIterator<Item = S>,
    ) -> Cmd {
        let words = arguments.into_iter().map(|word| word.as_ref().to_owned());
        self.command(["kubectl".into()].into_iter().chain(words))
            .env("KUBECONFIG", config)
    }

    /// A command on the control plane's machine, with kubectl in PATH and the administrator's
    /// KUBECONFIG.
    pub fn command<S: AsRef<OsStr>>(&self, argv: impl IntoIterator<Item = S>) -> Cmd {
        self.machine
            .command(argv)
            .path_first(kubernetes())
            .env("KUBECONFIG", control_plane::ADMIN)
    }

    /// Makes or changes what a manifest describes, in YAML or in JSON.
    ///
    /// # Panics
    /// If the API server refuses.
    pub fn apply(&self, manifest: &str) {
        self.kubectl(["apply", "-f", "-"]).stdin(manifest).ok();
    }

    /// A namespace for one test, which may hold any pod.
    pub fn namespace(&self) -> Namespace<'_> {
        Namespace::make(self)
    }

    /// Somebody who may do nothing until a role is bound to the name.
    pub fn user(&self, name: &str) -> User<'_> {
        User::make(self, name)
    }

    /// Somebody whose certificate has expired.
    pub fn expired_user(&self, name: &str) -> User<'_> {
        User::expired(self, name)
    }

    /// The worker of this name.
    ///
    /// # Panics
    /// If there is none.
    pub fn worker(&self, name: &str) -> &Worker {
        let worker = self.workers.iter().find(|worker| worker.name == name);
        worker.unwrap_or_else(|| panic!("no worker is called {name}"))
    }

    /// Loads an archive of an image on every worker.
    pub fn load_image(&self, name: &str, archive: &[u8]) {
        for worker in &self.workers {
            worker.load_image(name, archive);
        }
    }

    /// Plugs another machine into the cluster's network, such as a user's laptop; gives its
    /// address.
    pub fn attach(&self, node: &Node) -> Ipv4Addr {
        self.network.attach(node)
    }

    /// Drops every packet of the machine of this address, without a word to anybody.
    pub fn cut(&self, address: Ipv4Addr) {
        self.network.cut(address);
    }

    /// Undoes [`Cluster::cut`].
    pub fn mend(&self, address: Ipv4Addr) {
        self.network.mend(address);
    }

    /// The API server as kubeconfigs name it, on the machine or from any machine attached.
    pub fn url(&self) -> String {
        control_plane::url(&self.network.gateway().to_string())
    }

    /// The path of kubectl, on every machine.
    pub fn kubectl_program(&self) -> String {
        kubernetes().join("kubectl").display().to_string()
    }

    /// Waits until the API server answers, as after [`Daemon::restart`].
    pub fn wait_for_api_server(&self) {
        self.control_plane.wait();
    }

    /// etcd, without which the API server knows nothing.
    pub fn etcd(&self) -> &Daemon {
        &self.control_plane.etcd
    }

    /// The API server: to be stopped, and resumed.
    pub fn api_server(&self) -> &Daemon {
        &self.control_plane.api_server
    }
}

/// The folder with Kubernetes' programs.
pub(crate) fn kubernetes() -> PathBuf {
    Cache::here().part("kubernetes", "k8s.io/kubernetes")
}
