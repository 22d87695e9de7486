//! nodepause, as `deployments/` installs it: on every node, small, and a way into every pod there.

use std::fs;
use std::path::Path;
use std::sync::OnceLock;

use kpexec_tests::cluster::{Namespace, PodSpec, Worker, nodepause_image};
use kpexec_tests::{Cluster, ClusterSpec, Cmd, Kind, Node, Output, eventually};
use serde_json::json;

/// What each node's pause may hold resident, in KiB.
const MEMORY: u64 = 200;

/// The node whose runtime can give a pod a user namespace.
const NEWER: &str = "node-1";

fn cluster() -> &'static Cluster {
    static CLUSTER: OnceLock<Cluster> = OnceLock::new();
    CLUSTER.get_or_init(|| {
        let cluster = Cluster::start(&ClusterSpec::default());
        cluster.install_nodepause();
        cluster
    })
}

/// cnsenter in the nodepause of a worker, through kubectl exec.
fn cnsenter(worker: &Worker, arguments: &[&str]) -> Cmd {
    let agent = cluster().nodepause_on(&worker.name);
    let fixed = [
        "exec",
        "-i",
        &agent,
        "--",
        "/cnsenter",
        "--host-root",
        "/host",
    ];
    cluster().nodepause(fixed.into_iter().chain(arguments.iter().copied()))
}

/// The process of a pod's first container, as its node counts.
fn process_of(pod: &str, shop: &Namespace<'_>) -> u32 {
    let id = container_id(pod, shop);
    let tasks = shop.worker_of(pod).ctr(&["task", "ls"]).ok();
    let task = tasks.lines().find(|line| line.starts_with(&id)).unwrap();
    task.split_whitespace().nth(1).unwrap().parse().unwrap()
}

fn container_id(pod: &str, shop: &Namespace<'_>) -> String {
    let pod = shop.get(&format!("pod/{pod}"));
    let id = pod["status"]["containerStatuses"][0]["containerID"].as_str();
    id.unwrap().trim_start_matches("containerd://").to_owned()
}

/// Says nothing but this: warnings are failures, too.
#[track_caller]
fn assert_says(output: &Output, stdout: &str) {
    let found = (output.code, output.out(), output.err());
    assert_eq!(found, (0, format!("{stdout}\n"), String::new()));
}

#[test]
fn a_locked_down_pod_is_entered_by_each_of_its_names() {
    for worker in &cluster().workers {
        let shop = cluster().namespace();
        shop.run(
            &PodSpec::locked_down("cart")
                .container("helper")
                .on(&worker.name),
        );
        let refused = shop
            .kubectl(["exec", "cart", "-c", "cart", "--", "chroot", "/"])
            .run();
        assert_ne!(refused.code, 0, "{refused}");

        let (id, process) = (container_id("cart", &shop), process_of("cart", &shop));
        let names = [
            format!("{}/cart/cart", shop.name),
            format!("containerd://{id}"),
            format!("pid:{process}"),
        ];
        for name in &names {
            let root = cnsenter(worker, &[name, "--", "chroot", "/", "id"]).run();
            assert_says(&root, "uid=0(root) gid=0(root)");
        }
        let other = format!("{}/cart/helper", shop.name);
        let host = cnsenter(worker, &[&other, "--", "hostname"]).run();
        assert_says(&host, "cart");

        let code = cnsenter(worker, &[&names[0], "--", "sh", "-c", "exit 7"]).run();
        assert_eq!(code.code, 7, "{code}");
        let echo = cnsenter(worker, &["-i", &names[0], "--", "cat"]).stdin("all of it\n");
        assert_says(&echo.run(), "all of it");
        let agent = cluster().nodepause_on(&worker.name);
        let list = ["exec", &agent, "--", "cnsenter", "ls", "--host-root=/host"];
        let list = cluster().nodepause(list).run();
        assert!(
            list.out().contains(&format!("{}/cart", shop.name)),
            "{list}"
        );
    }
}

#[test]
fn a_pod_with_a_user_namespace_is_entered_as_its_root() {
    let shop = cluster().namespace();
    shop.run(&PodSpec::locked_down("mapped").on(NEWER).user_namespace());
    let pod = format!("{}/mapped", shop.name);
    let worker = cluster().worker(NEWER);
    let script = "id -u; awk '{ exit $2 == 0 }' /proc/self/uid_map && echo mapped";
    let output = cnsenter(worker, &[&pod, "--", "sh", "-c", script]).run();
    assert_says(&output, "0\nmapped");
}

#[test]
fn a_command_ends_with_cnsenter_and_all_that_it_started() {
    let shop = cluster().namespace();
    shop.run(&PodSpec::locked_down("cart").on(NEWER));
    let worker = cluster().worker(NEWER);
    let pod = format!("{}/cart", shop.name);
    let orphan = ["sleep", "4321"];
    let script = "setsid sleep 4321 & sleep 1234; true";
    let live = cnsenter(worker, &[&pod, "--", "sh", "-c", script]).spawn();
    eventually("both run", || {
        !worker.node.find(&orphan).is_empty() && !worker.node.find(&["sleep", "1234"]).is_empty()
    });

    // The command's parent is cnsenter.
    let script = ["sh", "-c", script];
    let command = worker.node.find(&script);
    let status = worker.node.read(format!("/proc/{}/status", command[0]));
    let parent = status.lines().find_map(|line| line.strip_prefix("PPid:"));
    let parent = parent.unwrap().trim();
    worker.node.command(["kill", "-KILL", parent]).ok();
    eventually("all of it is gone", || {
        worker.node.find(&orphan).is_empty() && worker.node.find(&script).is_empty()
    });
    drop(live);
}

#[test]
fn the_containers_limits_hold_where_that_is_wanted() {
    let shop = cluster().namespace();
    for worker in &cluster().workers {
        let name = format!("cart-{}", worker.name);
        shop.run(&PodSpec::locked_down(&name).on(&worker.name));
        let pod = format!("{}/{name}", shop.name);
        let script = "for pid in 1 self; do grep -E '(^0::.*|:memory:.*)' /proc/$pid/cgroup; done";
        for (flag, same) in [("--cgroup=target", true), ("--cgroup=own", false)] {
            let output = cnsenter(worker, &[flag, &pod, "--", "sh", "-c", script]).run();
            let groups = output.out();
            let memory: Vec<_> = groups
                .lines()
                .filter(|line| line.contains(":memory:") || !groups.contains(":memory:"))
                .collect();
            // On cgroup v2, the command is in a leaf below.
            assert_eq!(memory[1].starts_with(memory[0]), same, "{output}");
        }
    }
}

#[test]
fn it_is_small_and_knows_nothing() {
    for worker in &cluster().workers {
        let pids = worker.node.find(&["pause"]);
        let [pid] = pids[..] else { panic!("{pids:?}") };
        let status = worker.node.read(format!("/proc/{pid}/status"));
        let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let resident: u64 = resident
            .unwrap()
            .trim()
            .trim_end_matches(" kB")
            .parse()
            .unwrap();
        assert!(resident <= MEMORY, "{resident} KiB on {}", worker.name);

        let root = worker.node.path(format!("/proc/{pid}/root"));
        assert!(!fs::exists(root.join("var/run/secrets")).unwrap());
        assert!(
            fs::write(root.join("file"), "").is_err(),
            "its root can be written to"
        );
        assert!(
            fs::write(root.join("host/file"), "").is_err(),
            "the node's root can be written to"
        );
    }
}

/// Whose namespaces are cnsenter's own, too.
#[test]
fn it_can_be_entered_itself() {
    for worker in &cluster().workers {
        let agent = cluster().nodepause_on(&worker.name);
        let words = ["-n", "kpexec", &agent, "--", "/cnsenter", "--version"];
        let output = cluster().kpexec(words).run();
        assert!(
            output.code == 0 && output.out().starts_with("cnsenter "),
            "{output}"
        );
    }
}

#[test]
fn the_base_for_kustomize_is_what_the_manifest_installs() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deployments");
    for file in ["nodepause.yaml", "kustomization.yaml"] {
        let text = fs::read_to_string(folder.join(file)).unwrap();
        cluster()
            .machine
            .write(format!("/root/deployments/{file}"), text);
    }
    let difference = cluster().kubectl(["diff", "-k", "/root/deployments"]).run();
    assert_eq!(
        (difference.code, difference.out().as_str()),
        (0, ""),
        "{difference}"
    );
}

/// In a cluster of its own: others' pods would be in the way, and it in theirs.
#[test]
fn every_node_has_it_at_all_times() {
    let cluster = Cluster::start(&ClusterSpec::of(&[Kind::Containerd22]));
    let shop = cluster.namespace();
    // Nothing is left of the node's processors.
    let node = shop.get("node/node-1");
    let cpus = node["status"]["allocatable"]["cpu"].clone();
    let greedy = json!({ "requests": { "cpu": cpus } });
    shop.run(
        &PodSpec::sleeper("greedy")
            .with_container("resources", greedy)
            .with("tolerations", json!([{ "operator": "Exists" }])),
    );
    for effect in ["NoSchedule", "NoExecute"] {
        let taint = format!("broken=yes:{effect}");
        cluster.kubectl(["taint", "node", "node-1", &taint]).ok();
    }
    cluster.install_nodepause();

    // A new pod is ready before the old one goes, and TERM is enough for that one: there would be
    // an hour to wait for KILL.
    let agents = || cluster.nodepause(["get", "pods", "-o=name"]).ok();
    let first = agents();
    let patch = r#"{"spec": {"template": {"spec": {"terminationGracePeriodSeconds": 3600}}}}"#;
    for patch in [
        patch,
        r#"{"spec": {"template": {"metadata": {"annotations": {"a": "b"}}}}}"#,
    ] {
        cluster
            .nodepause(["patch", "daemonset/nodepause", "-p", patch])
            .ok();
        let rollout = ["rollout", "status", "--timeout=50s", "daemonset/nodepause"];
        cluster.nodepause(rollout).ok();
    }
    eventually("one pod is left, a new one", || {
        let now = agents();
        now.lines().count() == 1 && now != first
    });
    let events = ["get", "events", "-o=jsonpath={.items[*].reason}"];
    let events = cluster.nodepause(events).ok();
    assert!(!events.contains("FailedKillPod"), "{events}");
}

#[test]
fn docker_loads_the_image() {
    let node = Node::start();
    let _docker = Kind::Docker.start(&node);
    node.write("/root/nodepause.tar", nodepause_image());
    let loaded = node
        .command(["docker", "load", "-i", "/root/nodepause.tar"])
        .ok();
    let name = loaded.trim_start_matches("Loaded image: ");
    let version = node
        .command(["docker", "run", "--rm", name, "--version"])
        .ok();
    assert!(version.starts_with("cnsenter "), "{version}");
}

/// As it is pushed to a registry.
#[test]
fn skopeo_copies_the_image() {
    let node = Node::start();
    node.write("/root/nodepause.tar", nodepause_image());
    let copy = "skopeo --insecure-policy copy oci-archive:/root/nodepause.tar oci:/root/layout:1";
    node.command(copy.split(' ')).ok();
    let seen = node
        .command(["skopeo", "inspect", "oci:/root/layout:1"])
        .ok();
    let seen: serde_json::Value = serde_json::from_str(&seen).unwrap();
    assert_eq!(seen["Os"], "linux");
    assert_eq!(seen["Layers"].as_array().map(Vec::len), Some(1), "{seen}");
}

/// A session gets no TERM of its own when its agent is deleted: the agent waits for it, and tells.
#[test]
fn a_session_outlives_the_deletion_of_its_agent() {
    // In a cluster of its own: others' sessions are in these agents.
    let cluster = Cluster::start(&ClusterSpec::default());
    cluster.install_nodepause();
    let shop = cluster.namespace();
    for worker in &cluster.workers {
        let pod = format!("web-{}", worker.name);
        shop.run(&PodSpec::sleeper(&pod).on(&worker.name));
        let script = "echo begun; while [ ! -e /go ]; do sleep .1; done; echo done; exit 7";
        let session = shop.kpexec([&pod, "--", "sh", "-c", script]).spawn();
        session.wait_for("begun");

        let agent = cluster.nodepause_on(&worker.name);
        cluster.nodepause(["delete", "--wait=false", &agent]).ok();
        eventually("the session is told", || {
            session.so_far().1.contains("is being stopped")
        });
        shop.kubectl(["exec", &pod, "--", "touch", "/go"]).ok();
        let output = session.wait();
        assert_eq!(
            (output.code, output.out().as_str()),
            (7, "begun\ndone\n"),
            "{output}"
        );
        eventually(
            "the agent goes, long before its grace period is over",
            || cluster.nodepause(["get", &agent]).run().code != 0,
        );
    }
}
