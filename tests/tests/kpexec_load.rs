//! Many at once, much at once, and for long: few calls, bounded memory, nothing left.

use std::io::Read;
use std::process::Stdio;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread;
use std::time::Duration;

use kpexec_tests::cluster::PodSpec;
use kpexec_tests::{Cluster, ClusterSpec, Kind, Node};
use serde_json::json;

fn cluster() -> &'static Cluster {
    static CLUSTER: OnceLock<Cluster> = OnceLock::new();
    CLUSTER.get_or_init(|| {
        let spec = ClusterSpec::of(&[Kind::Containerd22]).with_audit_log();
        let cluster = Cluster::start(&spec);
        cluster.install_nodepause();
        cluster
    })
}

/// What is measured, or left behind, is not to be another test's doing.
fn turn() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A deployment's manifest, with the labels `app: NAME`.
fn deployment(name: &str, replicas: u32, pod: &PodSpec) -> String {
    let pod = pod.manifest();
    let labels = json!({ "app": name });
    let deployment = json!({
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": { "name": name },
        "spec": {
            "replicas": replicas,
            "selector": { "matchLabels": labels },
            "template": { "metadata": { "labels": labels }, "spec": pod["spec"] },
        },
    });
    deployment.to_string()
}

/// As many as a large cluster has; no node ever takes them.
const PODS: u32 = 5000;

#[test]
fn few_calls_among_thousands_of_pods() {
    let _turn = turn();
    let shop = cluster().namespace();
    let crowd = PodSpec::sleeper("crowd").with("schedulerName", json!("nobody"));
    shop.apply(&deployment("crowd", PODS, &crowd));
    shop.apply(&deployment("web", 1, &PodSpec::sleeper("web")));
    shop.wait("condition=Available", "deployment/web");
    shop.wait(
        &format!("jsonpath={{.status.replicas}}={PODS}"),
        "deployment/crowd",
    );
    let pod = shop.kubectl(["get", "pods", "-l=app=web", "-o=name"]).ok();
    let pod = pod.trim_start_matches("pod/");

    for (user, target, expected) in [
        ("by-pod", pod, &["get", "list", "get"][..]),
        (
            "by-deployment",
            "deploy/web",
            &["get", "list", "list", "get"],
        ),
    ] {
        let user = cluster().user(user);
        user.make_admin();
        let words = ["-n", &shop.name, target, "--", "hostname"];
        // What an earlier run has seen would save one.
        let command = user.kpexec(words).env("KPEXEC_CACHE_AGE", "off");
        assert_eq!(command.ok(), pod);
        let calls = cluster().calls_of(&user.name);
        let verbs: Vec<_> = calls
            .iter()
            .filter_map(|call| call.split(' ').next())
            .collect();
        assert_eq!(verbs, expected, "{calls:#?}");
        for call in calls.iter().filter(|call| call.starts_with("list ")) {
            assert!(call.contains("/namespaces/"), "{call}");
            assert!(call.contains("labelSelector=app"), "{call}");
        }
    }
}

#[test]
fn a_hundred_sessions_at_once() {
    let _turn = turn();
    let shop = cluster().namespace();
    shop.run(&PodSpec::locked_down("web"));
    let node = &shop.worker_of("web").node;
    shop.kpexec(["web", "--", "true"]).ok();
    let before = node.snapshot();
    let script = "echo here; read word; echo got $word; exit $word";
    let mut clients: Vec<_> = (0..100)
        .map(|_| shop.kpexec(["-i", "web", "--", "sh", "-c", script]))
        .map(kpexec_tests::Cmd::spawn)
        .collect();
    for client in &clients {
        client.wait_for("here\n");
    }
    for (number, client) in clients.iter_mut().enumerate() {
        client.write(format!("{number}\n"));
    }
    for (number, client) in clients.into_iter().enumerate() {
        let output = client.wait();
        assert_eq!(output.out(), format!("here\ngot {number}\n"), "{output}");
        assert_eq!(usize::try_from(output.code), Ok(number), "{output}");
    }
    before.assert_same(node);
}

/// Five times as long as a silent stream may live, at which pings are sent four times as often.
#[test]
fn a_session_without_anything_to_say() {
    let _turn = turn();
    let shop = cluster().namespace();
    shop.run(&PodSpec::sleeper("web"));
    let script = "sleep 10; echo awake; exit 3";
    let words = ["--lease=2s", "web", "--", "sh", "-c", script];
    let idle = shop.kpexec(words).spawn();
    let words = ["-it", "--lease=2s", "web", "--", "sh", "-c", script];
    let mut terminal = shop.kpexec(words).pty();
    assert_eq!(terminal.wait(), 3);
    terminal.wait_for("awake");
    let output = idle.wait();
    assert_eq!(
        (output.code, output.out().as_str()),
        (3, "awake\n"),
        "{output}"
    );
}

/// What is kept on the way may be as much as a session's largest window, 16 MiB, and garbage that is
/// not collected yet; it is far less than what is sent. In KiB.
const BOUND: u64 = 64 << 10;

/// The memory that a node's processes with this in their command line have now, in KiB.
fn memory(node: &Node, pattern: &str) -> u64 {
    let script = "for pid in $(pgrep -f \"$1\"); do cat /proc/$pid/smaps_rollup; done 2>/dev/null |
                  awk '/^Pss:/ { sum += $2 } END { print sum + 0 }'";
    let sum = node.command(["sh", "-c", script, "sh", pattern]).ok();
    sum.parse().expect("awk prints a number")
}

/// A reader of 10 GiB that takes less than could come at times, and now and then nothing at all:
/// nobody keeps what it does not take, and nothing is lost.
#[test]
fn a_slow_reader() {
    const STEP: usize = 1 << 30;
    const STEPS: usize = 10;
    /// How much of each step is read slowly.
    const SLOW: usize = 40 << 20;
    let _turn = turn();
    let shop = cluster().namespace();
    shop.run(&PodSpec::sleeper("web"));
    let (laptop, node) = (&cluster().machine, &shop.worker_of("web").node);
    // Brackets keep the patterns from finding themselves.
    let parts = [
        (laptop, "kpexec .*coun[t]=10240"),
        (laptop, "bin/kube-apiserve[r]"),
        (node, "cnsenter .*coun[t]=10240"),
        (node, "bin/kubele[t]"),
        (node, "bin/container[d] "),
    ];
    let before = parts.map(|(node, pattern)| memory(node, pattern));
    let zeros = ["web", "--", "dd", "if=/dev/zero", "bs=1M", "count=10240"];
    let start = || {
        let mut client = shop.kpexec(zeros).command();
        let client = client.stdin(Stdio::null()).stdout(Stdio::piped());
        let client = client.stderr(Stdio::null()).spawn();
        client.expect("the node's helper starts")
    };
    let mut client = start();
    let mut output = client.stdout.take().expect("it was asked for");
    let mut buffer = vec![0; 64 << 10];
    for _ in 0..STEPS {
        let mut read = 0;
        while read < STEP {
            let most = buffer.len().min(STEP - read);
            let now = output.read(&mut buffer[..most]).expect("kpexec writes");
            assert!(now > 0, "it ended after {read} bytes of a step");
            read += now;
            if read < SLOW {
                thread::sleep(Duration::from_millis(1));
            }
        }
        thread::sleep(Duration::from_millis(500));
        for (before, (node, pattern)) in before.iter().zip(parts) {
            let now = memory(node, pattern);
            assert!(
                now < before + BOUND,
                "{pattern}: {now} KiB, {before} before"
            );
        }
    }
    assert_eq!(output.read(&mut buffer).expect("kpexec ends"), 0);
    assert_eq!(client.wait().expect("it ends").code(), Some(0));

    // One that goes away ends the command as it would end any.
    let mut client = start();
    drop(client.stdout.take());
    assert_eq!(client.wait().expect("it ends").code(), Some(141));
}
