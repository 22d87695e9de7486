//! /dev/stdin, /dev/stdout and /dev/stderr can be opened, and tty(1) knows its terminal: as any
//! user, with a terminal and without.

use kpexec_tests::{ContainerSpec, Kind, Node, Runtime};

const SCRIPT: &str =
    "read line </dev/stdin; echo \"got $line\" >/dev/stdout; echo err >/dev/stderr";

#[test]
fn runc() {
    let node = Node::start();
    check(Kind::Runc11.start(&node).as_ref(), ContainerSpec::locked);
}

#[test]
fn runc_with_a_user_namespace() {
    let node = Node::start();
    let spec = || ContainerSpec::sleeper("web").userns();
    check(Kind::Runc15.start(&node).as_ref(), spec);
}

#[test]
fn podman_of_a_user() {
    let node = Node::start();
    let spec = || ContainerSpec::sleeper("web").host_network();
    check(Kind::PodmanRootless.start(&node).as_ref(), spec);
}

trait Locked {
    fn locked() -> Self;
}

impl Locked for ContainerSpec {
    fn locked() -> Self {
        Self::sleeper("web").uid(1000).drop_all_caps().read_only()
    }
}

fn check(runtime: &dyn Runtime, spec: fn() -> ContainerSpec) {
    let node = runtime.node();
    let container = runtime.run(&spec());
    for user in ["0", "1000", "app", "4242:4343"] {
        let words = ["-i", "-u", user, &container.id, "--", "sh", "-c", SCRIPT];
        let output = node.cnsenter(words).stdin("hello\n").run();
        let found = (output.out(), output.err(), output.code);
        assert_eq!(found, ("got hello\n".into(), "err\n".into(), 0), "{user}");

        let script =
            format!("{SCRIPT}; tty; ls -l $(tty) | cut -c1-5; echo >$(tty); echo done $((1+1))");
        let words = ["-it", "-u", user, &container.id, "--", "sh", "-c", &script];
        let mut terminal = node.cnsenter(words).pty();
        terminal.write("hello\r");
        let shown = terminal.wait_for("done 2");
        assert_eq!(terminal.wait(), 0, "{user}: {shown}");
        for part in ["got hello", "err", "/dev/pts/", "crw--"] {
            assert!(shown.contains(part), "{user}: {part} in {shown}");
        }
        assert!(!shown.contains("not a tty"), "{user}: {shown}");
    }
    // Without a terminal there is none, also where the caller has one.
    let mut terminal = node.cnsenter(["-T", &container.id, "--", "tty"]).pty();
    terminal.wait_for("not a tty");
    assert_eq!(terminal.wait(), 1);
}
