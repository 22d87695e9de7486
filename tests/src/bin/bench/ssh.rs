//! What is measured by SSH: kpexec beside OpenSSH's ssh, from a laptop on the node's network, with the
//! same user, key and cipher.

use kpexec_tests::cache;
use kpexec_tests::ssh::SshBed;

use crate::ask::ask;
use crate::report::{Row, Target};
use crate::search;

/// The only cipher that sshd takes: what the two clients agree on with it is the same.
const CIPHER: &str = "Ciphers aes256-gcm@openssh.com\n";

/// How often each of two echoes is measured, in turns: a tenth of a millisecond is soon lost in what else a
/// machine does.
const KEYS: usize = 9;

/// What passes, in MiB.
const DATA: u32 = 1024;

/// A user who becomes root by sudo, as both sides do it.
const USER: &str = "admin";

/// Reads its terminal for ever.
const TYPED: &str = "echo ready; exec cat >/dev/null";

struct Bench {
    bed: SshBed,
    kpexec: String,
    /// The ssh beside which it is measured: SSH of the environment names another one than the machine's.
    /// (Since 9.5 it sends keys every 20 ms, unless ObscureKeystrokeTiming is off.)
    ssh: String,
    /// 64 MiB of randomness in the container, as the container names it and as the node does.
    random: [String; 2],
}

/// Measures all that goes over SSH.
pub(crate) fn rows() -> Vec<Row> {
    eprintln!("bench: starting a node with an sshd");
    let bench = Bench::start();
    let mut rows = bench.starting();
    rows.extend(bench.data());
    rows.extend(bench.keys());
    drop(bench);
    rows.extend(search::rows());
    rows
}

impl Bench {
    fn start() -> Self {
        let bed = SshBed::with(CIPHER);
        bed.user(USER, "/bin/bash");
        let sudoers = format!("{USER} ALL=(root) NOPASSWD: ALL\n");
        bed.shop
            .node
            .write(format!("/etc/sudoers.d/{USER}"), sudoers);
        let inside = "/tmp/random".to_owned();
        let outside = format!("/proc/{}/root{inside}", bed.shop.web_pid());
        let to = format!("of={outside}");
        let fill = ["dd", "if=/dev/urandom", &to, "bs=1M", "count=64"];
        bed.shop.node.command(fill).ok();
        Self {
            bed,
            kpexec: cache::kpexec().display().to_string(),
            ssh: std::env::var("SSH").unwrap_or_else(|_| "ssh".to_owned()),
            random: [inside, outside],
        }
    }

    /// kpexec for a command in the container, and ssh for a shell's line on the node.
    fn both(&self, user: &str, flags: [&str; 2], command: &[&str], line: &str) -> [Vec<String>; 2] {
        let [ours, theirs] = flags;
        let (kpexec, ssh, address) = (&self.kpexec, &self.ssh, self.bed.address);
        let ours = format!("{kpexec} -n shop --node {user}@{address} {ours} web --");
        let theirs = format!("{ssh} {theirs} {user}@{address}");
        [(ours, command), (theirs, &[line])].map(|(front, rest)| {
            let words = front.split_whitespace().chain(rest.iter().copied());
            words.map(str::to_owned).collect()
        })
    }

    fn measure(&self, kind: &str, rounds: usize, commands: &[Vec<String>; 2]) -> [f64; 2] {
        let place = |words| self.bed.laptop.command(words);
        let numbers = ask(kind, rounds, 0, commands, place);
        [numbers[0], numbers[1]]
    }

    /// The other side is told the container's process for nothing.
    fn starting(&self) -> Vec<Row> {
        let pid = self.bed.shop.web_pid();
        let line = |sudo: &str| format!("{sudo}nsenter -t {pid} -a true");
        let by_sudo = self.both(USER, ["", ""], &["true"], &line("sudo "));
        let as_root = self.both("root", ["", ""], &["true"], &line(""));
        let row = |what: &str, pair| Row::ratio(what, "ms", pair, Target::AtMost(0.6));
        vec![
            row(
                "kpexec --node N POD -- true, against ssh N sudo nsenter -t PID -a true",
                self.measure("time", 20, &by_sudo),
            ),
            row(
                "  processor time of the client",
                self.measure("cpu", 20, &by_sudo),
            ),
            row(
                "  as root, without sudo",
                self.measure("time", 20, &as_root),
            ),
        ]
    }

    fn data(&self) -> Vec<Row> {
        let row = |what: &str, pair| {
            let what = format!("{what}, {DATA} MiB, against ssh N cat");
            Row::ratio(&what, "MB/s", pair, Target::AtLeast(0.7))
        };
        let times = DATA / 64;
        let [inside, outside] = self
            .random
            .each_ref()
            .map(|path| format!("for i in $(seq {times}); do cat {path}; done"));
        let write = self.both("root", ["", ""], &["sh", "-c", &inside], &outside);
        let all = "cat >/dev/null";
        let read = self.both("root", ["-i", ""], &["sh", "-c", all], all);
        let read = read.map(|words| [DATA.to_string()].into_iter().chain(words).collect());
        vec![
            row("stdout by SSH", self.measure("read", 3, &write)),
            row("stdin by SSH", self.measure("feed", 3, &read)),
        ]
    }

    /// What somebody would type who has ssh alone, and a terminal of the node that leads nowhere: that
    /// one has two processes less between a key and its echo, cnsenter's or sudo's two turns.
    fn keys(&self) -> Vec<Row> {
        let shell = ["sh", "-c", TYPED];
        let pid = self.bed.shop.web_pid();
        let line = format!("sudo nsenter -t {pid} -a sh -c '{TYPED}'");
        let inside = self.both(USER, ["-it", "-t"], &shell, &line);
        let outside = self.both("root", ["-it", "-t"], &shell, TYPED);
        let row = |what: &str, kind, pair| {
            let what = format!("a key's echo in -it by SSH, {what}");
            let pair = self.measure(kind, KEYS, pair);
            Row::ratio(&what, "ms", pair, Target::AtMost(1.1))
        };
        vec![
            row(
                "p50, against ssh -t N sudo nsenter -t PID -a",
                "keys",
                &inside,
            ),
            row("  p99", "slow", &inside),
            row("p50, against ssh -t N, no container", "keys", &outside),
            row("  p99", "slow", &outside),
        ]
    }
}
