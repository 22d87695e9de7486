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
fn output_and_exit_codes_are_those_of_kubectl() {
    let shop = cluster().namespace();
    for node in NODES {
        let pod = format!("web-{node}");
        shop.run(&PodSpec::sleeper(&pod).on(node));
        for script in [
            "echo out; echo err >&2",
            "exit 3",
            "exit 255",
            "kill -KILL $$",
            "kill -TERM $$",
            "printf 'no end of line'",
            "head -c 300000 /dev/zero | tr '\\0' x",
            "cat",
            "pwd; hostname",
        ] {
            let (theirs, ours) = both(&shop, &[], &pod, &["sh", "-c", script]);
            assert_eq!(ours, theirs, "{script}\nours: {ours}\ntheirs: {theirs}");
        }
        // kubectl: 1, and the runtime's words.
        let missing = shop.kpexec([pod.as_str(), "--", "nosuch"]).run();
        assert_eq!(missing.code, 127, "{missing}");
        let denied = shop.kpexec([pod.as_str(), "--", "/etc"]).run();
        assert_eq!(denied.code, 126, "{denied}");
        let late = shop
            .kpexec(["--timeout=1s", &pod, "--", "sleep", "100"])
            .run();
        assert_eq!(late.code, 124, "{late}");
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
fn a_terminal_is_the_users_own() {
    let shop = cluster().namespace();
    for node in NODES {
        let pod = format!("web-{node}");
        shop.run(&PodSpec::locked_down(&pod).on(node));
        let mut pty = shop.kpexec(["-it", &pod, "--", "sh"]).pty();
        // What is typed is shown, too: quotes tell it from what it prints.
        pty.write("stty size; echo te''rm $TERM; tty\r");
        pty.wait_for("24 80");
        pty.wait_for("term xterm");
        pty.wait_for("/dev/pts/");
        assert!(pty.is_raw());
        pty.resize(40, 100);
        pty.write("while [ \"$(stty size)\" != '40 100' ]; do :; done; echo re''sized\r");
        pty.wait_for("resized");
        pty.write("sh -c 'echo st\"\"arted; exec sleep 1000'\r");
        pty.wait_for("started");
        pty.write("\x03");
        pty.wait_for("^C");
        pty.write("echo en''ded $?\r");
        pty.wait_for("ended 130");
        pty.write("exit 5\r");
        assert_eq!(pty.wait(), 5);
        assert!(!pty.is_raw());
    }
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

/// However few files may be open: either all is well, or it is said.
#[test]
fn few_descriptors_lose_no_output() {
    let shop = cluster().namespace();
    shop.run(&PodSpec::sleeper("web"));
    let mut worked = 0;
    for limit in 8..=18 {
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
        }
    }
    assert!(worked > 0);
}
