//! Signals that kpexec gets reach the command. kubectl exec ends of them, and the command runs on.

use kpexec_tests::eventually;
use nix::sys::signal::Signal;

use crate::{Site, on_each_node};

on_each_node! { signals }

fn signals(site: &Site) {
    for signal in [
        Signal::SIGINT,
        Signal::SIGTERM,
        Signal::SIGHUP,
        Signal::SIGQUIT,
        Signal::SIGUSR1,
        Signal::SIGUSR2,
    ] {
        let name = signal.as_str().trim_start_matches("SIG");
        let script = format!(
            "trap 'echo got {name}; kill $!; exit 9' {name}; echo ready; sleep 45450 & wait"
        );
        let client = site.sh(&[], &script).spawn();
        client.wait_for("ready");
        client.signal(signal);
        let output = client.wait();
        let expected = format!("ready\ngot {name}\n");
        assert_eq!((output.code, output.out()), (9, expected), "{output}");
    }
    // One that traps nothing ends as it would in a shell; all that it started is its own affair.
    let client = site.sh(&[], "echo ready; exec sleep 45451").spawn();
    client.wait_for("ready");
    client.signal(Signal::SIGTERM);
    assert_eq!(client.wait().code, 143);
    insisting(site);
}

/// Somebody who presses Ctrl-C twice wants kpexec to end, whatever the command thinks of it.
fn insisting(site: &Site) {
    let script = "trap 'echo got it' INT; echo ready; while :; do sleep 0.1; done; : 45452";
    let client = site.sh(&[], script).spawn();
    client.wait_for("ready");
    client.signal(Signal::SIGINT);
    client.wait_for("got it");
    client.signal(Signal::SIGINT);
    assert_eq!(client.wait().code, 130);
    eventually("nothing of it runs", || site.running(": 45452$") == "0");
}
