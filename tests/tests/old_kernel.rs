//! Kernels that know less: every newer system call has a way without it. A seccomp filter answers
//! in the kernel's place.

use nix::sys::signal::Signal;

use kpexec_tests::{Cmd, Container, ContainerSpec, Kind, Node, Runtime};

const ENOSYS: u32 = 38;
const EPERM: u32 = 1;
const SETNS: u32 = 308;

/// By their numbers: pidfd_send_signal, open_tree, pidfd_open, clone3, close_range, openat2,
/// mount_setattr.
const NEWER: [u32; 7] = [424, 428, 434, 435, 436, 437, 442];

fn under(node: &Node, filter: &[String], arguments: &[&str]) -> Cmd {
    node.cnsenter(["--version"]).ok();
    let older = "/usr/local/bin/older";
    if !node.path(older).exists() {
        node.program("older", older);
    }
    let words = [older].into_iter().chain(filter.iter().map(String::as_str));
    node.command(
        words
            .chain(["--", "cnsenter"])
            .chain(arguments.iter().copied()),
    )
}

/// A container whose init reaps what is left to it: else the killed stay there as zombies.
fn reaper(name: &str) -> ContainerSpec {
    ContainerSpec::new(name, ["sh", "-c", "sleep 1000000 & wait"])
}

fn everything_works(runtime: &dyn Runtime, container: &Container, filter: &[String]) {
    let node = runtime.node();
    let before = node.snapshot();
    let id = container.id.as_str();
    let run = |arguments: &[&str]| under(node, filter, arguments).stdin("in\n").run();

    let same = "hostname; readlink /proc/self/ns/*; id; ls /proc/self/fd; exit 3";
    let plain = node.cnsenter([id, "--", "sh", "-c", same]).run();
    let output = run(&[id, "--", "sh", "-c", same]);
    assert_eq!(output, plain, "{filter:?}");
    let output = run(&["-i", "-u", "app", id, "--", "sh", "-c", "id -u; id -G; cat"]);
    assert_eq!(
        output.out(),
        "1000\n1000 2000\nin\n",
        "{filter:?}: {output}"
    );
    assert_eq!(run(&[id, "--", "sh", "-c", "kill -TERM $$"]).code, 128 + 15);
    assert_eq!(run(&[id, "--", "no-such"]).code, 127);
    assert_eq!(run(&["-w", "/proc/self/fd/5", id, "--", "ls"]).code, 125);
    let output = run(&["--cgroup=target", id, "--", "cat", "/proc/self/cgroup"]);
    assert_eq!(output.code, 0, "{filter:?}: {output}");
    let mut terminal = under(node, filter, &["-it", id, "--", "sh", "-c", "tty; exit 4"]).pty();
    terminal.wait_for("/dev/pts/");
    assert_eq!(terminal.wait(), 4);
    drop(terminal);

    // Nothing outlives cnsenter, also what forks twice.
    let script = "setsid sleep 1000 & echo started; sleep 1000";
    let live = under(node, filter, &[id, "--", "sh", "-c", script]).spawn();
    live.wait_for("started");
    live.signal(Signal::SIGKILL);
    drop(live);
    before.assert_same(node);
}

#[test]
fn without_any_newer_call() {
    let mut filter: Vec<_> = NEWER.iter().map(|nr| format!("{nr}={ENOSYS}")).collect();
    filter.push("setns-one".to_owned());
    for (kind, spec) in [
        (Kind::Runc11, reaper("web").uid(1000).drop_all_caps()),
        (Kind::Runc15, reaper("web").userns()),
    ] {
        let node = Node::start();
        let runtime = kind.start(&node);
        let container = runtime.run(&spec);
        everything_works(runtime.as_ref(), &container, &filter);
    }
}

#[test]
fn without_one_of_them() {
    let node = Node::start();
    let runtime = Kind::Runc11.start(&node);
    let container = runtime.run(&reaper("web"));
    let singly = NEWER.iter().map(|nr| format!("{nr}={ENOSYS}"));
    for one in singly.chain(["setns-one".to_owned()]) {
        everything_works(runtime.as_ref(), &container, &[one]);
    }
}

#[test]
fn a_filter_that_denies_setns() {
    let node = Node::start();
    let runtime = Kind::Runc11.start(&node);
    let container = runtime.run(&reaper("web"));
    let filter = [format!("{SETNS}={EPERM}")];
    let output = under(&node, &filter, &[&container.id, "--", "true"]).run();
    assert_eq!(output.code, 125, "{output}");
    assert!(
        output.err().contains("a seccomp filter") && output.err().contains("setns"),
        "{output}"
    );
}
