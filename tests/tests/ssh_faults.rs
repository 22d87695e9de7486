//! What becomes of a session by SSH when a part on the way fails, and what is said of nodes that are not
//! as they should be.

use std::thread::sleep;
use std::time::Duration;

use cnsenter_protocol::PROTOCOL;
use kpexec_tests::ssh::{Sshd, public_key, ssh_keygen};
use kpexec_tests::{Live, Output, SshBed, cache, eventually, hello_of};
use nix::sys::signal::Signal;

/// A command in the pod, which leaves a daemon behind and has told that it runs.
fn start(bed: &SshBed, time: &str) -> Live {
    let script = format!("setsid sleep {time} & seq 1 20000; echo before; sleep {time}; exit 7");
    let client = bed.kpexec(["web", "--", "sh", "-c", &script]).spawn();
    client.wait_for("before\n");
    eventually("the command runs", || sleepers(bed, time) == 2);
    client
}

fn sleepers(bed: &SshBed, time: &str) -> usize {
    bed.shop.node.find(&["sleep", time]).len()
}

/// What it had written before has arrived.
#[track_caller]
fn has_arrived(output: &Output) {
    let expected: String = (1..=20000).map(|n| format!("{n}\n")).collect();
    let arrived = output.out() == format!("{expected}before\n");
    assert!(arrived, "{} bytes: {}", output.stdout.len(), output.err());
}

#[track_caller]
fn refused(output: &Output, told: &[&str]) {
    assert_eq!((output.code, output.out().as_str()), (1, ""), "{output}");
    for word in told {
        assert!(output.err().contains(word), "no {word:?} in: {output}");
    }
}

/// Nothing is between sshd and the command but cnsenter: what runs, runs on, and more can be started.
#[test]
fn containerd_is_restarted() {
    let bed = SshBed::new();
    let client = start(&bed, "53001");
    bed.shop.containerd().restart();
    assert_eq!(bed.kpexec(["web", "--", "hostname"]).ok(), "web");
    bed.shop.containerd().kill();
    assert_eq!(bed.kpexec(["web", "--", "hostname"]).ok(), "web");
    // The one that the shell waits for.
    let last = bed.shop.node.find(&["sleep", "53001"]);
    for pid in last {
        bed.shop.node.command(["kill", &pid.to_string()]).ok();
    }
    let output = client.wait();
    has_arrived(&output);
    assert_eq!(output.code, 7, "{}", output.err());
}

#[test]
fn the_container_ends() {
    let bed = SshBed::new();
    let client = start(&bed, "53002");
    let init = bed.shop.web_pid().to_string();
    bed.shop.node.command(["kill", "-KILL", &init]).ok();
    let output = client.wait();
    has_arrived(&output);
    let told = "command terminated with exit code 137 (killed";
    assert!(
        output.code == 137 && output.err().starts_with(told),
        "{}",
        output.err()
    );
    eventually("nothing of it runs", || sleepers(&bed, "53002") == 0);
    // It is not there any more.
    let output = bed.kpexec(["web", "--", "true"]).run();
    assert_eq!(output.code, 125, "{output}");
    assert!(
        output.err().contains("has exited with code 137"),
        "{output}"
    );
}

/// For less long than the lease: nothing is lost but time.
#[test]
fn packets_are_dropped_for_a_while() {
    let bed = SshBed::new();
    let script = "for i in $(seq 1 200); do echo $i; sleep 0.02; done; exit 7";
    let client = bed.kpexec(["--lease=30s", "web", "--", "sh", "-c", script]);
    let client = client.spawn();
    client.wait_for("20\n");
    bed.network.cut(bed.address);
    // How long the fault lasts; TCP needs about as long again to notice that it is over.
    std::thread::sleep(Duration::from_secs(2));
    bed.network.mend(bed.address);
    let output = client.wait();
    let expected: String = (1..=200).map(|n| format!("{n}\n")).collect();
    assert_eq!((output.code, output.out()), (7, expected), "{output}");
}

/// Whoever has a jump host in between is told which of the two is not there.
#[test]
fn a_jump_host_is_down() {
    let bed = SshBed::new();
    let gateway = bed.network.gateway().to_string();
    let by_jump = || bed.kpexec(["-J", &gateway, "web", "--", "id"]);
    let told = format!("cannot connect to {gateway}:22 by SSH: Connection refused");
    refused(&by_jump().run(), &[&told]);
    // It is silent.
    let own = bed.address;
    bed.network.cut(own);
    let silent = bed.kpexec_to(&gateway, ["-J", &own.to_string(), "web", "--", "id"]);
    let silent = silent.deadline(Duration::from_secs(20)).run();
    refused(&silent, &[&format!("{own}:22")]);
}

#[test]
fn sudo_wants_a_terminal() {
    let bed = SshBed::new();
    bed.user("tied", "/bin/bash");
    let node = &bed.shop.node;
    let may = "tied ALL=(root) NOPASSWD: /usr/local/sbin/cnsenter\n";
    let tied = |with: &str| node.write("/etc/sudoers.d/zz", format!("{may}Defaults:tied {with}\n"));
    tied("requiretty");
    let run = || bed.kpexec_as("tied", ["web", "--", "id", "-u"]);
    let told = [
        "sudo does not run cnsenter as root",
        "you must have a tty",
        "Defaults:USER !requiretty",
    ];
    refused(&run().run(), &told);
    // Neither does a terminal of kpexec's help, and nobody is asked for a password in vain.
    let mut pty = run().pty();
    assert!(!pty.wait_for("!requiretty").contains("password"));
    assert_eq!(pty.wait(), 1);
    // What it says does.
    tied("!requiretty");
    assert_eq!(run().ok(), "0");
    // And so does what the packages bring.
    tied("requiretty");
    bed.may_sudo("tied");
    assert_eq!(run().ok(), "0");
}

#[test]
fn sshd_counts_sessions() {
    let bed = SshBed::with("MaxSessions 1\n");
    // One after the other: sudo without a password, and with one.
    bed.user("asked", "/bin/bash");
    let node = &bed.shop.node;
    node.command(["chpasswd"]).stdin("asked:open up\n").ok();
    node.write("/etc/sudoers.d/asked", "asked ALL=(root) ALL\n");
    let mut pty = bed.kpexec_as("asked", ["web", "--", "id", "-u"]).pty();
    pty.wait_for("sudo's password on ");
    pty.write("open up\r");
    pty.wait_for("\r\n0\r\n");
    assert_eq!(pty.wait(), 0);
    // Two at once.
    node.command(["rm", "/usr/local/sbin/cnsenter"]).ok();
    let push = format!("--push={}", cache::cnsenter().display());
    let told = ["refuses one session more", "MaxSessions"];
    refused(&bed.kpexec([&push, "web", "--", "id"]).run(), &told);
    bed.sshd.daemon.kill();
    let _sshd = Sshd::with(node, "MaxSessions 0\n");
    refused(&bed.kpexec(["web", "--", "id"]).run(), &told);
}

#[test]
fn cnsenter_is_another() {
    let bed = SshBed::new();
    let node = &bed.shop.node;
    for (oldest, newest, told) in [
        (
            0,
            0,
            "update the nodepause pods, or the node's own cnsenter",
        ),
        (PROTOCOL + 1, PROTOCOL + 2, "update kpexec"),
    ] {
        node.write("/usr/local/share/hello", hello_of(oldest, newest));
        let script = "#!/bin/sh\ncat /usr/local/share/hello; exec cat >/dev/null\n";
        node.write("/usr/local/sbin/cnsenter", script);
        let output = bed.kpexec(["web", "--", "id"]).run();
        let versions = "cnsenter 9.9.9 on the node speaks session protocols ";
        refused(&output, &[versions, told]);
        eventually("nothing of it runs", || node.find(&["cat"]).is_empty());
    }
    // One that greets, and is stuck then: it may have started the command.
    node.write("/usr/local/share/hello", hello_of(PROTOCOL, PROTOCOL));
    let mut pty = bed.kpexec(["-it", "web", "--", "sh"]).pty();
    eventually("the terminal is raw", || pty.is_raw());
    sleep(Duration::from_secs(4));
    pty.write("\x03");
    assert_eq!(pty.wait(), 255);
    assert!(!pty.is_raw());
    let shown = pty.raw();
    assert!(
        shown.contains("given up before the command had started"),
        "{shown}"
    );
    eventually("nothing of it runs", || node.find(&["cat"]).is_empty());
}

/// What sshd shows before it lets anybody in, and what it shows to those who log in.
#[test]
fn banners_are_no_greeting() {
    let bed = SshBed::new();
    bed.sshd.daemon.kill();
    let node = &bed.shop.node;
    node.write("/etc/warning", "Authorized use only!\n");
    node.write("/etc/motd", "Have a nice day\n");
    let lines = "Banner /etc/warning\nPrintMotd yes\n";
    let _sshd = Sshd::with(node, lines);
    let output = bed.kpexec(["-i", "web", "--", "cat"]).stdin("in").run();
    assert_eq!((output.code, output.out().as_str()), (0, "in"), "{output}");
    assert_eq!(output.err(), "", "{output}");
    // It may be where to confirm a login: people see it, unless they do not want to.
    let shown = || {
        let mut pty = bed.kpexec(["web", "--", "hostname"]).pty();
        assert_eq!(pty.wait(), 0);
        pty.raw()
    };
    let warning = "Authorized use only!\r\n";
    let seen = shown();
    assert!(
        seen.contains(warning) && seen.ends_with("web\r\n"),
        "{seen:?}"
    );
    bed.laptop.write("/root/.ssh/config", "LogLevel ERROR\n");
    assert!(!shown().contains(warning));
}

#[test]
fn passphrases_stay_wrong() {
    let bed = SshBed::new();
    let words = [
        "-t",
        "ed25519",
        "-N",
        "open sesame",
        "-f",
        "/root/.ssh/locked",
    ];
    ssh_keygen(&bed.laptop, &words);
    bed.sshd.user("locked", "/bin/sh");
    let key = public_key(&bed.laptop, "/root/.ssh/locked");
    bed.sshd.authorize("locked", &key);
    let words = ["-I", "/root/.ssh/locked", "web", "--", "hostname"];
    let mut pty = bed.kpexec_as("locked", words).pty();
    let mut asked = String::new();
    for _ in 0..3 {
        asked += "Passphrase for /root/.ssh/locked: ";
        pty.wait_until(|screen| screen.replace('\n', "") == asked);
        pty.write("wrong\r");
    }
    let shown = pty.wait_for("(with a wrong passphrase)");
    assert!(!shown.contains("\rwrong"), "{shown}");
    assert_eq!(pty.wait(), 1);
    assert!(!pty.is_raw());
    // Whoever ends kpexec at the question gets the terminal back.
    for signal in [Signal::SIGHUP, Signal::SIGINT, Signal::SIGTERM] {
        let mut pty = bed.kpexec_as("locked", words).pty();
        pty.wait_for("Passphrase for /root/.ssh/locked: ");
        assert!(pty.is_raw());
        pty.live().signal(signal);
        assert_eq!(pty.wait(), 128 + signal as i32);
        assert!(!pty.is_raw());
    }
    // After it, too: here, while the host behind the one that asked does not answer.
    let address = bed.address;
    let hop = format!(
        "Host hop\nHostName {address}\nUser locked\nIdentityFile /root/.ssh/locked\n\
         Host far\nHostName 10.77.0.250\nProxyJump hop\nConnectTimeout 60\n"
    );
    bed.laptop.write("/root/.ssh/config", hop);
    let mut pty = bed.kpexec_to("far", ["-v", "web", "--", "true"]).pty();
    pty.wait_for("Passphrase for /root/.ssh/locked: ");
    pty.write("open sesame\r");
    pty.wait_for("\r\n");
    sleep(Duration::from_millis(500));
    assert!(!pty.is_raw());
    pty.live().signal(Signal::SIGTERM);
    assert_eq!(pty.wait(), 128 + Signal::SIGTERM as i32);
}
