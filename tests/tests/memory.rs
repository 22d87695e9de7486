//! `--memory`: a bound on the command alone. That of cgroup v2 is in `vm`.

use cnsenter_protocol::KilledFor;
use kpexec_tests::{SessionClient, Shop, Stage};

/// Allocates a buffer of 64 MiB.
const HOG: [&str; 5] = ["dd", "if=/dev/zero", "of=/dev/null", "bs=64M", "count=1"];

#[test]
fn a_hog_ends_and_nothing_else() {
    let stage = Stage::new();
    let before = stage.node.snapshot();
    let output = stage.cnsenter(&["--memory=24M"], &HOG).run();
    assert_eq!(output.code, 137, "{output}");
    assert!(output.err().contains("--memory was exceeded"), "{output}");
    let output = stage.cnsenter(&["--memory=128M"], &HOG).run();
    assert_eq!(output.code, 0, "{output}");
    // Another's KILL is not taken for the bound's.
    let output = stage.sh(&["--memory=128M"], "kill -9 $$").run();
    assert_eq!((output.code, output.err().as_str()), (137, ""), "{output}");
    before.assert_same(&stage.node);
    assert_eq!(stage.cnsenter(&[], &["true"]).run().code, 0);
}

#[test]
fn what_the_command_starts_counts_as_well() {
    let stage = Stage::new();
    let script = "dd if=/dev/zero of=/dev/null bs=64M count=1; echo $?";
    assert_eq!(stage.sh(&["--memory=24M"], script).run().out(), "137\n");
}

#[test]
fn a_kill_of_cnsenter_leaves_no_group() {
    let stage = Stage::new();
    let before = stage.node.snapshot();
    let live = stage
        .sh(&["--memory=24M"], "echo ready; sleep 1000")
        .spawn();
    live.wait_for("ready");
    live.signal(nix::sys::signal::Signal::SIGKILL);
    drop(live);
    before.assert_same(&stage.node);
}

#[test]
fn it_is_no_bound_of_the_containers_group() {
    let stage = Stage::new();
    let output = stage
        .cnsenter(&["--memory=24M", "--cgroup=target"], &HOG)
        .run();
    assert_eq!(output.code, 125);
    assert!(
        output.err().contains("leave out --cgroup=target"),
        "{output}"
    );
}

#[test]
fn a_session_has_it_too() {
    let shop = Shop::open();
    let before = shop.node.snapshot();
    let mut request = shop.request(&HOG);
    request.memory = Some(24 << 20);
    let exit = SessionClient::start(&shop.node, &request).wait(1).result;
    let exit = exit.unwrap().unwrap();
    assert_eq!(
        (exit.signal, exit.killed_for),
        (Some(9), Some(KilledFor::Memory))
    );
    before.assert_same(&shop.node);
}
