//! `cnsenter ls`: what there is, on each runtime, in each form.

use kpexec_tests::{Container, ContainerSpec, Cri, Kind, Node, Runtime, on_each_runtime};
use serde_json::Value;

on_each_runtime!(is_listed);

fn is_listed(kind: Kind, runtime: &dyn Runtime) {
    let shown = match kind {
        Kind::Containerd16 | Kind::Containerd16Crun | Kind::Containerd22 => "containerd",
        Kind::Docker => "docker",
        Kind::Podman | Kind::PodmanRootless => "podman",
        Kind::Runc11 | Kind::Runc15 | Kind::Crun => "oci",
    };
    let node = runtime.node();
    assert_eq!(json(node, &["-a"]), Value::Array(vec![]));
    assert_eq!(node.cnsenter(["ls"]).run().quiet().lines().count(), 1);
    let [blue, green, ended] =
        ["blue", "green", "ended"].map(|name| runtime.run(&ContainerSpec::sleeper(name)));
    runtime.stop(&ended);
    while std::fs::read_link(node.path(format!("/proc/{}/exe", ended.pid))).is_ok() {}
    let before = node.snapshot();

    let rows = json(node, &[]);
    assert_eq!(rows.as_array().unwrap().len(), 2, "{rows:#}");
    for container in [&blue, &green] {
        let row = row(&rows, container);
        assert_eq!(row["runtime"], shown);
        assert_eq!(row["state"], "running");
        assert_eq!(row["pid"], container.pid);
        assert_eq!(row["sandbox"], false);
        let name = (container.id.len() == 64).then(|| {
            if container.id == blue.id {
                "blue"
            } else {
                "green"
            }
        });
        assert_eq!(row["name"].as_str(), name, "{row:#}");
        if name.is_some() || shown == "containerd" {
            let image = row["image"].as_str().unwrap();
            assert!(image.ends_with("kpexec/busybox:1"), "{row:#}");
        }
        let namespace = match shown {
            "containerd" => Some("default"),
            "docker" => Some("moby"),
            _ => None,
        };
        assert_eq!(row["runtimeNamespace"].as_str(), namespace);
        let owner = (kind == Kind::PodmanRootless).then_some(1500);
        assert_eq!(row["owner"].as_u64(), owner);
        assert!(
            row.get("exitCode").is_none() && row.get("exitedAt").is_none(),
            "{row:#}"
        );
    }
    let rows = json(node, &["-a"]);
    assert_eq!(rows.as_array().unwrap().len(), 3, "{rows:#}");
    let gone = row(&rows, &ended);
    assert_eq!(gone["state"], "exited");
    assert!(gone.get("pid").is_none(), "{gone:#}");
    if shown == "containerd" {
        assert_eq!(gone["exitCode"], 137, "{gone:#}");
        assert!(
            gone["exitedAt"].as_str().unwrap().starts_with("20"),
            "{gone:#}"
        );
    }

    // All forms say the same, the table as many words in each line as in its heading.
    let narrow = node.cnsenter(["ls"]).run().quiet();
    let wide = node.cnsenter(["ls", "-o", "wide"]).run().quiet();
    let yaml = node.cnsenter(["ls", "-o", "yaml"]).run().quiet();
    for table in [&narrow, &wide] {
        let (heading, lines) = table.split_once('\n').unwrap();
        assert!(heading.starts_with("ID "), "{table}");
        assert_eq!(lines.lines().count(), 2, "{table}");
        for container in [&blue, &green] {
            let short = &container.id[..container.id.len().min(13)];
            let line = lines.lines().find(|line| line.starts_with(short)).unwrap();
            assert!(line.contains(&format!(" {} ", container.pid)), "{table}");
            assert!(line.contains(" running "), "{table}");
            assert_eq!(
                line.split_whitespace().count(),
                heading
                    .replace("FULL ID", "FULL-ID")
                    .split_whitespace()
                    .count(),
                "{table}"
            );
        }
    }
    assert!(
        wide.contains(&blue.id) && yaml.contains(&format!("id: {}", blue.id)),
        "{wide}\n{yaml}"
    );
    assert!(yaml.contains(&format!("pid: {}", blue.pid)), "{yaml}");
    if kind != Kind::PodmanRootless {
        runtime.pause(&blue);
        assert_eq!(row(&json(node, &[]), &blue)["state"], "paused");
        runtime.unpause(&blue);
    }
    before.assert_same(node);
}

#[test]
fn pods_of_containerd_1_6() {
    pods_are_listed(Kind::Containerd16);
}

#[test]
fn pods_of_containerd_2_2() {
    pods_are_listed(Kind::Containerd22);
}

fn pods_are_listed(kind: Kind) {
    let node = Node::start();
    let runtime = kind.start(&node);
    let mut cri = Cri::connect(&node, "/run/containerd/containerd.sock");
    let sleeper = ContainerSpec::sleeper;
    let cart = cri.run("shop", "cart", &[sleeper("web"), sleeper("db")]);
    let other = cri.run("office", "cart", &[sleeper("web")]);
    let alone = runtime.run(&sleeper("alone"));
    let check = |flags: &[&str]| {
        let rows = json(&node, flags);
        assert_eq!(rows.as_array().unwrap().len(), 4, "{rows:#}");
        let web = row(&rows, &cart.containers[0]);
        assert_eq!(
            (&web["name"], &web["pod"]["name"]),
            (&"web".into(), &"cart".into())
        );
        assert_eq!(
            (&web["pod"]["namespace"], &web["pod"]["uid"]),
            (&"shop".into(), &cart.uid.as_str().into())
        );
        assert_eq!(
            (&web["runtimeNamespace"], &web["pid"]),
            (&"k8s.io".into(), &cart.containers[0].pid.into())
        );
        assert!(row(&rows, &alone).get("pod").is_none());
        let pods = json(&node, &[flags, &["--pod", "shop/cart"]].concat());
        let ids: Vec<_> = pods
            .as_array()
            .unwrap()
            .iter()
            .map(|row| row["name"].as_str().unwrap())
            .collect();
        assert_eq!(ids, ["db", "web"]);
        assert_eq!(
            json(&node, &[flags, &["--pod", "shop/none"]].concat()),
            Value::Array(vec![])
        );
        let all = json(&node, &[flags, &["-a"]].concat());
        assert_eq!(all.as_array().unwrap().len(), 6, "{all:#}");
        let sandbox = all
            .as_array()
            .unwrap()
            .iter()
            .find(|row| row["id"] == other.id.as_str())
            .unwrap();
        assert_eq!(
            (&sandbox["sandbox"], &sandbox["pod"]["namespace"]),
            (&true.into(), &"office".into())
        );
        let table = node
            .cnsenter(["ls", "-a"].iter().chain(flags))
            .run()
            .quiet();
        assert_eq!(table.matches(" sandbox ").count(), 2, "{table}");
        assert_eq!(table.matches(" shop/cart ").count(), 3, "{table}");
    };
    check(&[]);
    check(&["--runtime=none"]);
    check(&["--runtime=containerd"]);
    check(&[
        "--runtime-endpoint=/run/containerd/containerd.sock",
        "--runtime=containerd",
    ]);
    let cri_only = json(&node, &["--runtime=cri"]);
    assert_eq!(cri_only.as_array().unwrap().len(), 3, "{cri_only:#}");
    assert_eq!(
        json(&node, &["--runtime-namespace=default"])
            .as_array()
            .unwrap()
            .len(),
        1
    );
    assert_eq!(json(&node, &["--runtime=docker"]), Value::Array(vec![]));
}

/// Whoever may give a name may put anything in it.
#[test]
fn names_with_escape_sequences() {
    const EVIL: &str = "e\x1b]0;owned\x07\x1b[2J\u{202e}\nvil";
    const SHOWN: &str = "e\\x1b]0;owned\\x07\\x1b[2J\\u{202e}\\nvil";
    let node = Node::start();
    let runtime = Kind::Crun.start(&node);
    let spec = |name: &str| {
        ContainerSpec::sleeper(name)
            .label("io.kubernetes.cri.container-type", "container")
            .label("io.kubernetes.cri.container-name", EVIL)
            .label("io.kubernetes.cri.sandbox-name", EVIL)
            .label("io.kubernetes.cri.sandbox-namespace", "shop")
            .label("io.kubernetes.cri.image-name", EVIL)
    };
    runtime.run(&spec("evil-1"));
    runtime.run(&spec("evil-2"));
    for arguments in [
        &["ls"][..],
        &["ls", "-o", "wide"],
        &["ls", "-a"],
        &["inspect", "evil-1"],
    ] {
        let text = node.cnsenter(arguments).run().quiet();
        assert!(
            !text.contains(['\x1b', '\x07', '\u{202e}']),
            "{arguments:?}: {text:?}"
        );
        assert!(text.contains(SHOWN), "{arguments:?}: {text:?}");
    }
    for arguments in [["ls", "-o", "json"], ["ls", "-o", "yaml"]] {
        let text = node.cnsenter(arguments).run().quiet();
        assert!(!text.contains(['\x1b', '\x07']), "{arguments:?}: {text:?}");
    }
    assert_eq!(json(&node, &[])[0]["pod"]["name"], EVIL);
    let said = node.cnsenter(["evil", "--", "true"]).run();
    said.refused(&["is not unique", &format!("evil-1 (shop/{SHOWN}/{SHOWN})")]);
    let said = node.cnsenter([&format!("shop/{EVIL}"), "--", "true"]).run();
    // No pod of Kubernetes has such a name.
    said.refused(&[&format!("no container \"shop/{SHOWN}\"")]);
    let said = node.cnsenter(["-v", "evil-1", "--", "true"]).run();
    assert_eq!(said.code, 0, "{said}");
    assert!(
        said.err().contains(SHOWN) && !said.err().contains(['\x1b', '\x07']),
        "{said}"
    );
}

fn json(node: &Node, flags: &[&str]) -> Value {
    let said = node
        .cnsenter(["ls", "-o", "json"].iter().chain(flags))
        .run();
    serde_json::from_str(&said.quiet()).unwrap()
}

fn row<'a>(rows: &'a Value, container: &Container) -> &'a Value {
    let found = rows
        .as_array()
        .unwrap()
        .iter()
        .find(|row| row["id"] == container.id.as_str());
    found.unwrap_or_else(|| panic!("no {} in {rows:#}", container.id))
}
