//! kpexec through a real cluster, to containers of both containerds.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::sync::OnceLock;

use kpexec_tests::cluster::{Namespace, PodSpec};
use kpexec_tests::{Cluster, ClusterSpec, Output, eventually};
use serde_json::json;

fn cluster() -> &'static Cluster {
    static CLUSTER: OnceLock<Cluster> = OnceLock::new();
    CLUSTER.get_or_init(|| {
        let cluster = Cluster::start(&ClusterSpec::default());
        cluster.install_nodepause();
        cluster
    })
}

const NODES: [&str; 2] = ["node-1", "node-2"];

/// The same script by both.
fn both(shop: &Namespace, flags: &[&str], pod: &str, command: &[&str]) -> (Output, Output) {
    let words: Vec<_> = flags
        .iter()
        .copied()
        .chain([pod, "--"])
        .chain(command.iter().copied())
        .collect();
    let theirs = shop.kubectl(["exec"].iter().chain(&words)).run();
    (theirs, shop.kpexec(&words).run())
}

#[test]
fn a_locked_down_pod_is_entered_with_all_privileges() {
    let shop = cluster().namespace();
    for node in NODES {
        let pod = format!("web-{node}");
        shop.run(&PodSpec::locked_down(&pod).on(node));
        let script = "id -u; hostname other 2>/dev/null; echo $?";
        let (theirs, ours) = both(&shop, &[], &pod, &["sh", "-c", script]);
        assert_eq!(theirs.out(), "1000\n1\n", "{theirs}");
        assert_eq!((ours.out().as_str(), ours.code), ("0\n0\n", 0), "{ours}");
    }
}

#[test]
fn every_byte_arrives_in_both_directions() {
    let shop = cluster().namespace();
    // Nothing that repeats where a piece of it could be lost unseen.
    let data: Vec<u8> = (0_u32..16 << 20).flat_map(u32::to_le_bytes).collect();
    for node in NODES {
        let pod = format!("web-{node}");
        shop.run(&PodSpec::locked_down(&pod).on(node));
        let echo = shop
            .kpexec(["-i", &pod, "--", "cat"])
            .stdin(data.clone())
            .run();
        assert_eq!(echo.code, 0, "{}", echo.err());
        assert!(echo.stdout == data, "{} bytes came back", echo.stdout.len());
        // A command that reads a little, and one that closes its stderr meanwhile.
        let little = shop
            .kpexec(["-i", &pod, "--", "head", "-c", "3"])
            .stdin(data.clone())
            .run();
        assert_eq!((little.code, little.stdout), (0, vec![0, 0, 0]));
        let count = ["-i", &pod, "--", "sh", "-c", "exec wc -c 2>/dev/null"];
        let count = shop.kpexec(count).stdin(data.clone()).run();
        assert_eq!(
            count.out().trim(),
            data.len().to_string(),
            "{}",
            count.err()
        );
    }
}

#[test]
fn arguments_and_variables_may_be_any_bytes() {
    let shop = cluster().namespace();
    shop.run(&PodSpec::locked_down("web"));
    // Every byte but NUL, and a variable that no command line shows.
    let words: Vec<u8> = (1..=255).collect();
    let odd = OsString::from_vec(words.clone());
    let script = "printf '%s%s' \"$1\" \"$V\"";
    let fixed = ["-e", "V=secret", "web", "--", "sh", "-c", script, "sh"].map(OsString::from);
    let printed = shop.kpexec(fixed.into_iter().chain([odd])).run();
    let wanted = [words.as_slice(), b"secret"].concat();
    assert_eq!(printed.stdout, wanted, "{}", printed.err());
}

#[test]
fn objects_lead_to_one_of_their_pods() {
    let shop = cluster().namespace();
    let template = PodSpec::sleeper("app").manifest();
    let template = json!({
        "metadata": template["metadata"],
        "spec": template["spec"],
    });
    let selector = json!({"matchLabels": {"app": "app"}});
    let object = |kind: &str, api: &str, spec: serde_json::Value| {
        let name = json!({"name": kind.to_lowercase()});
        let manifest = json!({"apiVersion": api, "kind": kind, "metadata": name, "spec": spec});
        shop.apply(&manifest.to_string());
    };
    object(
        "Deployment",
        "apps/v1",
        json!({"replicas": 2, "selector": selector, "template": template}),
    );
    object(
        "Service",
        "v1",
        json!({"selector": {"app": "app"}, "ports": [{"port": 80}]}),
    );
    shop.wait("condition=Available", "deployment/deployment");
    for name in [
        "deploy/deployment",
        "deployment.apps/deployment",
        "svc/service",
    ] {
        let output = shop.kpexec([name, "--", "hostname"]).run();
        assert_eq!(output.code, 0, "{output}");
        let said = format!("Entering pod \"{}\" of ", output.out().trim());
        assert!(output.err().starts_with(&said), "{output}");
        let quiet = shop.kpexec(["-q", name, "--", "true"]).run();
        assert_eq!((quiet.code, quiet.err()), (0, String::new()));
    }
}

#[test]
fn nothing_outlives_a_client_that_is_killed() {
    let shop = cluster().namespace();
    for (node, time) in NODES.into_iter().zip(["42421", "42422"]) {
        let pod = format!("web-{node}");
        shop.run(&PodSpec::locked_down(&pod).on(node));
        let machine = &cluster().worker(node).node;
        let running = || {
            machine
                .command(["pgrep", "-fc", &format!("^sleep {time}")])
                .run()
                .out()
                .trim()
                .to_owned()
        };
        let script = format!("setsid sleep {time} & sleep {time}; true");
        let client = shop
            .kpexec([pod.as_str(), "--", "sh", "-c", &script])
            .spawn();
        eventually("the command runs", || running() == "2");
        drop(client);
        eventually("nothing of it runs", || running() == "0");
    }
}

/// An exit code of 137 alone would not tell.
#[test]
fn why_a_command_was_killed() {
    let shop = cluster().namespace();
    shop.run(&PodSpec::sleeper("web"));
    let told = |why: &str| format!("command terminated with exit code 137{why}\n");
    let by_itself = shop.kpexec(["web", "--", "sh", "-c", "kill -9 $$"]).run();
    assert_eq!(by_itself.err(), told(""));
    let hog = ["dd", "if=/dev/zero", "of=/dev/null", "bs=64M", "count=1"];
    let words = ["--memory=24M", "web", "--"];
    let hog = shop.kpexec(words.iter().chain(&hog)).run();
    assert_eq!(hog.err(), told(" (killed: --memory was exceeded)"));

    let sleeps = || {
        let client = shop.kpexec(["web", "--", "sh", "-c", "echo here; sleep 1000"]);
        let client = client.spawn();
        client.wait_for("here\n");
        client
    };
    let client = sleeps();
    shop.kubectl(["delete", "pod", "web", "--wait=false"]).ok();
    let output = client.wait();
    let ended = "killed, for its container ended: pod web";
    let either = ["is being deleted", "was deleted"].map(|how| told(&format!(" ({ended} {how})")));
    assert!(either.contains(&output.err()), "{output}");
    shop.wait("delete", "pod/web");

    // What the container's own limit does to it.
    let limits = json!({ "limits": { "memory": "32Mi" } });
    let script =
        "until [ -e /dev/shm/go ]; do sleep 0.1; done; exec dd if=/dev/zero of=/dev/null bs=64M";
    let greedy = PodSpec::sleeper("web").with_container("resources", limits);
    shop.run(&greedy.with_container("command", json!(["sh", "-c", script])));
    let client = sleeps();
    shop.kpexec(["web", "--", "touch", "/dev/shm/go"]).ok();
    let output = client.wait();
    let limit =
        "killed, for its container ended: container web exceeded its memory's limit (OOMKilled)";
    assert_eq!(output.err(), told(&format!(" ({limit})")));
}

/// However few files may be open: either all is well, or it is said.
#[test]
fn few_descriptors_lose_no_output() {
    let shop = cluster().namespace();
    shop.run(&PodSpec::sleeper("web"));
    let mut worked = 0;
    for limit in 5..=18 {
        let script = format!(
            "ulimit -n {limit}; exec \"$0\" -n {} web -- echo whole",
            shop.name
        );
        let kpexec = kpexec_tests::cache::kpexec().display().to_string();
        let output = cluster().command(["sh", "-c", &script, &kpexec]).run();
        if output.code == 0 {
            assert_eq!(output.out(), "whole\n", "{limit}: {output}");
            worked += 1;
        } else {
            assert_ne!(output.err(), "", "{limit}: {output}");
            assert_eq!(output.code, 1, "{limit}: {output}");
            let few = "error: cannot start: too few files may be open (ulimit -n)";
            assert!(
                limit > 7 || output.err().starts_with(few),
                "{limit}: {output}"
            );
        }
    }
    assert!(worked > 0);
}
