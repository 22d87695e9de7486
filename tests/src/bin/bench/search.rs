//! What it costs to find a pod when the API server is down: every node that is known is asked by SSH,
//! and some of them are dead.

use std::fmt::Write;
use std::net::Ipv4Addr;

use kpexec_tests::cluster::{Laptop, PodSpec};
use kpexec_tests::ssh::{KEY, KNOWN_HOSTS, Sshd, public_key};
use kpexec_tests::{Cluster, ClusterSpec, Kind, Node, cache};
use serde_json::{Value, json};

use crate::ask::ask;
use crate::report::Row;

/// Nodes that answer and do not have the pod. One more does.
const ALIVE: u8 = 39;

/// Nodes that drop every packet.
const DEAD: u8 = 10;

const NODES: u8 = 1 + ALIVE + DEAD;

/// The most that the client may work for each node, in milliseconds.
const WORK: f64 = 40.0;

/// How long a dead node may take, in seconds; what all of them together cost as well.
const PATIENCE: f64 = 5.0;

/// A node that kpexec may ask.
struct Known {
    name: String,
    address: Ipv4Addr,
}

/// Measures the search.
pub(crate) fn rows() -> Vec<Row> {
    eprintln!("bench: starting a cluster of {NODES} nodes, {DEAD} of them dead");
    let cluster = Cluster::start(&ClusterSpec::of(&[Kind::Containerd22]));
    let laptop = cluster.laptop();
    let _sshd = cluster.let_in(&laptop.node);
    let key = public_key(&laptop.node, KEY);
    let mut known_hosts = laptop.node.read(KNOWN_HOSTS);
    let mut alive = Vec::new();
    let mut nodes = Vec::new();
    for number in 0..ALIVE {
        let node = Node::start();
        let address = cluster.attach(&node);
        node.cnsenter(["--version"]).ok();
        let sshd = Sshd::start(&node);
        sshd.authorize("root", &key);
        let _ = writeln!(known_hosts, "{address} {}", sshd.host_key());
        alive.push((node, sshd));
        let name = format!("alive-{number}");
        nodes.push(Known { name, address });
    }
    laptop.node.write(KNOWN_HOSTS, known_hosts);
    nodes.extend(dead(&laptop));
    let list = json!({
        "apiVersion": "v1", "kind": "List",
        "items": nodes.iter().map(manifest).collect::<Vec<_>>(),
    });
    cluster.apply(&list.to_string());
    laptop.kpexec(["cache", "refresh", "-q"]).ok();

    // Nobody has seen this pod where it is: its node is asked last.
    let shop = cluster.namespace();
    shop.run(&PodSpec::sleeper("web").on(&cluster.workers[0].name));
    cluster.api_server().kill();
    let kpexec = cache::kpexec().display().to_string();
    let words = [&kpexec, "-n", &shop.name, "--ssh", "web", "--", "true"];
    let measure = |kind| ask(kind, 3, 0, &[words], |words| laptop.node.command(words))[0];
    let work = measure("cpu") / f64::from(NODES);
    let with_dead = measure("time") / 1e3;
    let forget = "sed -i /dead-/d ~/.cache/kpexec/clusters/*.jsonl";
    laptop.node.command(["sh", "-c", forget]).ok();
    let without = measure("time") / 1e3;
    let what = format!(
        "API server down, {NODES} nodes to ask: {with_dead:.2} s, of which {DEAD} dead ones cost"
    );
    vec![
        Row::limit(&what, "s", with_dead - without, PATIENCE),
        Row::limit(
            "  processor time of the client, for each node",
            "ms",
            work,
            WORK,
        ),
    ]
}

/// Addresses of nobody: the laptop need not ask who has them, and no answer comes to what it sends.
fn dead(laptop: &Laptop) -> Vec<Known> {
    let node = |number| {
        let address = Ipv4Addr::new(10, 77, 0, 254 - number);
        let to = address.to_string();
        let words = ["ip", "neigh", "add", &to, "lladdr", "02:00:00:00:00:01"];
        let port = ["dev", "eth0", "nud", "permanent"];
        laptop.node.command(words.into_iter().chain(port)).ok();
        Known {
            name: format!("dead-{number}"),
            address,
        }
    };
    (0..DEAD).map(node).collect()
}

fn manifest(node: &Known) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Node", "metadata": { "name": node.name },
        "status": { "addresses": [{ "type": "InternalIP", "address": node.address }] },
    })
}
