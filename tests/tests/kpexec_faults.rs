//! What a user hears, and what is left, when something on the way to the container goes away.

use std::time::Duration;

use kpexec_tests::cluster::{Laptop, Namespace, PodSpec, Worker};
use kpexec_tests::{Cluster, ClusterSpec, Cmd, Live, eventually};

const NODES: [&str; 2] = ["node-1", "node-2"];

/// A lease that lasts seconds, where the default one is a minute.
const SHORT: &str = "--lease=5s";

/// A cluster with a pod on each node, which is called `web-` and the node's name.
struct Scene<'a> {
    shop: Namespace<'a>,
    /// What the next fault's commands sleep, to be told from those of others.
    next: u32,
}

/// Commands that have told that they run, one on each node.
struct Running<'a> {
    shop: &'a Namespace<'a>,
    time: String,
    clients: Vec<(&'a Worker, Live)>,
}

impl<'a> Scene<'a> {
    fn open(cluster: &'a Cluster, round: u32) -> Self {
        let shop = cluster.namespace();
        for node in NODES {
            shop.run(&PodSpec::locked_down(&format!("web-{node}")).on(node));
        }
        Self {
            shop,
            next: 43430 + 10 * round,
        }
    }

    fn kpexec(&self, words: &[&str]) -> Cmd {
        self.shop.kpexec(words)
    }

    /// Starts a command on each node that leaves a daemon behind.
    fn start(&mut self, flag: &str) -> Running<'_> {
        let cluster = self.shop.cluster;
        self.start_by(flag, |words| cluster.kpexec(words))
    }

    /// By the kpexec of any machine.
    fn start_by(&mut self, flag: &str, kpexec: impl Fn(&[&str]) -> Cmd) -> Running<'_> {
        self.next += 1;
        let time = self.next.to_string();
        let script = format!("setsid sleep {time} & seq 1 20000; echo before; sleep {time}");
        let namespace = self.shop.name.as_str();
        let start = |worker: &'a Worker| {
            let pod = format!("web-{}", worker.name);
            let words = ["-n", namespace, flag, &pod, "--", "sh", "-c", &script];
            (worker, kpexec(&words).spawn())
        };
        let clients = self.shop.cluster.workers.iter().map(start).collect();
        let running = Running {
            shop: &self.shop,
            time,
            clients,
        };
        for (worker, client) in &running.clients {
            client.wait_for("before\n");
            eventually("the command runs", || running.count(worker) == "2");
        }
        running
    }

    /// Everything is as before the fault.
    fn works_again(&self) {
        for node in NODES {
            eventually("kpexec works again", || {
                self.kpexec(&[&format!("web-{node}"), "--", "true"])
                    .run()
                    .code
                    == 0
            });
        }
    }
}

impl Running<'_> {
    fn count(&self, worker: &Worker) -> String {
        let pattern = format!("^sleep {}", self.time);
        let found = worker.node.command(["pgrep", "-fc", &pattern]).run();
        found.out().trim().to_owned()
    }

    /// The connections are cut: it does not look as if a command had ended by itself, nothing of it
    /// runs on, what it had written has arrived, and its user is told all that is known.
    fn are_lost(self, reason: &str) {
        self.end(|output, node| {
            assert_eq!(output.code, 255, "{output}");
            // An agent that is being deleted warns first.
            let said = output.err();
            let told = said.lines().find(|line| line.starts_with("error: "));
            let told = told.unwrap_or(&said);
            let beginning = format!("error: the connection to node {node} was lost: ");
            assert!(told.starts_with(&beginning), "{told}");
            assert!(told.contains(reason), "no {reason:?}: {told}");
            let fate = "on the node) and all that it started is ended";
            assert!(told.contains(fate), "{told}");
        });
    }

    fn end(mut self, check: impl Fn(&kpexec_tests::Output, &str)) {
        let expected: String = (1..=20000).map(|n| format!("{n}\n")).collect();
        for (worker, client) in std::mem::take(&mut self.clients) {
            let output = client.wait();
            let arrived = output.out() == format!("{expected}before\n");
            assert!(arrived, "{} bytes: {}", output.stdout.len(), output.err());
            check(&output, &worker.name);
            eventually("nothing of it runs", || self.count(worker) == "0");
        }
    }
}

/// The shell of a pod's first container, among its node's processes.
fn init_of(shop: &Namespace, pod: &str) -> String {
    let id = shop.get(&format!("pod/{pod}"))["status"]["containerStatuses"][0]["containerID"]
        .as_str()
        .expect("the container has an ID")
        .trim_start_matches("containerd://")
        .to_owned();
    let tasks = shop.worker_of(pod).ctr(&["task", "ls"]).ok();
    let line = tasks.lines().find(|line| line.starts_with(&id));
    let pid = line.and_then(|line| line.split_whitespace().nth(1));
    pid.expect("the container runs").to_owned()
}

/// How often a fault is had that costs little: what goes wrong in one of several cases is seen.
const ROUNDS: u32 = 3;

/// One after the other: each of them takes the whole cluster.
#[test]
fn parts_of_the_cluster_go_away() {
    let cluster = Cluster::start(&ClusterSpec::default());
    cluster.install_nodepause();
    for round in 0..ROUNDS {
        let scene = &mut Scene::open(&cluster, round);
        clients_are_killed(scene);
        containers_are_restarted(scene);
        agents_are_deleted(scene);
        containerds_are_restarted(scene);
        kubelets_are_restarted(scene);
        the_api_server_is_restarted(scene);
    }
    let scene = &mut Scene::open(&cluster, ROUNDS);
    let laptop = cluster.laptop();
    packets_are_dropped_for_long(scene, &laptop);
    packets_are_dropped_for_a_while(scene, &laptop);
    the_api_server_hangs(scene);
    the_nodes_network_goes(scene);
}

fn clients_are_killed(scene: &mut Scene) {
    let mut running = scene.start("-q");
    // They say nothing.
    let workers: Vec<_> = running
        .clients
        .drain(..)
        .map(|(worker, _)| worker)
        .collect();
    for worker in workers {
        eventually("nothing of it runs", || running.count(worker) == "0");
    }
}

/// The target's: its commands end with it, and that is told.
fn containers_are_restarted(scene: &mut Scene) {
    let running = scene.start("-q");
    for worker in &running.shop.cluster.workers {
        let init = init_of(running.shop, &format!("web-{}", worker.name));
        worker.node.command(["kill", "-KILL", &init]).ok();
    }
    running.end(|output, node| {
        let told = format!(
            "command terminated with exit code 137 (killed, for its container ended: container \
             web-{node} ended with exit code 137 (Error))\n"
        );
        assert_eq!((output.code, output.err()), (137, told));
    });
    scene.works_again();
}

fn agents_are_deleted(scene: &mut Scene) {
    let cluster = scene.shop.cluster;
    let running = scene.start("-q");
    let delete = "delete --wait=false --grace-period=0 --force pods --all";
    cluster.nodepause(delete.split(' ')).ok();
    running.are_lost("(the agent, pod kpexec/nodepause-");
    let status = ["rollout", "status", "--timeout=50s", "daemonset/nodepause"];
    cluster.nodepause(status).ok();
    scene.works_again();
}

fn containerds_are_restarted(scene: &mut Scene) {
    let running = scene.start(SHORT);
    for worker in &running.shop.cluster.workers {
        worker.containerd.restart();
    }
    running.are_lost("");
    scene.works_again();
}

fn kubelets_are_restarted(scene: &mut Scene) {
    let running = scene.start("-q");
    for worker in &running.shop.cluster.workers {
        worker.kubelet.restart();
    }
    running.are_lost("");
    scene.works_again();
}

fn the_api_server_is_restarted(scene: &mut Scene) {
    let cluster = scene.shop.cluster;
    let running = scene.start("-q");
    cluster.api_server().restart();
    running.are_lost("");
    cluster.wait_for_api_server();
    scene.works_again();
}

/// The client's, for longer than the lease.
fn packets_are_dropped_for_long(scene: &mut Scene, laptop: &Laptop) {
    let running = scene.start_by(SHORT, |words| laptop.kpexec(words));
    laptop.cut();
    running.are_lost("it was silent for 5s");
    laptop.mend();
}

/// Those that run are lost once the lease is over, others do not begin.
fn the_api_server_hangs(scene: &mut Scene) {
    let cluster = scene.shop.cluster;
    let running = scene.start(SHORT);
    cluster.api_server().stop();
    running.are_lost("it was silent for 5s");
    let hung = scene.kpexec(&["web-node-1", "--", "true"]);
    let hung = hung.deadline(Duration::from_secs(10)).run();
    assert_eq!(hung.code, 1, "{hung}");
    // It accepts the connection, and is silent about TLS.
    let told = "Unable to connect to the server: 10.77.0.1:6443";
    assert!(hung.err().starts_with(told), "{hung}");
    let way = "\n  --ssh goes to the pod's node without the API server\n";
    assert!(hung.err().ends_with(way), "{hung}");
    cluster.api_server().resume();
    cluster.wait_for_api_server();
    scene.works_again();
}

fn the_nodes_network_goes(scene: &mut Scene) {
    let cluster = scene.shop.cluster;
    let running = scene.start(SHORT);
    for worker in &cluster.workers {
        cluster.cut(worker.address);
    }
    running.are_lost("");
    let gone = scene.kpexec(&["web-node-1", "--", "true"]);
    let gone = gone.deadline(Duration::from_secs(15)).run();
    assert_eq!(gone.code, 1, "{gone}");
    assert!(gone.err().contains("node node-1"), "{gone}");
    for worker in &cluster.workers {
        cluster.mend(worker.address);
    }
    scene.works_again();
}

/// For less long than the lease: nothing is lost but time.
fn packets_are_dropped_for_a_while(scene: &Scene, laptop: &Laptop) {
    let script = "for i in $(seq 1 200); do echo $i; sleep 0.02; done; exit 7";
    for node in NODES {
        let pod = format!("web-{node}");
        let words = [
            "-n",
            &scene.shop.name,
            "--lease=30s",
            &pod,
            "--",
            "sh",
            "-c",
            script,
        ];
        let client = laptop.kpexec(words).spawn();
        client.wait_for("20\n");
        laptop.cut();
        // How long the fault lasts; TCP needs about as long again to notice that it is over.
        std::thread::sleep(Duration::from_secs(2));
        laptop.mend();
        let output = client.wait();
        let expected: String = (1..=200).map(|n| format!("{n}\n")).collect();
        assert_eq!(
            (output.code, output.out()),
            (7, expected),
            "{}",
            output.err()
        );
    }
}
