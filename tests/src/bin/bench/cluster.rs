//! What is measured on a cluster: kpexec beside kubectl exec, from the API server's own machine.

use std::time::Duration;

use kpexec_tests::cluster::{Namespace, PodSpec};
use kpexec_tests::{Cluster, ClusterSpec, Kind, Live, cache, eventually};

use crate::ask::ask;
use crate::report::{Row, Target};

/// What passes, in MiB.
const NEAR: u32 = 1024;

/// The same over a long way.
const FAR: u32 = 256;

/// The long way there and back.
const ROUND_TRIP: Duration = Duration::from_millis(80);

/// A user whose calls are counted.
const USER: &str = "counted";

const MIB: f64 = 1024.0;

/// A cluster with two pods: one alone, and one of a deployment.
struct Bench<'a> {
    cluster: &'a Cluster,
    shop: Namespace<'a>,
    kpexec: String,
    kubeconfig: Option<String>,
}

/// Measures all that needs a cluster.
pub(crate) fn rows() -> Vec<Row> {
    eprintln!("bench: starting a cluster");
    let spec = ClusterSpec::of(&[Kind::Containerd22]).with_audit_log();
    let cluster = Cluster::start(&spec);
    cluster.install_nodepause();
    let shop = cluster.namespace();
    shop.run(&PodSpec::sleeper("web"));
    let random = [
        "exec",
        "web",
        "--",
        "dd",
        "if=/dev/urandom",
        "of=/tmp/random",
        "bs=1M",
        "count=64",
    ];
    shop.kubectl(random).ok();
    let mut bench = Bench {
        cluster: &cluster,
        shop,
        kpexec: cache::kpexec().display().to_string(),
        kubeconfig: None,
    };
    let mut rows = bench.starting();
    rows.extend(bench.data("", NEAR, [1.2, 1.0], Some(1.2)));
    rows.extend(bench.keys());
    let far = cluster.far(ROUND_TRIP);
    bench.kubeconfig = Some(far.kubeconfig.clone());
    rows.push(bench.wall(", 80 ms away", 0.8));
    rows.extend(bench.data(", 80 ms away", FAR, [1.0, 1.0], None));
    rows.extend(bench.calls());
    rows.extend(bench.idle());
    rows.push(bench.size());
    rows
}

impl Bench<'_> {
    /// A command line of ours and the same of kubectl's.
    fn both(&self, flags: &str, command: &[&str]) -> [Vec<String>; 2] {
        let kubectl = self.cluster.kubectl_program();
        [self.kpexec.clone(), format!("{kubectl} exec")].map(|program| {
            let namespace = &self.shop.name;
            let line = format!("{program} -n {namespace} {flags} web --");
            let front = line.split_whitespace().map(str::to_owned);
            front
                .chain(command.iter().map(|&word| word.to_owned()))
                .collect()
        })
    }

    fn measure(&self, kind: &str, rounds: usize, commands: &[Vec<String>; 2]) -> [f64; 2] {
        let numbers = ask(kind, rounds, 0, commands, |words| {
            let command = self.cluster.command(words);
            match &self.kubeconfig {
                Some(path) => command.env("KUBECONFIG", path),
                None => command,
            }
        });
        [numbers[0], numbers[1]]
    }

    fn wall(&self, place: &str, limit: f64) -> Row {
        let pair = self.measure("time", 20, &self.both("", &["true"]));
        let what = format!("kpexec POD -- true, against kubectl exec{place}");
        Row::ratio(&what, "ms", pair, Target::AtMost(limit))
    }

    fn starting(&self) -> Vec<Row> {
        let both = self.both("", &["true"]);
        let kib = self.measure("peak", 5, &both);
        vec![
            self.wall("", 0.65),
            Row::ratio(
                "  peak memory of the client",
                "MiB",
                kib.map(|kib| kib / MIB),
                Target::AtMost(0.3),
            ),
            Row::ratio(
                "  processor time of the client",
                "ms",
                self.measure("cpu", 20, &both),
                Target::AtMost(0.3),
            ),
        ]
    }

    fn data(&self, place: &str, mib: u32, [out, input]: [f64; 2], both: Option<f64>) -> Vec<Row> {
        let row = |what: &str, pair: [f64; 2], least: f64| {
            let what = format!("{what}, {mib} MiB, against kubectl exec{place}");
            Row::ratio(&what, "MB/s", pair, Target::AtLeast(least))
        };
        let with_size = |words: [Vec<String>; 2]| {
            words.map(|words| [mib.to_string()].into_iter().chain(words).collect())
        };
        let script = format!("for i in $(seq {}); do cat /tmp/random; done", mib / 64);
        let write = self.both("", &["sh", "-c", &script]);
        // With stdout closed, kubectl's stdin would end: the shell stays, and keeps it open.
        let read = with_size(self.both("-i", &["sh", "-c", "cat >/dev/null; true"]));
        let copy = with_size(self.both("-i", &["cat"]));
        let mut rows = vec![
            row("stdout", self.measure("read", 3, &write), out),
            row("stdin", self.measure("feed", 3, &read), input),
        ];
        rows.extend(both.map(|least| row("both at once", self.measure("turn", 3, &copy), least)));
        rows
    }

    fn keys(&self) -> Vec<Row> {
        let both = self.both("-it", &["sh", "-c", "echo ready; exec cat >/dev/null"]);
        let row = |what: &str, pair| Row::ratio(what, "ms", pair, Target::AtMost(1.0));
        vec![
            row(
                "a key's echo in -it, p50, against kubectl exec",
                self.measure("keys", 3, &both),
            ),
            row(
                "a key's echo in -it, p99, against kubectl exec",
                self.measure("slow", 3, &both),
            ),
        ]
    }

    fn calls(&self) -> Vec<Row> {
        let user = self.cluster.user(USER);
        user.make_admin();
        let count = |target: &str| {
            let before = self.cluster.calls_of(USER).len();
            user.kpexec(["-n", &self.shop.name, target, "--", "true"])
                .ok();
            let calls = self.cluster.calls_of(USER).len() - before;
            f64::from(u32::try_from(calls).expect("they are few"))
        };
        let expose = ["expose", "pod", "web", "--port=80"];
        self.shop.kubectl(expose).ok();
        vec![
            Row::limit("API calls for POD", "", count("web"), 3.0),
            Row::limit("API calls for TYPE/NAME", "", count("svc/web"), 4.0),
        ]
    }

    /// What an idle session has on the node: the one that serves the stream, the command's, its guard.
    fn idle(&self) -> Vec<Row> {
        let node = &self.shop.worker_of("web").node;
        let sum = |matching: &str, field: &str| {
            let script = "for pid in $(pgrep $1); do cat /proc/$pid/smaps_rollup; done |
                          awk -v field=\"$2:\" '$1 == field { sum += $2 } END { print sum }'";
            let kib = node.command(["sh", "-c", script, "sh", matching, field]);
            kib.ok().parse::<f64>().expect("they run")
        };
        let resting = sum("-fx pause", "Rss");
        let session = self
            .shop
            .kpexec(["-i", "web", "--", "sh", "-c", "echo ready; cat"]);
        let session: Live = session.spawn();
        session.wait_for("ready");
        let mut pss = 0.0;
        eventually("the session has settled", || {
            let now = sum("-x cnsenter.*", "Pss");
            let settled = (now - pss).abs() < 1.0;
            pss = now;
            settled
        });
        vec![
            Row::limit("an idle session on the node, PSS", "MiB", pss / MIB, 2.0),
            Row::limit(
                "the agent without sessions, resident",
                "KiB",
                resting,
                200.0,
            ),
        ]
    }

    fn size(&self) -> Row {
        let length = std::fs::metadata(&self.kpexec)
            .expect("kpexec is there")
            .len();
        #[expect(clippy::cast_precision_loss, reason = "digits enough are left")]
        let megabytes = length as f64 / 1e6;
        Row::limit("kpexec, stripped static binary", "MB", megabytes, 10.0)
    }
}
