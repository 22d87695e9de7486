//! What kpexec remembers of a cluster: nothing that costs a call, for nobody else, never in the way.

use std::sync::OnceLock;

use kpexec_tests::cluster::{Namespace, PodSpec};
use kpexec_tests::{Cluster, ClusterSpec, Cmd, Kind};
use serde_json::{Value, json};

fn cluster() -> &'static Cluster {
    static CLUSTER: OnceLock<Cluster> = OnceLock::new();
    CLUSTER.get_or_init(|| {
        let spec = ClusterSpec::of(&[Kind::Containerd22]).with_audit_log();
        let cluster = Cluster::start(&spec);
        cluster.install_nodepause();
        cluster
    })
}

/// Somebody with a namespace, and a home of their own on the cluster's machine.
struct Somebody {
    shop: Namespace<'static>,
    home: String,
}

impl Somebody {
    fn new(name: &str) -> Self {
        Self {
            shop: cluster().namespace(),
            home: format!("/root/{name}"),
        }
    }

    fn kpexec(&self, words: &[&str]) -> Cmd {
        cluster().kpexec(words).env("HOME", &self.home)
    }

    /// In the namespace.
    fn enter(&self, words: &[&str]) -> Cmd {
        self.kpexec(&[&["-n", self.shop.name.as_str()], words].concat())
    }

    fn remembered(&self) -> Value {
        let shown = self.kpexec(&["cache", "show", "-o", "json"]).ok();
        serde_json::from_str(&shown).unwrap()
    }

    fn pod(&self, name: &str) -> Option<Value> {
        let remembered = self.remembered();
        let mut pods = remembered["pods"].as_array().unwrap().iter();
        let found = pods.find(|pod| pod["namespace"] == self.shop.name && pod["name"] == name);
        found.cloned()
    }

    /// What `find` tells of the files of this person's cache.
    fn files(&self, format: &str) -> String {
        let folder = format!("{}/.cache/kpexec", self.home);
        let find = ["find", &folder, "-type", "f", "-printf", format];
        cluster().machine.command(find).run().out()
    }
}

#[test]
fn a_run_remembers_what_it_saw_and_asks_nothing_more() {
    let me = Somebody::new("run");
    me.shop.run(&PodSpec::sleeper("web").container("log"));
    let user = cluster().user("run");
    user.make_admin();
    let run = |age: &str| {
        let words = ["-n", &me.shop.name, "web", "--", "true"];
        let command = user.kpexec(words).env("HOME", &me.home);
        command.env("KPEXEC_CACHE_AGE", age).ok();
        cluster().calls_of(&user.name).len()
    };
    let without = run("off");
    assert_eq!(me.files("%p"), "");
    assert_eq!(run("30d"), 2 * without);

    let shown = user.kpexec(["cache", "show", "-o", "json"]);
    let shown: Value = serde_json::from_str(&shown.env("HOME", &me.home).ok()).unwrap();
    let pod = me.shop.get("pod/web");
    let seen = &shown["pods"][0];
    for (field, path) in [
        ("namespace", "/metadata/namespace"),
        ("uid", "/metadata/uid"),
        ("node", "/spec/nodeName"),
    ] {
        assert_eq!(Some(&seen[field]), pod.pointer(path), "{field}");
    }
    let id = pod.pointer("/status/containerStatuses/1/containerID");
    let log = pod.pointer("/status/containerStatuses/1/name").unwrap();
    let mut containers = seen["containers"].as_array().unwrap().iter();
    let container = containers.find(|container| container["name"] == *log);
    assert_eq!(container.and_then(|container| container.get("id")), id);
    let address = cluster().worker("node-1").address.to_string();
    let expected = json!([{"type": "InternalIP", "address": address}]);
    assert_eq!(shown["nodes"][0]["addresses"], expected);
    // Nobody else may read it, and nobody else's cluster or user is in it.
    assert_eq!(me.files("%m\n"), "600\n600\n");
    let folder = format!("{}/.cache/kpexec/clusters", me.home);
    let mode = cluster()
        .machine
        .command(["stat", "-c", "%a", &folder])
        .ok();
    assert_eq!(mode, "700");
    let other = me.kpexec(&["cache", "show", "--as=other"]).ok();
    assert_eq!(other, "nothing is remembered of this cluster");
}

#[test]
fn a_nodes_agent_is_asked_for_once_until_it_is_gone() {
    let me = Somebody::new("agent");
    me.shop.run(&PodSpec::sleeper("web"));
    let user = cluster().user("agent");
    user.make_admin();
    let mut before = 0;
    let mut calls = || {
        let words = ["-n", &me.shop.name, "web", "--", "hostname"];
        let told = user.kpexec(words).env("HOME", &me.home).ok();
        assert_eq!(told, "web");
        let all = cluster().calls_of(&user.name);
        let verbs = all[before..]
            .iter()
            .filter_map(|call| call.split(' ').next());
        let verbs = verbs.collect::<Vec<_>>().join(" ");
        before = all.len();
        verbs
    };
    assert_eq!(calls(), "get list get");
    assert_eq!(calls(), "get get");
    let file = me.files("%p\n");
    let mut files = file.lines();
    let file = files.find(|path| path.ends_with("-agents.jsonl")).unwrap();
    let rename = ["sed", "-i", "s/nodepause-[a-z0-9]*/nodepause-gone/", file];
    cluster().machine.command(rename).ok();
    assert_eq!(calls(), "get get list get");
    assert_eq!(calls(), "get get");
}

#[test]
fn what_leads_to_a_pod_is_remembered_too() {
    let me = Somebody::new("objects");
    let pod = PodSpec::sleeper("web").manifest();
    let labels = json!({ "app": "web" });
    let deployment = json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": { "name": "web" },
        "spec": {
            "replicas": 1,
            "selector": { "matchLabels": labels },
            "template": { "metadata": { "labels": labels }, "spec": pod["spec"] },
        },
    });
    let service = json!({
        "apiVersion": "v1", "kind": "Service", "metadata": { "name": "front" },
        "spec": { "selector": labels, "ports": [{ "port": 80 }] },
    });
    me.shop.apply(&deployment.to_string());
    me.shop.apply(&service.to_string());
    me.shop.wait("condition=Available", "deployment/web");
    let name = me.enter(&["svc/front", "--", "hostname"]).ok();
    let objects = me.pod(&name).unwrap()["objects"].clone();
    assert_eq!(objects, json!(["deployment/web", "service/front"]));
    let text = me.kpexec(&["cache", "show"]).ok();
    assert!(text.contains("deployment/web, service/front"), "{text}");
}

#[test]
fn a_refresh_remembers_all_and_forgets_what_is_gone() {
    let me = Somebody::new("refresh");
    me.shop.run(&PodSpec::sleeper("old"));
    let told = me.kpexec(&["cache", "refresh"]).run();
    assert_eq!(told.code, 0, "{told}");
    assert!(told.err().contains(" pods on 1 node\n"), "{told}");
    assert!(me.pod("old").is_some());
    let addresses = me.remembered()["nodes"][0]["addresses"].to_string();
    assert!(addresses.contains("Hostname"), "{addresses}");

    me.shop.kubectl(["delete", "pod", "old", "--now"]).ok();
    me.shop.run(&PodSpec::sleeper("new"));
    me.kpexec(&["cache", "refresh", "-q", "-n", &me.shop.name])
        .ok();
    assert!(me.pod("new").is_some() && me.pod("old").is_none());
    // Of other namespaces it says nothing.
    let elsewhere = || {
        let all = me.remembered();
        let pods = all["pods"].as_array().unwrap().iter();
        pods.filter(|pod| pod["namespace"] != *me.shop.name).count()
    };
    assert!(elsewhere() > 0);
    me.kpexec(&["cache", "refresh", "-q"]).ok();
    assert!(me.pod("new").is_some() && elsewhere() > 0);
    let none = ["cache", "refresh", "-n", "nobodys"];
    let told = me.kpexec(&none).run();
    assert!(
        told.err()
            .starts_with("remembered now: 0 pods of namespace nobodys"),
        "{told}"
    );

    me.kpexec(&["cache", "clear"]).ok();
    let nothing = json!({"pods": [], "nodes": [], "agents": []});
    assert_eq!(me.remembered(), nothing);
    let text = me.kpexec(&["cache", "show"]).ok();
    assert_eq!(text, "nothing is remembered of this cluster");
    me.kpexec(&["cache", "refresh", "-q"]).ok();
    me.kpexec(&["cache", "clear", "--all", "--kubeconfig=/dev/null"])
        .ok();
    assert_eq!(me.files("%p"), "");
}

#[test]
fn who_may_not_list_everything_says_which_namespace() {
    let me = Somebody::new("few");
    me.shop.run(&PodSpec::sleeper("web"));
    let user = cluster().user("few");
    let role = ["create", "role", "see", "--verb=list", "--resource=pods"];
    me.shop.kubectl(role).ok();
    let binding = ["create", "rolebinding", "see", "--role=see", "--user=few"];
    me.shop.kubectl(binding).ok();
    let kpexec = |words: &[&str]| user.kpexec(words).env("HOME", &me.home);
    let refused = kpexec(&["cache", "refresh"]).run();
    assert_eq!(refused.code, 1, "{refused}");
    let told = refused.err();
    assert!(
        told.starts_with("Error from server (Forbidden): pods is forbidden"),
        "{told}"
    );
    assert!(
        told.contains("\n  -n NAMESPACE asks for the pods of that one"),
        "{told}"
    );
    let told = kpexec(&["cache", "refresh", "-n", &me.shop.name]).run();
    assert_eq!(told.code, 0, "{told}");
    assert!(
        told.err().contains("nodes are known by their pods only"),
        "{told}"
    );
    let text = kpexec(&["cache", "show"]).ok();
    assert!(text.contains("web") && text.contains("node-1"), "{text}");
}

#[test]
fn a_cache_that_cannot_be_used_is_never_in_the_way() {
    let me = Somebody::new("trouble");
    me.shop.run(&PodSpec::sleeper("web"));
    let words = ["-v", "web", "--", "echo", "here"];
    me.enter(&words).ok();
    let files = me.files("%p\n");
    let mut files = files.lines();
    let path = files.find(|path| !path.ends_with("-agents.jsonl")).unwrap();
    let sh = |script: &str| cluster().machine.command(["sh", "-c", script]).ok();
    for (spoil, told) in [
        ("chmod 666", "others may write it"),
        ("chown 1000", "it is somebody else's"),
        ("ln -sf /dev/null", "ymbolic link"),
    ] {
        // Some of these make something new in the file's place.
        if !spoil.starts_with("ch") {
            sh(&format!("rm -f {path}"));
        }
        sh(&format!("{spoil} {path}"));
        let output = me.enter(&words).run();
        assert_eq!(
            (output.code, output.out()),
            (0, "here\n".to_owned()),
            "{output}"
        );
        assert!(output.err().contains("nothing is remembered"), "{output}");
        assert!(output.err().contains(told), "{spoil}: {output}");
        let shown = me.kpexec(&["cache", "show"]).run();
        assert_eq!(shown.code, 1, "{shown}");
        assert!(shown.err().contains(told), "{shown}");
        sh(&format!("rm -f {path}"));
        me.enter(&words).ok();
        assert!(me.pod("web").is_some());
    }
    // No home, or one where nothing can be written.
    for home in ["/proc", "/nowhere/else"] {
        let output = me.enter(&["web", "--", "true"]).env("HOME", home).run();
        assert_eq!((output.code, output.err()), (0, String::new()), "{home}");
    }
}

#[test]
fn the_agents_namespace_can_be_set() {
    let me = Somebody::new("settings");
    me.shop.run(&PodSpec::sleeper("web"));
    let file = format!("{}/.config/kpexec/config.toml", me.home);
    cluster()
        .machine
        .write(&file, "agent-namespace = \"elsewhere\"\n");
    let words = ["web", "--", "true"];
    let output = me.enter(&words).run();
    let told = "has no nodepause pod in namespace elsewhere";
    assert!(output.err().contains(told), "{output}");
    me.enter(&words)
        .env("KPEXEC_AGENT_NAMESPACE", "kpexec")
        .ok();
    me.enter(&["--agent-namespace=kpexec", "web", "--", "true"])
        .ok();
}
