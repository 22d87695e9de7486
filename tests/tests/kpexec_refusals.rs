//! What cannot be done is refused in a sentence that says what to do, and nothing is left of it.

use std::fs;
use std::sync::OnceLock;
use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use cnsenter_protocol::PROTOCOL;
use kpexec_tests::cluster::{Namespace, PodSpec};
use kpexec_tests::{Cache, Cluster, ClusterSpec, Kind, Output, eventually, hello_of};
use nix::sys::signal::Signal;
use serde_json::{Value, json};

fn cluster() -> &'static Cluster {
    static CLUSTER: OnceLock<Cluster> = OnceLock::new();
    CLUSTER.get_or_init(|| {
        let cluster = Cluster::start(&ClusterSpec::of(&[Kind::Containerd22]));
        cluster.install_nodepause();
        cluster
    })
}

/// Nothing was run, and stderr is this, or begins with it and says more.
fn refused(output: &Output, told: &[&str]) {
    refused_with(output, 1, told);
}

fn refused_with(output: &Output, code: i32, told: &[&str]) {
    assert_eq!(
        (output.code, output.out()),
        (code, String::new()),
        "{output}"
    );
    let said = output.err();
    assert!(said.lines().count() <= 2, "{said}");
    for part in told {
        assert!(said.contains(part), "no {part:?} in {said}");
    }
}

fn shop_with_web() -> Namespace<'static> {
    let shop = cluster().namespace();
    shop.run(&PodSpec::sleeper("web"));
    shop
}

const TRUE: [&str; 3] = ["web", "--", "true"];

#[test]
fn a_certificate_that_has_expired() {
    let shop = shop_with_web();
    let user = cluster().expired_user("late");
    let output = user.kpexec(["-n", &shop.name].iter().chain(&TRUE)).run();
    refused(
        &output,
        &["error: You must be logged in to the server (Unauthorized)"],
    );
}

/// Each right that is missing is named, until none is.
#[test]
fn rights_are_named() {
    let shop = shop_with_web();
    let user = cluster().user("erin");
    let grant = |namespace: &str, name: &str, verb: &str, resource: &str| {
        let verb = format!("--verb={verb}");
        let resource = format!("--resource={resource}");
        let role = ["-n", namespace, "create", "role", name, &verb, &resource];
        cluster().kubectl(role).ok();
        let role = format!("--role={name}");
        let bind = [
            "-n",
            namespace,
            "create",
            "rolebinding",
            name,
            &role,
            "--user=erin",
        ];
        cluster().kubectl(bind).ok();
    };
    // Whoever knows the agent from an earlier run need not list any.
    let run = || {
        let command = user.kpexec(["-n", &shop.name].iter().chain(&TRUE));
        command.env("KPEXEC_CACHE_AGE", "off").run()
    };
    let expect = |told: &[&str]| {
        eventually("the role holds", || {
            let said = run().err();
            told.iter().all(|part| said.contains(part))
        });
        refused(&run(), told);
    };
    expect(&["cannot get resource \"pods\"", &shop.name]);
    grant(&shop.name, "erin-pods", "get", "pods");
    expect(&["cannot list resource \"pods\"", "\"kpexec\""]);
    grant("kpexec", "erin-pods", "list", "pods");
    expect(&["the right to get pods/exec in namespace kpexec is missing"]);
    grant("kpexec", "erin-get", "get", "pods/exec");
    expect(&["the right to create pods/exec in namespace kpexec is missing"]);
    grant("kpexec", "erin-create", "create", "pods/exec");
    eventually("all rights are there", || run().code == 0);
}

#[test]
fn pods_and_containers_that_are_not_to_be_entered() {
    let shop = cluster().namespace();
    let missing = PodSpec::sleeper("missing").with_container("image", json!("localhost/nosuch:1"));
    shop.apply(&missing.manifest().to_string());
    let waiting = "jsonpath={.status.containerStatuses[0].state.waiting.reason}";
    shop.wait(&format!("{waiting}=ErrImageNeverPull"), "pod/missing");
    refused(
        &shop.kpexec(["missing", "--", "true"]).run(),
        &["error: container missing of pod missing does not run: ErrImageNeverPull"],
    );

    let init = PodSpec::sleeper("init").manifest()["spec"]["containers"].clone();
    let begins = PodSpec::sleeper("begins").with("initContainers", init);
    shop.apply(&begins.manifest().to_string());
    let started = "jsonpath={.status.initContainerStatuses[0].state.running.startedAt}";
    shop.wait(started, "pod/begins");
    let words = ["--pod-running-timeout=1s", "begins", "--", "true"];
    refused(
        &shop.kpexec(words).run(),
        &[
            "did not run within 1s (--pod-running-timeout); it waits for its init container init, which runs",
        ],
    );
    // Its init container runs.
    let words = ["begins", "-c", "init", "--", "true"];
    assert_eq!(shop.kpexec(words).run().code, 0);
    refused(
        &shop.kpexec(["deploy/begins", "--", "true"]).run(),
        &["Error from server (NotFound): deployments.apps \"begins\" not found"],
    );
}

/// What the cluster knows is told, and what to do.
#[test]
fn pods_that_cannot_start() {
    let shop = cluster().namespace();
    let run = |words: &[&str]| {
        let fixed = ["--pod-running-timeout=1s"].iter().chain(words);
        shop.kpexec(fixed.chain(&["--", "true"])).run()
    };
    let volume = json!([{ "name": "files", "configMap": { "name": "nosuch" } }]);
    let mount = json!([{ "name": "files", "mountPath": "/files" }]);
    let unmounted = PodSpec::sleeper("unmounted").with("volumes", volume);
    shop.apply(
        &unmounted
            .with_container("volumeMounts", mount)
            .manifest()
            .to_string(),
    );
    let mut fails = PodSpec::sleeper("first").manifest()["spec"]["containers"].clone();
    fails[0]["command"] = json!(["sh", "-c", "exit 4"]);
    let held = PodSpec::sleeper("held").with("initContainers", fails);
    shop.apply(&held.manifest().to_string());

    let waiting = "jsonpath={.status.initContainerStatuses[0].state.waiting.reason}";
    shop.wait(&format!("{waiting}=CrashLoopBackOff"), "pod/held");
    refused(
        &run(&["-q", "held"]),
        &[
            "error: container held of pod held does not run: its init container first fails: \
             CrashLoopBackOff: back-off ",
            "; it ended with exit code 4 (Error)\n",
            &format!(
                "  kubectl -n {} logs held -c first -p says more\n",
                shop.name
            ),
        ],
    );
    let mounts = "it waits for ContainerCreating: FailedMount: MountVolume.SetUp failed for volume";
    eventually("its kubelet warns", || {
        run(&["unmounted"]).err().contains(mounts)
    });
    refused(
        &run(&["unmounted"]),
        &[mounts, "configmap \"nosuch\" not found"],
    );

    // Nobody waits for what will not come.
    let spec = |kind: &str, name: &str, spec: Value| {
        let api = if kind == "Job" { "batch/v1" } else { "apps/v1" };
        let meta = json!({ "name": name });
        let object = json!({ "apiVersion": api, "kind": kind, "metadata": meta, "spec": spec });
        shop.apply(&object.to_string());
    };
    let template = |name: &str| {
        let pod = PodSpec::sleeper(name)
            .with("restartPolicy", json!("Never"))
            .manifest();
        json!({ "metadata": pod["metadata"], "spec": pod["spec"] })
    };
    let mut idle = json!({ "replicas": 0, "template": template("idle") });
    idle["selector"] = json!({ "matchLabels": { "app": "idle" } });
    idle["template"]["spec"]["restartPolicy"] = json!("Always");
    spec("Deployment", "idle", idle);
    spec(
        "Job",
        "later",
        json!({ "suspend": true, "template": template("later") }),
    );
    for (object, told) in [
        (
            "deploy/idle",
            "deployment/idle has no pod: it is scaled to 0 replicas",
        ),
        ("job/later", "job/later has no pod: it is suspended"),
    ] {
        let output = shop.kpexec([object, "--", "true"]);
        let output = output.deadline(Duration::from_secs(20)).run();
        refused(&output, &[&format!("error: {told}\n")]);
    }
}

#[test]
fn a_pod_of_a_node_that_is_gone() {
    let shop = cluster().namespace();
    let ready = json!({ "status": { "conditions": [{ "type": "Ready", "status": "True" }] } });
    pod_on_node(&shop, "gone", &ready);
    let starting = PodSpec::sleeper("starting").with("nodeName", json!("gone"));
    shop.apply(&starting.manifest().to_string());
    shop.kubectl(["delete", "node", "gone"]).ok();
    let gone = "the node is not ready (the cluster has no such node any more)";
    refused(&shop.kpexec(TRUE).run(), &[gone]);
    let words = ["--pod-running-timeout=1s", "starting", "--", "true"];
    refused(
        &shop.kpexec(words).run(),
        &["node gone is not ready (the cluster has no such node"],
    );
}

/// It runs until it is gone, and may be entered as long.
#[test]
fn a_pod_that_is_being_deleted() {
    let shop = cluster().namespace();
    // An init without a handler does not hear of TERM.
    let slow = PodSpec::sleeper("web").with("terminationGracePeriodSeconds", json!(600));
    shop.run(&slow);
    shop.kubectl(["delete", "pod", "web", "--wait=false"]).ok();
    for command in [
        shop.kubectl(["exec"].iter().chain(&TRUE)),
        shop.kpexec(TRUE),
    ] {
        command.ok();
    }
    let now = ["delete", "pod", "web", "--grace-period=0", "--force"];
    shop.kubectl(now).ok();
    refused(
        &shop.kpexec(TRUE).run(),
        &["Error from server (NotFound): pods \"web\" not found"],
    );
}

/// Runs a pod in the place of nodepause, for `--agent-namespace`.
fn agent(shop: &Namespace, change: impl FnOnce(&mut Value)) {
    let mut pod = PodSpec::sleeper("nodepause").manifest();
    pod["metadata"]["labels"] = json!({ "app.kubernetes.io/name": "nodepause" });
    change(&mut pod["spec"]);
    shop.apply(&pod.to_string());
}

#[test]
fn agents_that_are_of_no_use() {
    let shop = shop_with_web();
    let run = || {
        let words = ["--agent-namespace", &shop.name];
        shop.kpexec(words.iter().chain(&TRUE)).run()
    };
    refused(
        &run(),
        &[&format!(
            "error: node node-1 has no nodepause pod in namespace {}",
            shop.name
        )],
    );
    agent(&shop, |spec| {
        spec["containers"][0]["image"] = json!("localhost/nosuch:1")
    });
    let waiting = "jsonpath={.status.containerStatuses[0].state.waiting.reason}";
    shop.wait(&format!("{waiting}=ErrImageNeverPull"), "pod/nodepause");
    let pod = format!(
        "error: the nodepause pod {}/nodepause of node node-1 does not run",
        shop.name
    );
    refused(
        &run(),
        &[&pod, "ErrImageNeverPull", "describe pod nodepause"],
    );
    shop.kubectl(["delete", "pod", "nodepause"]).ok();

    // A pod that runs, and has no cnsenter.
    agent(&shop, |_| ());
    shop.wait("condition=Ready", "pod/nodepause");
    refused(
        &run(),
        &[
            "error: cnsenter did not answer on node node-1: ",
            "\"cnsenter\"",
        ],
    );
}

/// A cnsenter that says what one of another version would say.
fn agent_of_protocol(oldest: u32, newest: u32) -> Output {
    let hello = hello_of(oldest, newest);
    let shop = shop_with_web();
    agent_that_says(&shop, &hello);
    let words = ["--agent-namespace", &shop.name];
    shop.kpexec(words.iter().chain(&TRUE)).run()
}

/// A cnsenter that says this, and nothing more.
fn agent_that_says(shop: &Namespace, hello: &[u8]) {
    let files = json!({
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": { "name": "cnsenter" },
        "data": { "cnsenter": "#!/bin/sh\ncat /other/hello; exec sleep 1000\n" },
        "binaryData": { "hello": BASE64_STANDARD.encode(hello) },
    });
    shop.apply(&files.to_string());
    agent(shop, |spec| {
        spec["volumes"] = json!([{
            "name": "other",
            "configMap": { "name": "cnsenter", "defaultMode": 0o755 },
        }]);
        let container = &mut spec["containers"][0];
        container["volumeMounts"] = json!([{ "name": "other", "mountPath": "/other" }]);
        container["env"] = json!([{ "name": "PATH", "value": "/other:/bin" }]);
    });
    shop.wait("condition=Ready", "pod/nodepause");
}

/// Whoever waits is told for what, long before that is given up.
#[test]
fn an_agent_that_hangs() {
    let shop = shop_with_web();
    agent_that_says(&shop, b"");
    let words = ["--agent-namespace", &shop.name];
    let client = shop.kpexec(words.iter().chain(&TRUE)).spawn();
    client.wait_for_error("node node-1 was asked to start cnsenter, and has not answered for 5s");
    client.signal(Signal::SIGINT);
    let output = client.wait();
    assert_eq!(output.code, 130, "{output}");
    let told = "error: interrupted before the command was started\n";
    assert!(output.err().ends_with(told), "{output}");
}

#[test]
fn an_agent_of_a_later_protocol() {
    let output = agent_of_protocol(PROTOCOL + 1, PROTOCOL + 2);
    refused(
        &output,
        &[
            "cnsenter 9.9.9 on the node speaks session protocols 2 to 3",
            "update kpexec",
        ],
    );
}

#[test]
fn an_agent_of_an_earlier_protocol() {
    let output = agent_of_protocol(0, 0);
    refused(
        &output,
        &["cnsenter 9.9.9 on the node", "update the nodepause pods"],
    );
}

/// A node without a kubelet, and a pod that is said to run there.
fn pod_on_node(shop: &Namespace, node: &str, status: &Value) {
    let object = json!({ "apiVersion": "v1", "kind": "Node", "metadata": { "name": node } });
    shop.apply(&object.to_string());
    let patch = ["patch", "node", node, "--subresource=status", "-p"];
    shop.kubectl(patch.iter().copied().chain([status.to_string().as_str()]))
        .ok();
    let web = PodSpec::sleeper("web").with("nodeName", json!(node));
    shop.apply(&web.manifest().to_string());
    runs(shop, "web");
}

/// What a kubelet writes of a pod with one container.
fn runs(shop: &Namespace, pod: &str) {
    let status = json!({ "status": {
        "phase": "Running",
        "containerStatuses": [{
            "name": pod, "image": "busybox", "imageID": "", "ready": true, "restartCount": 0,
            "containerID": format!("containerd://{}", "0a".repeat(32)),
            "state": { "running": { "startedAt": "2026-01-01T00:00:00Z" } },
        }],
    }});
    let patch = [
        "patch",
        "pod",
        pod,
        "--subresource=status",
        "-p",
        &status.to_string(),
    ];
    shop.kubectl(patch).ok();
}

/// As Fargate and virtual-kubelet have them: no DaemonSet has pods there.
#[test]
fn a_node_that_is_none() {
    let shop = cluster().namespace();
    let ready = json!({ "status": { "conditions": [{ "type": "Ready", "status": "True" }] } });
    pod_on_node(&shop, "virtual", &ready);
    refused(
        &shop.kpexec(TRUE).run(),
        &[
            "error: node virtual has no nodepause pod in namespace kpexec",
            "virtual nodes can have none",
        ],
    );
}

#[test]
fn a_node_that_is_not_ready() {
    let shop = cluster().namespace();
    // What the controllers write when a kubelet is silent; nobody has that address.
    let unknown = json!({ "status": {
        "addresses": [{ "type": "InternalIP", "address": "10.77.0.250" }],
        "conditions": [{
            "type": "Ready", "status": "Unknown", "reason": "NodeStatusUnknown",
            "message": "Kubelet stopped posting node status.",
        }],
    }});
    pod_on_node(&shop, "silent", &unknown);
    agent(&shop, |spec| spec["nodeName"] = json!("silent"));
    runs(&shop, "nodepause");
    let words = ["--agent-namespace", &shop.name];
    let output = shop.kpexec(words.iter().chain(&TRUE)).run();
    refused(
        &output,
        &[
            "node silent is not ready",
            "Kubelet stopped posting node status",
        ],
    );
}

/// A kubeconfig for a server that needs no credentials.
fn through(server: &str) -> String {
    let name = server.replace(['/', ':'], "-");
    let path = format!("/root/{name}.conf");
    let config = json!({
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{ "name": "c", "cluster": { "server": server } }],
        "users": [{ "name": "u", "user": {} }],
        "contexts": [{ "name": "c", "context": { "cluster": "c", "user": "u" } }],
        "current-context": "c",
    });
    cluster().machine.write(&path, config.to_string());
    path
}

const NGINX: &str = "daemon off; pid /run/nginx.pid; error_log /var/log/nginx.log;
events {}
http { access_log off; server { listen 127.0.0.1:8080; location / {
proxy_pass https://127.0.0.1:6443;
proxy_ssl_certificate /etc/kubernetes/pki/kubelet-client.crt;
proxy_ssl_certificate_key /etc/kubernetes/pki/kubelet-client.key;
} } }";

/// nginx, as it is if nobody has told it about WebSocket.
#[test]
fn a_proxy_that_drops_the_upgrade() {
    let shop = shop_with_web();
    cluster().machine.write("/etc/nginx.conf", NGINX);
    let nginx = cluster().command(["/usr/sbin/nginx", "-c", "/etc/nginx.conf"]);
    let _nginx = nginx.spawn();
    let config = through("http://127.0.0.1:8080");
    let run = |words: &[&str]| shop.kpexec(words).env("KUBECONFIG", &config).run();
    eventually("nginx listens", || {
        run(&["nosuch", "--", "true"])
            .err()
            .contains("\"nosuch\" not found")
    });
    refused(
        &run(&TRUE),
        &[
            "error: 127.0.0.1:8080 does not upgrade the connection to WebSocket",
            "proxy",
        ],
    );
}

/// kubectl's own proxy lets nobody exec, if it is not told to.
#[test]
fn a_proxy_that_forbids_exec() {
    let shop = shop_with_web();
    let _proxy = cluster().kubectl(["proxy", "--port=8081"]).spawn();
    let config = through("http://127.0.0.1:8081");
    let run = |words: &[&str]| shop.kpexec(words).env("KUBECONFIG", &config).run();
    eventually("the proxy listens", || {
        run(&["nosuch", "--", "true"])
            .err()
            .contains("\"nosuch\" not found")
    });
    refused(
        &run(&TRUE),
        &[
            "127.0.0.1:8081 does not upgrade the connection to WebSocket",
            "403",
            "proxy",
        ],
    );
}

/// A shim of that name, behind which runc's does the work: the runtime's name is enough.
#[test]
fn a_pod_of_another_kernel() {
    let shop = cluster().namespace();
    let worker = cluster().worker("node-1");
    let bin = Cache::here().part("containerd", "github.com/containerd/containerd/v2");
    let shim = worker.node.path("/usr/local/sbin/containerd-shim-kata-v2");
    fs::copy(bin.join("containerd-shim-runc-v2"), shim).expect("a program can be copied");
    let class = json!({
        "apiVersion": "node.k8s.io/v1",
        "kind": "RuntimeClass",
        "metadata": { "name": "kata" },
        "handler": "kata",
    });
    shop.apply(&class.to_string());
    shop.run(&PodSpec::sleeper("web").with("runtimeClassName", json!("kata")));
    let output = shop.kpexec(TRUE).run();
    refused_with(
        &output,
        125,
        &[
            "runs in a Kata virtual machine",
            "not on this node's kernel",
        ],
    );
}
