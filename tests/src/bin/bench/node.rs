//! What is measured on a node: this kernel, containerd 2.2 with 200 containers and all of it alive.

use std::fs;

use kpexec_tests::{Cache, Container, ContainerSpec, Cri, Kind, Node, Pod};

use crate::ask::ask;
use crate::report::{Row, Target};

const SOCKET: &str = "/run/containerd/containerd.sock";
const NAMESPACE: &str = "bench";
const PODS: usize = 20;
const CONTAINERS_PER_POD: usize = 10;

/// What goes through a pipe, in MiB.
const PIPED: usize = 4096;

/// What goes through a terminal, in MiB; it is slower by far.
const TYPED: usize = 256;

const MIB: f64 = 1024.0;

/// A node with its containers, and the one that is entered.
struct Bench {
    node: Node,
    container: Container,
    place: String,
}

/// Measures all that needs no virtual machine.
pub(crate) fn rows() -> Vec<Row> {
    let node = Node::start();
    // Installs the program under test.
    node.cnsenter(["--version"]).ok();
    let _runtime = Kind::Containerd22.start(&node);
    eprintln!("bench: starting {} containers", PODS * CONTAINERS_PER_POD);
    let pods = pods(&node);
    let (pod, index) = (&pods[PODS / 2], CONTAINERS_PER_POD / 2);
    let container = pod.containers[index].clone();
    let place = format!("{NAMESPACE}/{}/{}", pod.name, name(index));
    let bench = Bench {
        node,
        container,
        place,
    };
    let mut rows = bench.entering();
    rows.extend(bench.finding());
    rows.extend(bench.output());
    rows.extend(bench.memory());
    rows.push(bench.size());
    rows
}

/// Pods on the node's network: what is measured does not depend on it.
fn pods(node: &Node) -> Vec<Pod> {
    let mut cri = Cri::connect(node, SOCKET);
    let spec = |index| ContainerSpec::sleeper(&name(index)).host_network();
    let specs: Vec<_> = (0..CONTAINERS_PER_POD).map(spec).collect();
    (0..PODS)
        .map(|index| cri.run(NAMESPACE, &format!("pod{index}"), &specs))
        .collect()
}

/// A container's name in its pod.
fn name(index: usize) -> String {
    format!("c{index}")
}

impl Bench {
    fn entering(&self) -> Vec<Row> {
        let (id, pid) = (self.container.id.as_str(), self.container.pid.to_string());
        let ours = ["cnsenter", id, "--", "true"];
        let nsenter = ["/usr/bin/nsenter", "-t", &pid, "-a", "true"];
        let root = "/run/containerd/runc/k8s.io";
        let runc = ["runc", "--root", root, "exec", id, "true"];
        let ctr = "ctr -n k8s.io task exec --exec-id bench".split(' ');
        let ctr: Vec<_> = ctr.chain([id, "true"]).collect();
        let warm = self.measure("time", 300, 0, &[&ours, &nsenter]);
        let cold = self.measure("time", 20, 1000, &[&ours, &nsenter]);
        let others = self.measure("time", 20, 0, &[&ours, &runc, &ctr]);
        let row = |what: &str, pair: [f64; 2], limit: f64| {
            Row::ratio(what, "ms", pair, Target::AtMost(limit))
        };
        vec![
            row(
                "true, against nsenter -a, run after run",
                pair(&warm, 1),
                1.2,
            ),
            row(
                "true, against nsenter -a, once a second",
                pair(&cold, 1),
                1.5,
            ),
            row("true, against runc exec", pair(&others, 1), 0.12),
            row("true, against ctr task exec", pair(&others, 2), 0.06),
        ]
    }

    fn finding(&self) -> Vec<Row> {
        let id = self.container.id.as_str();
        let ours = ["cnsenter", id, "--", "true"];
        let prefix = ["cnsenter", &id[..12], "--", "true"];
        let place = ["cnsenter", &self.place, "--", "true"];
        let found = self.measure("time", 50, 0, &[&ours, &prefix, &place]);
        let ls = ["cnsenter", "ls"];
        let ctr = ["ctr", "-n", "k8s.io", "containers", "ls"];
        let listed = self.measure("time", 20, 0, &[&ls, &ctr]);
        let row = |what: &str, pair: [f64; 2], limit: f64| {
            Row::ratio(what, "ms", pair, Target::AtMost(limit))
        };
        vec![
            row(
                "by prefix, 200 containers, against the full ID",
                [found[1], found[0]],
                2.0,
            ),
            row(
                "by NS/POD/CONTAINER, 200 containers, against the full ID",
                [found[2], found[0]],
                2.0,
            ),
            row(
                "ls, 200 containers, against ctr containers ls",
                pair(&listed, 1),
                1.0,
            ),
        ]
    }

    fn output(&self) -> Vec<Row> {
        let (id, pid) = (self.container.id.as_str(), self.container.pid.to_string());
        let dd = |size: usize| format!("dd if=/dev/zero bs=1M count={size}");
        let (piped, typed) = (dd(PIPED), dd(TYPED));
        let words = |front: &[&str], command: &str| -> Vec<String> {
            let front = front.iter().copied();
            front.chain(command.split(' ')).map(str::to_owned).collect()
        };
        let nsenter = ["/usr/bin/nsenter", "-t", &pid, "-a"];
        let ours = words(&["cnsenter", id, "--"], &piped);
        let pipe = self.measure("read", 5, 0, &[&ours, &words(&nsenter, &piped)]);
        let ours = words(&["cnsenter", "-it", id, "--"], &typed);
        let shell = format!("{} {typed}", nsenter.join(" "));
        let script = ["script", "-qc", &shell, "/dev/null"].map(str::to_owned);
        let terminal = self.measure("watch", 5, 0, &[&ours, &script]);
        let row = |what: &str, pair: [f64; 2], least: f64| {
            Row::ratio(what, "MB/s", pair, Target::AtLeast(least))
        };
        vec![
            row(
                "4 GiB through a pipe, against nsenter",
                pair(&pipe, 1),
                0.95,
            ),
            row(
                "256 MiB through -t, against script -qc",
                pair(&terminal, 1),
                1.0,
            ),
        ]
    }

    fn memory(&self) -> Vec<Row> {
        let id = self.container.id.as_str();
        let run = self.measure("hold", 50, 0, &[&["cnsenter", id, "--", "true"]]);
        let idle = self.measure("rest", 3, 0, &[&["cnsenter", "-it", id, "--", "cat"]]);
        let row = |what: &str, kib: f64| Row::limit(what, "MiB", kib / MIB, 3.0);
        vec![
            row("peak memory (PSS of all processes), true", run[0]),
            row("memory (PSS of all processes), idle -t session", idle[0]),
        ]
    }

    fn size(&self) -> Row {
        let binary = self.node.path("/usr/local/sbin/cnsenter");
        let bytes = fs::read(binary).expect("the program can be read");
        let interpreter = b"ld-linux";
        let dynamic = bytes.windows(interpreter.len()).any(|it| it == interpreter);
        assert!(!dynamic, "the program is not static");
        #[expect(clippy::cast_precision_loss, reason = "digits enough are left")]
        let megabytes = bytes.len() as f64 / 1e6;
        Row::limit("stripped static binary", "MB", megabytes, 2.5)
    }

    /// Has this program measure on the node; see `measure.rs`.
    fn measure<S: AsRef<str>>(
        &self,
        kind: &str,
        rounds: usize,
        gap: u32,
        commands: &[&[S]],
    ) -> Vec<f64> {
        // The clients of the runtimes that are running: containerd 2.2 and runc 1.5.
        let parts = [
            ("containerd", "github.com/containerd/containerd/v2"),
            ("runc", "github.com/opencontainers/runc"),
        ];
        ask(kind, rounds, gap, commands, |words| {
            let command = self.node.command(words);
            parts.into_iter().fold(command, |command, (part, module)| {
                command.path_first(Cache::here().part(part, module))
            })
        })
    }
}

fn pair(numbers: &[f64], reference: usize) -> [f64; 2] {
    [numbers[0], numbers[reference]]
}
