//! The harness itself: a Kubernetes cluster with both containerds, its users and its faults.

use std::fs;
use std::sync::OnceLock;

use kpexec_tests::cluster::PodSpec;
use kpexec_tests::{Cluster, ClusterSpec, Kind, Node, eventually};

/// Sysctls that belong to the host, and that a kubelet would set.
const HOSTS: [&str; 3] = [
    "vm/overcommit_memory",
    "kernel/panic",
    "kernel/panic_on_oops",
];

fn cluster() -> &'static Cluster {
    static CLUSTER: OnceLock<Cluster> = OnceLock::new();
    CLUSTER.get_or_init(|| Cluster::start(&ClusterSpec::default()))
}

#[test]
fn pods_run_on_containerd_2_2() {
    pods_run_on("node-1", "containerd://2.2");
}

#[test]
fn pods_run_on_containerd_1_6() {
    pods_run_on("node-2", "containerd://1.6");
}

fn pods_run_on(node: &str, runtime: &str) {
    let shop = cluster().namespace();
    let version = "-o=jsonpath={.status.nodeInfo.containerRuntimeVersion}";
    let version = shop.kubectl(["get", "node", node, version]).ok();
    assert!(version.starts_with(runtime), "{version}");

    shop.run(&PodSpec::locked_down("cart").container("helper").on(node));
    let script = "cat; id -u; grep -E 'CapBnd|Seccomp:' /proc/1/status";
    let output = shop
        .kubectl(["exec", "-i", "cart", "-c", "cart", "--", "sh", "-c", script])
        .stdin("through the API server\n")
        .ok();
    let expected = "through the API server\n1000\nCapBnd:\t0000000000000000\nSeccomp:\t2";
    assert_eq!(output, expected);
    let code = shop.kubectl(["exec", "cart", "-c", "helper", "--", "sh", "-c", "exit 7"]);
    assert_eq!(code.run().code, 7);

    let worker = shop.worker_of("cart");
    assert_eq!(worker.name, node);
    let id = shop.get("pod/cart")["status"]["containerStatuses"][0]["containerID"].clone();
    let id = id
        .as_str()
        .unwrap()
        .trim_start_matches("containerd://")
        .to_owned();
    let tasks = worker.ctr(&["task", "ls"]).ok();
    assert!(tasks.contains(&id), "{id} is not in {tasks}");
}

#[test]
fn a_pod_has_a_user_namespace_of_its_own() {
    let shop = cluster().namespace();
    shop.run(&PodSpec::locked_down("mapped").on("node-1").user_namespace());
    let map = shop.kubectl(["exec", "mapped", "--", "cat", "/proc/self/uid_map"]);
    let map = map.ok();
    let words: Vec<_> = map.split_whitespace().collect();
    assert!(
        matches!(words[..], ["0", outside, "65536"] if outside != "0"),
        "{map}"
    );
}

#[test]
fn a_user_may_do_what_a_role_says() {
    let shop = cluster().namespace();
    let alice = cluster().user("alice");
    let list = ["get", "pods", "-n", &shop.name];
    let refused = alice.kubectl(list).run();
    assert!(
        refused.err().contains("User \"alice\" cannot list"),
        "{refused}"
    );

    shop.kubectl(["create", "role", "reader", "--verb=list", "--resource=pods"])
        .ok();
    shop.kubectl([
        "create",
        "rolebinding",
        "reader",
        "--role=reader",
        "--user=alice",
    ])
    .ok();
    eventually("alice lists pods", || alice.kubectl(list).run().code == 0);
}

#[test]
fn a_machine_of_its_own_reaches_the_cluster() {
    let bob = cluster().user("bob");
    let laptop = Node::start();
    cluster().attach(&laptop);
    laptop.write("/root/.kube/config", &bob.kubeconfig);
    let kubectl = cluster().kubectl_program();
    let who = ["auth", "whoami", "-o=jsonpath={.status.userInfo.username}"];
    let command = laptop.command([kubectl.as_str()].iter().chain(&who));
    assert_eq!(command.ok(), "bob");
    for worker in &cluster().workers {
        let port = format!("exec 3<>/dev/tcp/{}/10250", worker.address);
        laptop.command(["bash", "-c", &port]).ok();
    }
}

#[test]
fn a_cluster_beside_it_speaks_as_older_ones_do() {
    let settings = || HOSTS.map(|name| fs::read_to_string(format!("/proc/sys/{name}")).unwrap());
    let before = settings();
    let old = Cluster::start(&ClusterSpec::of(&[Kind::Containerd16]).with_old_exec());
    assert_eq!(settings(), before);
    assert!(!fs::exists("/sys/class/net/cluster").unwrap());

    // kubectl offers WebSocket protocol v5 alone, and SPDY to servers that refuse it.
    for (cluster, refuses) in [(cluster(), false), (&old, true)] {
        let shop = cluster.namespace();
        shop.run(&PodSpec::sleeper("web"));
        let verbose = shop.kubectl(["exec", "-v=6", "web", "--", "true"]).run();
        assert_eq!(verbose.code, 0, "{verbose}");
        let said = verbose.err();
        assert_eq!(said.contains("RemoteCommand fallback"), refuses, "{said}");
    }

    old.api_server().stop();
    let list = || {
        old.kubectl(["get", "pods", "--request-timeout=500ms"])
            .run()
    };
    let silent = list();
    assert!(silent.err().contains("Unable to connect"), "{silent}");
    old.api_server().resume();
    eventually("the API server goes on", || list().code == 0);
}
