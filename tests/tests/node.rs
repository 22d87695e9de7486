//! The harness itself: nodes, commands, terminals, and that nothing outlives them.

use std::env;
use std::fs;
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use kpexec_tests::Node;

#[test]
fn a_node_is_a_machine_of_its_own() {
    let node = Node::start();
    assert_eq!(node.command(["hostname"]).ok(), node.name());
    assert_eq!(
        node.command(["cat", "/proc/1/cmdline"]).ok(),
        "kpexec-node\0init\0"
    );
    assert_eq!(node.command(["sh", "-c", "ls /sys/class/net"]).ok(), "lo");
    let groups = node.command(["cat", "/proc/self/cgroup"]).ok();
    assert!(
        groups.lines().all(|line| line.ends_with(":/system")),
        "{groups}"
    );
    assert_eq!(
        node.command(["sh", "-c", "ls /run /tmp"]).ok(),
        "/run:\nkpexec-node\nlock\n\n/tmp:"
    );

    node.write("/etc/kpexec-test", "of the node");
    assert_eq!(
        node.command(["cat", "/etc/kpexec-test"]).ok(),
        "of the node"
    );
    assert!(!fs::exists("/etc/kpexec-test").unwrap());
}

#[test]
fn a_command_gives_what_it_wrote_and_its_exit_code() {
    let node = Node::start();
    let output = node
        .command(["sh", "-c", "cat; echo no >&2; exit 7"])
        .stdin("\0yes\n")
        .run();
    assert_eq!(
        (output.stdout.as_slice(), output.err().as_str(), output.code),
        (&b"\0yes\n"[..], "no\n", 7)
    );
    assert_eq!(
        node.command(["sh", "-c", "kill -TERM $$"]).run().code,
        128 + 15
    );
    assert_eq!(node.command(["no-such-program"]).run().code, 127);

    let script = "id -u; id -g; id -G; pwd; echo $A; echo $LD_LIBRARY_PATH";
    let command = node
        .command(["sh", "-c", script])
        .user(1000, 100)
        .cwd("/etc")
        .env("A", "a b");
    assert_eq!(command.ok(), "1000\n100\n100\n/etc\na b");
}

#[test]
#[should_panic(expected = "took too long; stdout: started")]
fn a_command_has_a_deadline() {
    let command = Node::start().command(["sh", "-c", "echo started; sleep 100"]);
    command.deadline(Duration::from_millis(300)).run();
}

#[test]
fn a_live_command_can_be_talked_to() {
    let node = Node::start();
    let mut live = node
        .command(["sh", "-c", "read a; echo got $a; exec sleep 100"])
        .spawn();
    live.write("this\n");
    live.wait_for("got this");
    let name = fs::read_to_string(format!("/proc/{}/comm", live.pid())).unwrap();
    assert!(["sh\n", "sleep\n"].contains(&name.as_str()), "{name}");
    live.signal(nix::sys::signal::Signal::SIGKILL);
    assert_eq!(live.wait().code, 128 + 9);
}

#[test]
fn a_terminal_is_a_real_one() {
    let node = Node::start();
    let before = node.snapshot();
    let mut terminal = node.command(["sh"]).pty();
    terminal.write("tty; stty size; ps -o tpgid= -p $$\r");
    terminal.wait_until(|screen| screen.contains(terminal.name()) && screen.contains("24 80"));
    let cooked = terminal.termios();
    terminal.write("stty raw; sleep 100; stty sane\r");
    terminal.wait_for("stty sane");
    terminal.resize(50, 132);
    let raw = Instant::now();
    while terminal.termios().local_modes == cooked.local_modes {
        assert!(raw.elapsed() < Duration::from_secs(5), "never raw");
    }
    drop(terminal);

    let mut terminal = node.command(["sh", "-c", "sleep 100"]).pty();
    while node.command(["pgrep", "sleep"]).run().code != 0 {}
    terminal.write("\x03");
    assert_eq!(terminal.wait(), 128 + 2);
    // What was written may be read a moment later.
    terminal.wait_for("^C");
    drop(terminal);
    before.assert_same(&node);
}

#[test]
fn a_leak_is_seen() {
    let node = Node::start();
    let before = node.snapshot();
    node.command([
        "sh",
        "-c",
        "mount -t tmpfs tmpfs /mnt; mkdir /sys/fs/cgroup/pids/left",
    ])
    .ok();
    node.command([
        "sh",
        "-c",
        "setsid unshare --net sleep 100 >/dev/null 2>&1 &",
    ])
    .ok();
    while node.command(["pgrep", "-x", "sleep"]).run().code != 0 {}
    let leaked = node.snapshot().leaked_since(&before);
    for kind in ["process", "mount", "network namespace", "cgroup"] {
        assert_eq!(
            leaked
                .iter()
                .filter(|line| line.contains(&format!("{kind}: ")))
                .count(),
            1,
            "{leaked:?}"
        );
    }
    node.command(["pkill", "-x", "sleep"]).ok();
    node.command(["sh", "-c", "umount /mnt; rmdir /sys/fs/cgroup/pids/left"])
        .ok();
    before.assert_same(&node);
}

#[test]
fn nothing_survives_a_node() {
    let node = Node::start();
    let traces = Traces::of(&node);
    leave_things(&node);
    assert!(traces.found().len() > 3, "{:?}", traces.found());
    drop(node);
    assert_eq!(traces.found(), [""; 0]);
}

/// Set for the test that is run to be killed.
const HOLDS: &str = "KPEXEC_TEST_HOLDS_A_NODE";

#[test]
fn nothing_survives_a_test_that_was_killed() {
    if env::var_os(HOLDS).is_some() {
        return hold_a_node();
    }
    let name = "nothing_survives_a_test_that_was_killed";
    let mut test = Command::new(env::current_exe().unwrap())
        .args(["--exact", "--nocapture", name])
        .env(HOLDS, "")
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(test.stdout.take().unwrap()).lines();
    let name = lines
        .map_while(Result::ok)
        .find_map(|line| Some(line.split_once("held: ")?.1.to_owned()));
    let traces = Traces {
        name: name.unwrap(),
    };
    assert!(traces.found().len() > 3, "{:?}", traces.found());

    test.kill().unwrap();
    test.wait().unwrap();
    let killed = Instant::now();
    while !traces.found().is_empty() {
        assert!(
            killed.elapsed() < Duration::from_secs(10),
            "{:?}",
            traces.found()
        );
    }
}

fn hold_a_node() {
    let node = Node::start();
    leave_things(&node);
    println!("held: {}", node.name());
    std::thread::sleep(Duration::from_secs(60));
}

/// Processes, mounts and groups that do not go by themselves, a frozen process among them.
fn leave_things(node: &Node) {
    let script = "exec >/dev/null 2>&1
        mount -t tmpfs tmpfs /mnt
        mkdir -p /sys/fs/cgroup/freezer/a/b /sys/fs/cgroup/unified/c || true
        setsid sleep 1000 &
        echo $! >/sys/fs/cgroup/freezer/a/b/cgroup.procs && echo FROZEN >/sys/fs/cgroup/freezer/a/freezer.state
        setsid unshare --pid --fork sleep 1000 &";
    node.command(["sh", "-c", script]).ok();
}

/// Where on the host a node can be seen.
struct Traces {
    name: String,
}

impl Traces {
    fn of(node: &Node) -> Self {
        Self {
            name: node.name().to_owned(),
        }
    }

    fn found(&self) -> Vec<String> {
        let find = "find /sys/fs/cgroup -type d -name kpexec-$0 2>/dev/null
            ls -d ${KPEXEC_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/kpexec}/nodes/$0 2>/dev/null
            grep $0 /proc/mounts
            for group in $(grep -l kpexec-$0 /proc/[0-9]*/cgroup 2>/dev/null)
            do grep -HE '^(Name|State|PPid|NSpid)' ${group%cgroup}status 2>/dev/null; done
            pgrep -f \"kpexec-node [a-z]+ $0\"";
        let output = Command::new("sh")
            .args(["-c", find, &self.name])
            .output()
            .unwrap();
        String::from_utf8(output.stdout)
            .unwrap()
            .lines()
            .map(str::to_owned)
            .collect()
    }
}
