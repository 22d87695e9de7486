//! The API server, etcd, the kubelets and containerd end, one after the other: kpexec still runs commands
//! in pods, by SSH, and says which way it goes and where it knows that from.

use std::time::{Duration, Instant};

use kpexec_tests::cluster::{Laptop, Namespace, PodSpec, Worker};
use kpexec_tests::ssh::{KEY, KNOWN_HOSTS, Sshd, make_key, public_key, ssh_keygen};
use kpexec_tests::{Cluster, ClusterSpec, ContainerSpec, Cri, Node, Output, eventually};
use nix::sys::signal::Signal;
use serde_json::{Value, json};

/// A cluster whose nodes have an sshd, and a laptop whose user they let in.
struct Story<'a> {
    cluster: &'a Cluster,
    laptop: Laptop<'a>,
    shop: Namespace<'a>,
    sshds: Vec<Sshd>,
}

const WAYS: [&str; 2] = ["--ssh", "--ssh=auto"];

/// A machine's key, which is for kpexec alone: more is not needed.
fn forced_key(machine: &Node) -> String {
    let forced = "command=\"cnsenter session --from-ssh-original-command\",restrict";
    format!("{forced} {}", public_key(machine, KEY))
}

impl<'a> Story<'a> {
    fn begin(cluster: &'a Cluster) -> Self {
        let laptop = cluster.laptop();
        let sshds = cluster.let_in(&laptop.node);
        for sshd in &sshds {
            sshd.authorize("root", &forced_key(&laptop.node));
        }
        Self {
            cluster,
            laptop,
            shop: cluster.namespace(),
            sshds,
        }
    }

    fn kpexec(&self, words: &[&str]) -> Output {
        let fixed = ["-n", self.shop.name.as_str()];
        self.laptop.kpexec([&fixed, words].concat()).run()
    }

    /// The command ran in the pod, and this was said meanwhile.
    fn enters(&self, way: &str, target: &str, pod: &str, told: &[&str]) {
        let output = self.kpexec(&[way, target, "--", "hostname"]);
        assert_eq!(
            (output.code, output.out().trim()),
            (0, pod),
            "{way} {target}: {output}"
        );
        for part in told {
            assert!(
                output.err().contains(part),
                "{way}: no {part:?} in {output}"
            );
        }
    }

    /// Nothing ran, and this was said.
    fn refuses(&self, words: &[&str], told: &[&str]) {
        let output = self.kpexec(words);
        assert_eq!((output.code, output.out().as_str()), (1, ""), "{output}");
        for part in told {
            assert!(output.err().contains(part), "no {part:?} in {output}");
        }
    }

    /// A deployment of one pod, and that pod's name.
    fn deploy(&self, name: &str) -> String {
        let pod = PodSpec::sleeper(name).manifest();
        let labels = json!({ "app": name });
        let deployment = json!({
            "apiVersion": "apps/v1", "kind": "Deployment", "metadata": { "name": name },
            "spec": {
                "replicas": 1,
                "selector": { "matchLabels": labels },
                "template": { "metadata": { "labels": labels }, "spec": pod["spec"] },
            },
        });
        self.shop.apply(&deployment.to_string());
        let object = format!("deployment/{name}");
        self.shop.wait("condition=Available", &object);
        let label = format!("-l=app={name}");
        let pods = self.shop.kubectl(["get", "pods", "-o=name", &label]).ok();
        pods.trim_start_matches("pod/").to_owned()
    }
}

#[test]
fn kpexec_goes_on_when_the_cluster_does_not() {
    let cluster = Cluster::start(&ClusterSpec::default());
    cluster.install_nodepause();
    let story = Story::begin(&cluster);
    let shop = &story.shop;

    shop.run(&PodSpec::locked_down("web").on("node-1").container("log"));
    shop.run(&PodSpec::sleeper("moving").on("node-1"));
    let api = story.deploy("api");
    // All is well: what is wanted is what is done.
    story.enters("-v", "web", "web", &["connected by WebSocket"]);
    let output = story.kpexec(&["-v", "--ssh=auto", "web", "--", "true"]);
    assert!(output.err().contains("connected by WebSocket"), "{output}");
    let output = story.kpexec(&["-v", "--ssh", "deploy/api", "--", "hostname"]);
    assert!(
        output.err().contains("connected by SSH to root@"),
        "{output}"
    );
    assert_eq!(output.out().trim(), api);
    let output = story.kpexec(&["--node=node-1", "-c", "log", "web", "--", "hostname"]);
    assert_eq!((output.code, output.out().trim()), (0, "web"), "{output}");
    assert!(output.err().contains("ago: where node-1 is"), "{output}");
    denials_are_no_outages(&story);
    all_answers_have_one_limit(&story);
    a_plugin_that_hangs_is_not_waited_for(&story);

    story.laptop.kpexec(["cache", "refresh", "-q"]).ok();
    // What nobody has seen since.
    shop.run(&PodSpec::sleeper("late").on("node-2"));
    shop.run(&PodSpec::sleeper("unseen").on("node-2"));
    let young = story.deploy("young");
    run_pairs(shop);
    run_half(&story);
    run_set(&story);
    shop.kubectl(["delete", "pod", "moving", "--now"]).ok();
    shop.run(&PodSpec::sleeper("moving").on("node-2"));
    cluster
        .worker("node-2")
        .run_static(&PodSpec::sleeper("fixed"));
    let fixed = |way: &str| {
        let words = ["-n", "default", way, "fixed-node-2", "--", "hostname"];
        story.laptop.kpexec(words).run()
    };
    let mirror = ["wait", "--for=create", "--timeout=100s", "pod/fixed-node-2"];
    let words = mirror.into_iter().chain(["-n", "default"]);
    cluster
        .kubectl(words)
        .deadline(Duration::from_secs(110))
        .ok();
    let output = fixed("--ssh");
    assert_eq!(output.out(), "fixed-node-2\n", "{output}");

    // The way from the API server to the nodes is broken.
    cluster.worker("node-1").kubelet.kill();
    let told = ["Going over SSH: ", "node-1"];
    story.enters("--ssh=auto", "web", "web", &told);
    story.enters("--ssh", "web", "web", &[]);
    story.enters("--ssh=auto", "late", "late", &[]);
    a_node_has_more_addresses_than_its_pods_tell(&story);
    let daemonset = ["delete", "daemonset", "nodepause", "--cascade=foreground"];
    cluster
        .nodepause(daemonset.into_iter().chain(["--wait=false"]))
        .ok();
    eventually("node-2 has no agent", || {
        let output = story.kpexec(&["late", "--", "true"]);
        output.err().contains("has no nodepause pod")
    });
    story.enters(
        "--ssh=auto",
        "late",
        "late",
        &["Going over SSH: ", "nodepause"],
    );

    let seen_and_unseen = || {
        for way in WAYS {
            let cached = "From the cache, ";
            story.enters(way, "web", "web", &["Going over SSH: ", cached]);
            story.enters(way, "deploy/api", &api, &[cached, "Entering pod"]);
            let output = story.kpexec(&[way, "unseen", "--", "hostname"]);
            assert_eq!(output.out(), "unseen\n", "{output}");
            assert!(!output.err().contains(cached), "{output}");
            let guess = "which by its name is one of deployment/young";
            story.enters(way, "deploy/young", &young, &[guess]);
            story.enters(way, "moving", "moving", &["It is not on node-1 any more"]);
            let output = fixed(way);
            assert_eq!(output.out().trim(), "fixed-node-2", "{output}");
        }
    };
    // The API server does not answer, then it is gone, then its memory as well.
    cluster.api_server().stop();
    let silent = ["did not answer within 4s", "From the cache, "];
    story.enters("--ssh=auto", "web", "web", &silent);
    cluster.api_server().resume();
    cluster.etcd().kill();
    story.enters("--ssh=auto", "web", "web", &["Going over SSH: "]);
    cluster.api_server().kill();
    story.refuses(
        &["web", "--", "true"],
        &["was refused", "\n  --ssh goes to"],
    );
    seen_and_unseen();
    cluster.worker("node-2").kubelet.kill();
    seen_and_unseen();
    twins_are_not_entered(&story);
    pairs_are_entered_where_an_annotation_says(&story);
    for worker in &cluster.workers {
        worker.containerd.kill();
        let noise = "echo '[motd] Welcome'; echo 'pyenv: command not found' >&2\n";
        worker.node.write("/root/.bashrc", noise);
    }
    seen_and_unseen();
    another_container_is_no_default(&story);
    whoever_is_asked_has_time(&story);
    programs_of_a_search_end_with_it(&story);
    a_node_may_be_elsewhere(&story);

    let both = "runs on none of the nodes that answered (node-1, node-2)";
    story.refuses(
        &["--ssh", "gone", "--", "true"],
        &["error: pod", both, "--node HOST"],
    );
    story.refuses(
        &["--ssh", "svc/gone", "--", "true"],
        &["no pod of service/gone is remembered"],
    );
    story.refuses(
        &["--ssh", "-c", "none", "web", "--", "true"],
        &["container none of pod web does not run on node-1; there are: "],
    );
    nothing_is_sent_while_looking(&story);
    ours_is_sent_where_a_pod_was(&story);
    // containerd alone knew of annotations.
    story.refuses(&["--ssh", "pair-node-1", "--", "true"], &WHICH);
    one_jump_host_is_entered_once(&story);
    story.cluster.cut(cluster.worker("node-2").address);
    let silent = ["answered (node-1); these did not: node-2: "];
    story.refuses(&["--ssh", "unseen", "--", "true"], &silent);
    story.enters("--ssh", "web", "web", &[]);
    story.laptop.kpexec(["cache", "clear"]).ok();
    story.refuses(
        &["--ssh", "web", "--", "true"],
        &[
            "neither pod ",
            " is remembered, nor any node of this cluster",
        ],
    );
}

/// `--push` is for the node that has the pod, and none is known to have it.
fn nothing_is_sent_while_looking(story: &Story) {
    let node = &story.cluster.worker("node-2").node;
    let places = ["/usr/local/sbin/cnsenter", "/usr/local/sbin/away"];
    node.command(["mv", places[0], places[1]]).ok();
    story.refuses(
        &["--ssh", "--push", "unseen", "--", "true"],
        &[
            "these did not: node-2: cnsenter is not installed there",
            "nothing is sent while looking",
            "--node node-2 --push",
        ],
    );
    node.command(["mv", places[1], places[0]]).ok();
}

/// To a node where the pod was seen it is sent, and sees for itself.
fn ours_is_sent_where_a_pod_was(story: &Story) {
    let worker = story.cluster.worker("node-1");
    let places = ["/usr/local/sbin/cnsenter", "/usr/local/sbin/away"];
    worker.node.command(["mv", places[0], places[1]]).ok();
    // A key for the installed one alone would not do.
    let laptop = &story.laptop.node;
    let sshd = &story.sshds[0];
    sshd.authorize("root", &public_key(laptop, KEY));
    story.refuses(
        &["--ssh", "web", "--", "true"],
        &["node-1: cnsenter is not installed there; --push sends it"],
    );
    let push = format!("--push={}", kpexec_tests::cache::cnsenter().display());
    let output = story.kpexec(&["--ssh", &push, "web", "--", "hostname"]);
    assert_eq!((output.code, output.out().trim()), (0, "web"), "{output}");
    let output = story.kpexec(&["--ssh", &push, "-c", "log", "web", "--", "hostname"]);
    assert_eq!((output.code, output.out().trim()), (0, "web"), "{output}");
    // Where it has moved to, they can say so.
    let moved = story.kpexec(&["--ssh", &push, "moving", "--", "hostname"]);
    assert_eq!((moved.code, moved.out().trim()), (0, "moving"), "{moved}");
    let left = worker
        .node
        .command(["sh", "-c", "ls /run/kpexec-*/cnsenter"])
        .run();
    assert_eq!(left.out(), "");
    sshd.authorize("root", &forced_key(laptop));
    worker.node.command(["mv", places[1], places[0]]).ok();
}

/// Whoever may not do it through the API server is told so, and does not come by another way.
fn denials_are_no_outages(story: &Story) {
    let user = story.cluster.user("nobody");
    story
        .laptop
        .node
        .write("/root/nobody.conf", &user.kubeconfig);
    let late = story.cluster.expired_user("late");
    story.laptop.node.write("/root/late.conf", &late.kubeconfig);
    for (file, told) in [
        ("/root/nobody.conf", "Error from server (Forbidden)"),
        (
            "/root/late.conf",
            "error: You must be logged in to the server",
        ),
    ] {
        let file = format!("--kubeconfig={file}");
        story.refuses(&[&file, "--ssh=auto", "web", "--", "true"], &[told]);
    }
}

/// Each of its answers comes in time, and all of them would take too long.
fn all_answers_have_one_limit(story: &Story) {
    let machine = &story.cluster.machine;
    let far = story.cluster.far(Duration::from_millis(1500));
    machine.write(KNOWN_HOSTS, story.laptop.node.read(KNOWN_HOSTS));
    make_key(machine, KEY);
    let keys = [&story.laptop.node, machine].map(forced_key);
    for sshd in &story.sshds {
        sshd.authorize("root", &keys.join("\n"));
    }
    let words = [
        "-n",
        &story.shop.name,
        "--ssh=auto",
        "web",
        "--",
        "hostname",
    ];
    let kpexec = story
        .cluster
        .kpexec(words)
        .env("KUBECONFIG", &far.kubeconfig);
    let output = kpexec.run();
    assert_eq!((output.code, output.out().trim()), (0, "web"), "{output}");
    let told = "did not answer all that was asked within 5s";
    assert!(output.err().contains(told), "{output}");
}

/// Whoever gives credentials may be out of order as well.
fn a_plugin_that_hangs_is_not_waited_for(story: &Story) {
    let node = &story.laptop.node;
    let mut config: Value = serde_json::from_str(&node.read("/root/.kube/config")).unwrap();
    config["users"][0]["user"] = json!({ "exec": {
        "apiVersion": "client.authentication.k8s.io/v1", "interactiveMode": "IfAvailable",
        "command": "sleep", "args": ["54322"],
    }});
    node.write("/root/plugin.conf", config.to_string());
    let words = [
        "--kubeconfig=/root/plugin.conf",
        "--ssh=auto",
        "web",
        "--",
        "hostname",
    ];
    let begun = Instant::now();
    let output = story.kpexec(&words);
    assert_eq!((output.code, output.out().trim()), (0, "web"), "{output}");
    let told = "Going over SSH: the credential plugin sleep has not answered within 5s";
    assert!(output.err().contains(told), "{output}");
    assert!(begun.elapsed() < Duration::from_secs(15), "{output}");
    eventually("it is gone", || node.find(&["sleep", "54322"]).is_empty());
}

/// Nodes that are behind it are asked by one connection.
fn one_jump_host_is_entered_once(story: &Story) {
    let (laptop, machine) = (&story.laptop.node, &story.cluster.machine);
    let jump = Sshd::start(machine);
    jump.authorize("root", &public_key(laptop, KEY));
    let url = story.cluster.url();
    let host = url.trim_start_matches("https://").trim_end_matches(":6443");
    let known = laptop.read(KNOWN_HOSTS);
    laptop.write(KNOWN_HOSTS, format!("{known}{host} {}\n", jump.host_key()));
    let words = ["-v", "--ssh", "-J", host, "unseen", "--", "hostname"];
    let output = story.kpexec(&words);
    assert_eq!(output.out(), "unseen\n", "{output}");
    let way = output.err().split(" through ").nth(1).map(str::to_owned);
    assert!(way.is_some_and(|way| way.contains(host)), "{output}");
    let log = jump.log();
    assert_eq!(
        log.matches("Accepted publickey for root").count(),
        1,
        "{log}"
    );
}

/// What is said of several containers if none of them is known to be the one.
const WHICH: [&str; 3] = [
    "has several containers",
    "only the API server knows which of them is its first: ",
    "-c NAME",
];

/// Pods of two containers on both nodes, whose annotation names the second, and one without any.
fn run_pairs(shop: &Namespace<'_>) {
    for node in ["node-1", "node-2"] {
        let name = format!("pair-{node}");
        let pod = PodSpec::sleeper(&name).container("second").on(node);
        let mut pod = pod.manifest();
        let annotation = "kubectl.kubernetes.io/default-container";
        pod["metadata"]["annotations"] = json!({ annotation: "second" });
        shop.apply(&pod.to_string());
        shop.wait("condition=Ready", &format!("pod/{name}"));
    }
    shop.run(&PodSpec::sleeper("plain").container("second").on("node-1"));
}

/// Pods that were never seen: their nodes know what annotations say, of both containerds.
fn pairs_are_entered_where_an_annotation_says(story: &Story) {
    for way in WAYS {
        for pod in ["pair-node-1", "pair-node-2"] {
            let words = ["-v", way, pod, "--", "hostname"];
            let output = story.kpexec(&words);
            assert_eq!(output.out().trim(), pod, "{output}");
            let said = output.err();
            assert!(said.contains("--container=second"), "{output}");
            // kubectl has nothing to say of what an annotation wants.
            assert!(!said.contains("Defaulted"), "{output}");
        }
        story.refuses(&[way, "plain", "--", "true"], &WHICH);
        let named = ["-c", "plain", way, "plain", "--", "hostname"];
        assert_eq!(story.kpexec(&named).out(), "plain\n");
    }
    // Whichever of its APIs containerd is asked by.
    let endpoint = "--runtime-endpoint=/run/containerd/containerd.sock";
    for worker in &story.cluster.workers {
        let pod = format!("--pod={}/pair-{}", story.shop.name, worker.name);
        for runtime in ["--runtime=containerd", "--runtime=cri"] {
            let words = ["ls", "-o", "json", runtime, endpoint, &pod];
            let listed = worker.node.cnsenter(words).ok();
            let told = listed.matches("\"defaultContainer\": \"second\"").count();
            assert_eq!(told, 2, "{runtime}: {listed}");
        }
        let name = format!("{}/pair-{}", story.shop.name, worker.name);
        let entered = worker.node.cnsenter(["-v", &name, "--", "hostname"]).run();
        let meant = format!("default container is meant: {name}/second");
        assert!(entered.err().contains(&meant), "{entered}");
        assert_eq!(
            entered.out().trim_start_matches("pair-").trim(),
            worker.name
        );
    }
}

/// A pod whose first container has ended, and its second not.
fn run_half(story: &Story) {
    let pod = PodSpec::sleeper("half").container("second").on("node-1");
    let mut pod = pod.manifest();
    pod["spec"]["restartPolicy"] = json!("Never");
    pod["spec"]["containers"][0]["command"] = json!(["true"]);
    story.shop.apply(&pod.to_string());
    let state = "-o=jsonpath={.status.containerStatuses[0].state.terminated.reason}";
    eventually("its first container has ended", || {
        story.shop.kubectl(["get", "pod", "half", state]).ok() == "Completed"
    });
    let second = ["-c", "second", "half", "--", "hostname"];
    eventually("its second runs", || {
        story.kpexec(&second).out() == "half\n"
    });
}

/// What runs beside it is somebody else's.
fn another_container_is_no_default(story: &Story) {
    let told = [
        "container half of pod half does not run on node-1, and is the one that is meant without -c",
        "-c NAME enters another one; there are: second",
    ];
    story.refuses(&["--ssh", "half", "--", "true"], &told);
    let output = story.kpexec(&["--ssh", "-c", "second", "half", "--", "hostname"]);
    assert_eq!(output.out(), "half\n", "{output}");
    // Nobody has seen it, and one is all that there is.
    let output = story.kpexec(&["--ssh", "unseen", "--", "hostname"]);
    let told = "Entering container \"unseen\", the only one of it that runs";
    assert!(output.err().contains(told), "{output}");
}

/// A node has a limit, and a user none.
fn whoever_is_asked_has_time(story: &Story) {
    let laptop = &story.laptop.node;
    let locked = "/root/.ssh/locked";
    ssh_keygen(
        laptop,
        &["-t", "ed25519", "-N", "open sesame", "-f", locked],
    );
    laptop.write("/root/.ssh/only", "IdentitiesOnly yes\nUser root\n");
    for sshd in &story.sshds {
        let keys = [forced_key(laptop), public_key(laptop, locked)];
        sshd.authorize("root", &keys.join("\n"));
    }
    let words = [
        "--ssh",
        "--ssh-config=/root/.ssh/only",
        "-I",
        locked,
        "-it",
        "web",
        "--",
        "hostname",
    ];
    let ask = || {
        let words = ["-n", &story.shop.name].into_iter().chain(words);
        let pty = story.laptop.kpexec(words).pty();
        pty.wait_for("Passphrase for /root/.ssh/locked: ");
        pty
    };
    let mut pty = ask();
    std::thread::sleep(Duration::from_secs(16));
    assert!(pty.is_raw());
    pty.write("open sesame\r");
    pty.wait_for("\r\nweb\r\n");
    assert_eq!(pty.wait(), 0);
    // Whoever does not want to is not asked by the next one.
    let mut pty = ask();
    pty.write("\x03");
    assert_eq!(pty.wait(), 130);
    assert!(!pty.is_raw());
    assert_eq!(pty.raw().matches("Passphrase").count(), 1, "{}", pty.raw());
}

/// The API server knows all of a node's addresses, its pods one: that may not lead there from here. (No
/// kubelet is there to put its own words in place of these.)
fn a_node_has_more_addresses_than_its_pods_tell(story: &Story) {
    let worker = story.cluster.worker("node-1");
    let inside = worker.address.to_string();
    let outside = format!("10.77.0.{}", 100 + worker.address.octets()[3]);
    let addresses = ["add", "del"].map(|what| {
        let of_node = format!("ip address {what} {outside}/24 dev eth0");
        (of_node, format!("ip route {what} unreachable {inside}/32"))
    });
    let run = |(of_node, of_laptop): &(String, String)| {
        worker.node.command(of_node.split(' ')).ok();
        story.laptop.node.command(of_laptop.split(' ')).ok();
    };
    run(&addresses[0]);
    story.refuses(&["--ssh", "web", "--", "true"], &[&format!("{inside}:22 ")]);
    let external = json!([{ "type": "ExternalIP", "address": outside }]);
    let patch = json!({ "status": { "addresses": external } }).to_string();
    let patch = [
        "patch",
        "node",
        "node-1",
        "--subresource=status",
        "-p",
        &patch,
    ];
    story.cluster.kubectl(patch).ok();
    let output = story.kpexec(&["-v", "--ssh", "web", "--", "hostname"]);
    assert_eq!((output.code, output.out().trim()), (0, "web"), "{output}");
    let by = format!("SSH to root@{outside}:22");
    assert!(output.err().contains(&by), "{output}");
    run(&addresses[1]);
}

/// One of a node's addresses is of a network that does not lead here.
fn a_node_may_be_elsewhere(story: &Story) {
    let laptop = &story.laptop.node;
    let address = story.cluster.worker("node-2").address;
    let seen = laptop.command(["date", "+%s"]).ok();
    let node = json!({ "node": { "name": "node-2", "seen": seen.parse::<u64>().unwrap(), "addresses": [
        { "type": "InternalIP", "address": "10.77.0.250" },
        { "type": "ExternalIP", "address": address.to_string() },
    ]}});
    let append = [
        "sh",
        "-c",
        "echo \"$1\" >>\"$(ls ~/.cache/kpexec/clusters/*.jsonl | grep -v agents)\"",
        "sh",
    ];
    let node = node.to_string();
    laptop
        .command(append.into_iter().chain([node.as_str()]))
        .ok();
    story.enters("--ssh", "unseen", "unseen", &["Found pod "]);
    let order = "--node-address-type=ExternalIP,InternalIP";
    story.cluster.cut(address);
    story.refuses(
        &["--ssh", order, "unseen", "--", "true"],
        &[&format!("{address}:22 "), "10.77.0.250:22 "],
    );
    story.cluster.mend(address);
}

/// Those that lead nowhere are not there beside the session.
fn programs_of_a_search_end_with_it(story: &Story) {
    let laptop = &story.laptop.node;
    let address = story.cluster.worker("node-2").address;
    let script = format!(
        "#!/bin/sh\n[ $1 = node-2 ] || {{ sleep 54323; exit 1; }}\nshift\nexec ssh root@{address} \"$@\"\n"
    );
    laptop.write("/root/way", script);
    laptop.command(["chmod", "755", "/root/way"]).ok();
    let way = [
        "-n",
        &story.shop.name,
        "--ssh",
        "--ssh-command=/root/way {node}",
    ];
    let words = way.into_iter().chain(["-i", "unseen", "--", "cat"]);
    let mut client = story.laptop.kpexec(words).spawn();
    client.write("here\n");
    client.wait_for("here\n");
    let left = || laptop.find(&["sleep", "54323"]).len();
    eventually("the other one is gone", || left() == 0);
    client.close_stdin();
    let output = client.wait();
    assert_eq!(
        (output.code, output.out().as_str()),
        (0, "here\n"),
        "{output}"
    );

    // Nor does what waits for ever, whatever ends kpexec.
    laptop.write("/root/way", "#!/bin/sh\nexec sleep 54323\n");
    let hangs = "--ssh-command=/root/way {node}";
    for signal in [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP] {
        let words = ["-n", &story.shop.name, "--ssh", hangs, "unseen", "--", "id"];
        let mut client = story.laptop.kpexec(words).spawn();
        eventually("nodes are asked", || left() == 2);
        client.signal(signal);
        assert_eq!(client.wait_exit(), 128 + signal as i32);
        eventually("nobody is left", || left() == 0);
    }
}

/// A StatefulSet's pod, on node-1.
fn run_set(story: &Story) {
    let pod = PodSpec::sleeper("set").on("node-1").manifest();
    let labels = json!({ "app": "set" });
    let set = json!({
        "apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": { "name": "set" },
        "spec": {
            "serviceName": "set",
            "selector": { "matchLabels": labels },
            "template": { "metadata": { "labels": labels }, "spec": pod["spec"] },
        },
    });
    story.shop.apply(&set.to_string());
    eventually("it runs", || {
        story.kpexec(&["set-0", "--", "true"]).code == 0
    });
}

/// Two pods of one name, as there may be while a node is believed to be dead.
fn twins_are_not_entered(story: &Story) {
    let run = |worker: &Worker, pod: &str| {
        let mut cri = Cri::connect(&worker.node, "/run/containerd/containerd.sock");
        let spec = ContainerSpec::sleeper("twin");
        cri.run(&story.shop.name, pod, &[spec]);
    };
    for worker in &story.cluster.workers {
        run(worker, "twin");
    }
    let told = [
        "pod twin runs in several places: ",
        "node-1 (UID ",
        "node-2 (UID ",
        "--node HOST",
    ];
    story.refuses(&["--ssh", "twin", "--", "true"], &told);
    // Where it was it still is; but it is of a set, whose pods come again elsewhere.
    story.enters("--ssh", "set-0", "set-0", &["From the cache, "]);
    run(story.cluster.worker("node-2"), "set-0");
    let told = [
        "pod set-0 runs in several places: node-1 (UID ",
        ", node-2 (UID ",
    ];
    story.refuses(&["--ssh", "set-0", "--", "true"], &told);
}
