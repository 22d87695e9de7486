//! `kpexec --ephemeral`: an agent for one command, on nodes without nodepause, and nothing left of it.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use kpexec_tests::cluster::{Namespace, PodSpec, nodepause_image};
use kpexec_tests::{Cluster, ClusterSpec, Live, Output, eventually};
use nix::sys::signal::Signal;
use serde_json::{Value, json};

const NODES: [&str; 2] = ["node-1", "node-2"];

fn cluster() -> &'static Cluster {
    static CLUSTER: OnceLock<Cluster> = OnceLock::new();
    CLUSTER.get_or_init(|| {
        let cluster = Cluster::start(&ClusterSpec::default());
        cluster.load_image("nodepause.tar", &nodepause_image());
        cluster
    })
}

/// A namespace for the agents of one test.
struct Agents(String);

impl Agents {
    fn make(enforced: &str) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(1);
        let name = format!("agents-{}", COUNT.fetch_add(1, Ordering::Relaxed));
        let manifest = json!({
            "apiVersion": "v1",
            "kind": "Namespace",
            "metadata": {
                "name": name,
                "labels": { "pod-security.kubernetes.io/enforce": enforced },
            },
        });
        cluster().apply(&manifest.to_string());
        Self(name)
    }

    /// kpexec in a namespace, with an agent in this one.
    fn words<'a>(&'a self, shop: &'a Namespace, words: &[&'a str]) -> Vec<&'a str> {
        let fixed = [
            "--ephemeral",
            "--agent-namespace",
            &self.0,
            "-n",
            &shop.name,
        ];
        fixed.into_iter().chain(words.iter().copied()).collect()
    }

    fn run(&self, shop: &Namespace, words: &[&str]) -> Output {
        cluster().kpexec(self.words(shop, words)).run()
    }

    fn spawn(&self, shop: &Namespace, words: &[&str]) -> Live {
        cluster().kpexec(self.words(shop, words)).spawn()
    }

    fn jobs(&self) -> Vec<Value> {
        self.all("jobs")
    }

    fn all(&self, kind: &str) -> Vec<Value> {
        let list = cluster()
            .kubectl(["-n", &self.0, "get", kind, "-o=json"])
            .ok();
        let list: Value = serde_json::from_str(&list).unwrap();
        list["items"].as_array().unwrap().clone()
    }

    /// The Job has gone with kpexec; its pod goes soon after.
    fn assert_empty(&self) {
        assert_eq!(self.jobs(), [] as [Value; 0]);
        eventually("the agent's pod is gone", || self.all("pods").is_empty());
    }
}

fn count(node: &str, time: &str) -> String {
    let sleeps = format!("^sleep {time}");
    let machine = &cluster().worker(node).node;
    machine.command(["pgrep", "-fc", &sleeps]).run().out()
}

#[test]
fn a_locked_down_pod_is_entered_without_nodepause() {
    let (shop, agents) = (cluster().namespace(), Agents::make("privileged"));
    for node in NODES {
        let pod = format!("web-{node}");
        shop.run(&PodSpec::locked_down(&pod).on(node));
        let script = "id -u; hostname other; echo done; cat; exit 3";
        let words = agents.words(&shop, &["-i", &pod, "--", "sh", "-c", script]);
        let output = cluster().kpexec(words).stdin("all of it\n").run();
        let said = "command terminated with exit code 3\n".to_owned();
        assert_eq!(
            (output.out().as_str(), output.err(), output.code),
            ("0\ndone\nall of it\n", said, 3),
        );
        agents.assert_empty();

        let mut pty = cluster()
            .kpexec(agents.words(&shop, &["-it", &pod, "--", "sh"]))
            .pty();
        pty.write("echo te''rm $TERM; exit 5\r");
        pty.wait_for("term xterm");
        assert_eq!(pty.wait(), 5);
        assert!(!pty.is_raw());
        agents.assert_empty();
    }
    // Nobody else is to take it for a node's agent, and nobody has one.
    let missing = shop.kpexec(["web-node-1", "--", "true"]).run();
    assert_eq!(missing.code, 1, "{missing}");
    for remedy in ["kpexec install puts one", "--ephemeral one there"] {
        assert!(missing.err().contains(remedy), "{missing}");
    }
}

#[test]
fn what_keeps_it_from_running_is_told_and_nothing_is_left() {
    let (shop, agents) = (cluster().namespace(), Agents::make("privileged"));
    shop.run(&PodSpec::locked_down("web").on("node-1"));
    let fails = |agents: &Agents, flag: &str, texts: &[&str]| {
        let output = agents.run(&shop, &[flag, "web", "--", "true"]);
        assert_eq!((output.code, output.out()), (1, String::new()), "{output}");
        for text in texts {
            assert!(output.err().contains(text), "no {text:?} in {output}");
        }
    };
    fails(
        &agents,
        "--image=localhost/no/such:1",
        &[
            "error: the ephemeral agent on node node-1 does not run: ImagePullBackOff: ",
            "--image IMAGE names one that the node can pull",
        ],
    );
    agents.assert_empty();

    let strict = Agents::make("restricted");
    let words = [
        "cannot be made in namespace",
        "violates PodSecurity \"restricted",
        "pod-security.kubernetes.io/enforce=privileged",
    ];
    fails(&strict, "--ephemeral", &words);
    strict.assert_empty();

    let nowhere = Agents("no-such".to_owned());
    let words = [
        "there is no namespace no-such for the ephemeral agent\n",
        "kubectl create namespace no-such && kubectl label",
    ];
    fails(&nowhere, "--ephemeral", &words);

    let nobody = ["--as=nobody", "--as-group=system:authenticated"];
    let output = agents.run(&shop, &[nobody[0], nobody[1], "web", "--", "true"]);
    assert_eq!(output.code, 1, "{output}");
}

#[test]
fn signals_end_it_and_nothing_is_left() {
    let (shop, agents) = (cluster().namespace(), Agents::make("privileged"));
    shop.run(&PodSpec::locked_down("web").on("node-2"));
    // While the command runs, it is the one that is meant.
    let mut client = agents.spawn(&shop, &["web", "--", "sh", "-c", "echo on; sleep 44441"]);
    client.wait_for("on\n");
    client.signal(Signal::SIGTERM);
    assert_eq!(client.wait_exit(), 143);
    agents.assert_empty();
    eventually("the command has ended", || {
        count("node-2", "44441") == "0\n"
    });

    // While its agent is awaited, which it is for as long as nobody answers behind a registry.
    let node = &cluster().worker("node-2").node;
    let silent = ["busybox", "nc", "-ll", "-p", "5000", "-e", "sleep", "44443"];
    let registry = node.command(silent).spawn();
    let connect = ["bash", "-c", "exec 3<>/dev/tcp/127.0.0.1/5000"];
    eventually("it listens", || node.command(connect).run().code == 0);
    for (signal, code) in [(Signal::SIGINT, 130), (Signal::SIGHUP, 129)] {
        let image = "--image=127.0.0.1:5000/np:1";
        let mut client = agents.spawn(&shop, &[image, "web", "--", "true"]);
        eventually("the agent has a pod", || {
            agents.jobs().len() == 1 && !agents.all("pods").is_empty()
        });
        client.signal(signal);
        assert_eq!(client.wait_exit(), code, "{:?}", client.so_far());
        assert_eq!(agents.jobs(), [] as [Value; 0]);
    }
    // The kubelet lets a pod go when it has given its image up.
    drop(registry);
    node.command(["pkill", "-f", "^sleep 44443"]).ok();
    agents.assert_empty();
}

#[test]
fn nothing_outlives_a_client_that_is_killed_for_long() {
    let (shop, agents) = (cluster().namespace(), Agents::make("privileged"));
    shop.run(&PodSpec::locked_down("web").on("node-1"));
    let script = "setsid sleep 44442 & echo on; sleep 44442";
    let client = agents.spawn(&shop, &["web", "--", "sh", "-c", script]);
    client.wait_for("on\n");
    eventually("the command runs", || count("node-1", "44442") == "2\n");
    drop(client);
    eventually("nothing of it runs", || count("node-1", "44442") == "0\n");

    // The agent itself ends by what its Job says; nobody here waits for a quarter of an hour.
    let [job] = &agents.jobs()[..] else {
        panic!("no job, or several");
    };
    assert_eq!(job["spec"]["activeDeadlineSeconds"], 900, "{job:#}");
    assert_eq!(job["spec"]["ttlSecondsAfterFinished"], 60, "{job:#}");
    let name = job["metadata"]["name"].as_str().unwrap();
    let soon = r#"{"spec": {"activeDeadlineSeconds": 1, "ttlSecondsAfterFinished": 0}}"#;
    let patch = ["-n", &agents.0, "patch", "job", name, "-p", soon];
    cluster().kubectl(patch).ok();
    eventually("the job is gone", || agents.jobs().is_empty());
    agents.assert_empty();
}
