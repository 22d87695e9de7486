//! What leads kpexec to a pod besides its name, and what it asks of the node besides a command.

use std::sync::OnceLock;

use kpexec_tests::cluster::{Namespace, PodSpec};
use kpexec_tests::{Cluster, ClusterSpec, Kind};
use serde_json::{Value, json};

fn cluster() -> &'static Cluster {
    static CLUSTER: OnceLock<Cluster> = OnceLock::new();
    CLUSTER.get_or_init(|| {
        let cluster = Cluster::start(&ClusterSpec::of(&[Kind::Containerd22]));
        cluster.install_nodepause();
        cluster.install_kpexec();
        cluster
    })
}

/// The host name of the container that is entered: its pod's name.
fn entered(shop: &Namespace, words: &[&str]) -> String {
    let words = ["-q"].iter().chain(words).chain(&["--", "hostname"]);
    shop.kpexec(words).ok()
}

fn custom(name: &str, scale: bool) -> Value {
    let mut version = json!({
        "name": "v1", "served": true, "storage": true,
        "schema": {"openAPIV3Schema": {
            "type": "object", "x-kubernetes-preserve-unknown-fields": true,
        }},
        "subresources": {"status": {}},
    });
    if scale {
        version["subresources"]["scale"] = json!({
            "specReplicasPath": ".spec.replicas",
            "statusReplicasPath": ".status.replicas",
            "labelSelectorPath": ".status.selector",
        });
    }
    let names = json!({
        "plural": format!("{name}s"), "singular": name, "shortNames": [&name[..3]],
        "kind": format!("{}{}", name[..1].to_uppercase(), &name[1..]),
    });
    json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": format!("{name}s.shops.example.com")},
        "spec": {
            "group": "shops.example.com", "scope": "Namespaced", "names": names,
            "versions": [version],
        },
    })
}

#[test]
fn a_custom_resource_leads_to_the_pods_of_its_scale() {
    let shop = cluster().namespace();
    for definition in [custom("counter", true), custom("ledger", false)] {
        cluster().apply(&definition.to_string());
        let name = definition["metadata"]["name"].as_str().unwrap();
        shop.wait("condition=Established", &format!("crd/{name}"));
    }
    shop.run(&PodSpec::sleeper("till"));
    let object = |kind: &str, name: &str| {
        json!({
            "apiVersion": "shops.example.com/v1", "kind": kind,
            "metadata": {"name": name}, "spec": {"replicas": 1},
        })
        .to_string()
    };
    shop.apply(&object("Counter", "front"));
    shop.apply(&object("Counter", "closed"));
    shop.apply(&object("Ledger", "book"));
    let status = r#"{"status": {"replicas": 1, "selector": "app=till"}}"#;
    let patch = [
        "patch",
        "counter/front",
        "--subresource=status",
        "--type=merge",
        "-p",
        status,
    ];
    shop.kubectl(patch).ok();

    for word in [
        "counter/front",
        "counters/front",
        "cou/front",
        "counters.shops.example.com/front",
        "counters.v1.shops.example.com/front",
    ] {
        assert_eq!(entered(&shop, &[word]), "till", "{word}");
    }
    cluster()
        .machine
        .write("/root/counter.json", object("Counter", "front"));
    assert_eq!(entered(&shop, &["-f", "/root/counter.json"]), "till");
    for (word, told) in [
        (
            "counter/closed",
            "error: counter/closed is defined without a selector",
        ),
        (
            "counter/nosuch",
            "Error from server (NotFound): counters.shops.example.com \"nosuch\" not found",
        ),
        ("ledger/book", "error: the pods of a ledger cannot be found"),
    ] {
        let output = shop.kpexec([word, "--", "true"]).run();
        assert_eq!(output.code, 1, "{output}");
        assert!(output.err().starts_with(told), "{output}");
    }
}

#[test]
fn a_cron_job_leads_to_the_pod_of_its_job() {
    let shop = cluster().namespace();
    let mut pod = PodSpec::sleeper("sync").manifest();
    pod["spec"]["restartPolicy"] = json!("Never");
    let job = json!({"spec": {"template": {"metadata": pod["metadata"], "spec": pod["spec"]}}});
    let cron = json!({
        "apiVersion": "batch/v1", "kind": "CronJob", "metadata": {"name": "sync"},
        "spec": {"schedule": "0 0 1 1 *", "suspend": true, "jobTemplate": job},
    });
    shop.apply(&cron.to_string());
    let idle = shop.kpexec(["cronjob/sync", "--", "true"]).run();
    assert_eq!(
        (idle.code, idle.err()),
        (1, "error: cronjob/sync runs no job now\n".into())
    );

    // As if its time had come.
    shop.kubectl(["create", "job", "sync-now", "--from=cronjob/sync"])
        .ok();
    let uid = shop.get("job/sync-now")["metadata"]["uid"].clone();
    let active = json!({"status": {"active": [{
        "apiVersion": "batch/v1", "kind": "Job", "name": "sync-now", "namespace": shop.name,
        "uid": uid,
    }]}});
    let patch = [
        "patch",
        "cj/sync",
        "--subresource=status",
        "--type=merge",
        "-p",
    ];
    shop.kubectl(patch.iter().copied().chain([active.to_string().as_str()]))
        .ok();
    let host = entered(&shop, &["cj/sync"]);
    assert!(host.starts_with("sync-now-"), "{host}");
}

#[test]
fn a_manifest_leads_to_what_it_describes() {
    let shop = cluster().namespace();
    let pod = PodSpec::sleeper("cart");
    shop.run(&pod);
    let manifest = pod.manifest();
    let mut placed = manifest.clone();
    placed["metadata"]["namespace"] = json!(shop.name);
    let file = format!("/root/{}.yaml", shop.name);
    let yaml = format!(
        "# the cart\n---\napiVersion: v1\nkind: Pod\nmetadata:\n  name: cart\n  namespace: {}\n",
        shop.name
    );
    cluster().machine.write(&file, yaml);
    assert_eq!(entered(&shop, &["-f", &file]), "cart");
    // Without -n the manifest says where; and by stdin.
    let stdin = cluster()
        .kpexec(["-f", "-", "--", "hostname"])
        .stdin(placed.to_string());
    assert_eq!(stdin.ok(), "cart");
    let list = json!({"apiVersion": "v1", "kind": "List", "items": [manifest]});
    let stdin = shop
        .kpexec(["-f", "-", "--", "hostname"])
        .stdin(list.to_string());
    assert_eq!(stdin.ok(), "cart");
}

#[test]
fn memory_and_privileges_are_the_nodes_business() {
    let shop = cluster().namespace();
    shop.run(&PodSpec::locked_down("cart"));
    let hog = |size: &str| {
        let dd = ["dd", "if=/dev/zero", "of=/dev/null", "bs=64M", "count=1"];
        shop.kpexec(["--memory", size, "cart", "--"].iter().chain(&dd))
            .run()
    };
    assert_eq!(hog("24M").code, 137);
    assert_eq!(hog("128M").code, 0);
    let both = ["--memory=24M", "--cgroup=target", "cart", "--", "true"];
    let both = shop.kpexec(both).run();
    assert_eq!(both.code, 1, "{both}");
    assert!(both.err().contains("leave out --cgroup=target"), "{both}");

    let privileges = |profile: &str| {
        shop.kpexec(["--privileges", profile, "cart", "--", "id", "-u"])
            .run()
    };
    assert_eq!(
        (privileges("full").code, privileges("full").out()),
        (0, "0\n".into())
    );
    let unknown = privileges("root");
    assert_eq!(unknown.code, 1, "{unknown}");
    assert!(unknown.err().contains("it is full"), "{unknown}");
    let later = privileges("netadmin");
    assert_eq!(later.code, 1, "{later}");
    assert!(
        later.err().contains("no cnsenter gives it yet: it is full"),
        "{later}"
    );
    let least = hog("1");
    assert_eq!(least.code, 1, "{least}");
    assert!(least.err().contains("it is 1M or more"), "{least}");
}

#[test]
fn kubectl_pexec_is_kpexec() {
    let shop = cluster().namespace();
    shop.run(&PodSpec::locked_down("cart"));
    let plugin = |words: &[&str]| {
        let fixed = ["kubectl", "pexec", "-n", &shop.name];
        cluster().installed(fixed.iter().chain(words))
    };
    let output = plugin(&["cart", "--", "sh", "-c", "id -u; exit 3"]).run();
    assert_eq!((output.code, output.out()), (3, "0\n".into()), "{output}");
    assert_eq!(output.err(), "command terminated with exit code 3\n");
    let echo = plugin(&["-i", "cart", "--", "cat"])
        .stdin("all of it")
        .run();
    assert_eq!((echo.code, echo.out()), (0, "all of it".into()), "{echo}");
    let mut pty = plugin(&["-it", "cart", "--", "sh"]).pty();
    pty.write("tty; exit 4\r");
    pty.wait_for("/dev/pts/");
    assert_eq!(pty.wait(), 4);
}
