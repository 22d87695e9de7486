//! The same through `kubectl exec` and through `kpexec`: to containers of both containerds, by an API
//! server of today, by one that speaks as they did before 1.30, and by SSH. What is printed and the exit
//! codes agree, or it is written down here why not.

mod arguments;
mod locked_down;
mod signals;
mod streams;
mod table;
mod terminals;

use std::ffi::OsStr;
use std::sync::OnceLock;
use std::thread;

use kpexec_tests::cluster::{Namespace, PodSpec};
use kpexec_tests::ssh::Sshd;
use kpexec_tests::{Cluster, ClusterSpec, Cmd, Node, Output};
use serde_json::json;

/// A test on each node of both clusters, and by SSH.
macro_rules! on_each_node {
    ($($check:ident)*) => {$(
        mod $check {
            #[test]
            fn on_containerd_2_2() {
                super::$check($crate::Site::get(0));
            }

            #[test]
            fn on_containerd_1_6() {
                super::$check($crate::Site::get(1));
            }

            #[test]
            fn on_containerd_2_2_by_an_old_server() {
                super::$check($crate::Site::get(2));
            }

            #[test]
            fn on_containerd_1_6_by_an_old_server() {
                super::$check($crate::Site::get(3));
            }

            #[test]
            fn on_containerd_2_2_by_ssh() {
                super::$check($crate::Site::get(4));
            }

            #[test]
            fn on_containerd_1_6_by_ssh() {
                super::$check($crate::Site::get(5));
            }
        }
    )*};
}
pub(crate) use on_each_node;

/// A node of one of the clusters, and a namespace with pods on it:
///
/// - `web` has one container, which may do what containers may by default;
/// - `two` has the containers two and helper, the init container side and the ephemeral one probe;
/// - `chosen` has two containers, of which an annotation names the second;
/// - `locked` may do nothing at all.
struct Site {
    shop: Namespace<'static>,
    node: &'static str,
    by_ssh: bool,
}

/// How many sites there are.
const SITES: usize = 6;

impl Site {
    fn get(number: usize) -> &'static Self {
        static TODAYS: OnceLock<(Cluster, Vec<Sshd>)> = OnceLock::new();
        static OLD: OnceLock<Cluster> = OnceLock::new();
        static ALL: [OnceLock<Site>; SITES] = [const { OnceLock::new() }; SITES];
        let start = |spec: ClusterSpec| {
            let cluster = Cluster::start(&spec);
            cluster.install_nodepause();
            cluster
        };
        ALL[number].get_or_init(|| {
            let spec = ClusterSpec::default();
            let cluster = match number {
                2 | 3 => OLD.get_or_init(|| start(spec.with_old_exec())),
                _ => {
                    let (cluster, _) = TODAYS.get_or_init(|| {
                        let cluster = start(spec);
                        let sshds = cluster.let_in(&cluster.machine);
                        (cluster, sshds)
                    });
                    cluster
                }
            };
            Self::open(cluster, ["node-1", "node-2"][number % 2], number >= 4)
        })
    }

    fn open(cluster: &'static Cluster, node: &'static str, by_ssh: bool) -> Self {
        let shop = cluster.namespace();
        let sidecar = PodSpec::sleeper("side").manifest()["spec"]["containers"][0].clone();
        let mut sidecar = json!([sidecar]);
        sidecar[0]["restartPolicy"] = json!("Always");
        let two = PodSpec::sleeper("two").container("helper");
        let mut chosen = PodSpec::sleeper("chosen")
            .container("helper")
            .on(node)
            .manifest();
        let annotation = "kubectl.kubernetes.io/default-container";
        chosen["metadata"]["annotations"] = json!({ annotation: "helper" });
        for pod in [
            PodSpec::sleeper("web").on(node).manifest(),
            two.with("initContainers", sidecar).on(node).manifest(),
            PodSpec::locked_down("locked").on(node).manifest(),
            chosen,
        ] {
            shop.apply(&pod.to_string());
        }
        for pod in ["web", "two", "locked", "chosen"] {
            shop.wait("condition=Ready", &format!("pod/{pod}"));
        }
        let debug = "debug two --profile=general -c probe --image-pull-policy=Never";
        let image = [
            "--image=docker.io/kpexec/busybox:1",
            "--",
            "sleep",
            "1000000",
        ];
        shop.kubectl(debug.split(' ').chain(image)).ok();
        let running = "jsonpath={.status.ephemeralContainerStatuses[0].state.running.startedAt}";
        shop.wait(running, "pod/two");
        Self { shop, node, by_ssh }
    }

    /// The same words to both, and what is on their stdin: what kubectl says, and what we say.
    fn both(&self, words: &[&str], stdin: &[u8]) -> [Output; 2] {
        let theirs = self.shop.kubectl(["exec"].iter().chain(words));
        let ours = self.kpexec(words);
        thread::scope(|scope| {
            let theirs = scope.spawn(|| theirs.stdin(stdin).run());
            let ours = ours.stdin(stdin).run();
            [theirs.join().expect("kubectl ends"), ours]
        })
    }

    /// kpexec, by the site's way.
    fn kpexec<S: AsRef<OsStr>>(&self, words: impl IntoIterator<Item = S>) -> Cmd {
        let way = self.by_ssh.then(|| "--ssh".into());
        let words = words.into_iter().map(|word| word.as_ref().to_owned());
        self.shop.kpexec(way.into_iter().chain(words))
    }

    /// A script in `web`, by kpexec alone.
    fn sh(&self, flags: &[&str], script: &str) -> Cmd {
        let words = flags
            .iter()
            .copied()
            .chain(["web", "--", "sh", "-c", script]);
        self.kpexec(words)
    }

    /// How many processes of the node have a command line that matches.
    fn running(&self, pattern: &str) -> String {
        let found = self.machine().command(["pgrep", "-fc", pattern]).run();
        found.out().trim().to_owned()
    }

    fn machine(&self) -> &Node {
        &self.shop.cluster.worker(self.node).node
    }
}

/// Numbers as lines: nothing repeats, so that no piece of it can be lost unseen.
fn numbers(count: u32) -> String {
    (1..=count).map(|number| format!("{number}\n")).collect()
}
