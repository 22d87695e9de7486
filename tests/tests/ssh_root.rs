//! How cnsenter becomes root, or is found to be missing; keys that run it and nothing else; and other
//! programs as the way to a node.

use std::sync::OnceLock;

use kpexec_tests::ssh::{KEY, Sshd, make_key, public_key};
use kpexec_tests::{Cmd, Output, SshBed};

fn bed() -> &'static SshBed {
    static BED: OnceLock<SshBed> = OnceLock::new();
    BED.get_or_init(SshBed::new)
}

/// Who runs, in the pod, by the kpexec of one of the node's users.
fn id(user: &str, flags: &[&str]) -> Cmd {
    let words = flags.iter().chain(&["web", "--", "id", "-u"]);
    bed().kpexec_as(user, words)
}

#[track_caller]
fn refused(output: &Output, code: i32, told: &[&str]) {
    assert_eq!(output.code, code, "{output}");
    assert!(output.stdout.is_empty(), "{output}");
    let said = output.err();
    for word in told {
        assert!(said.contains(word), "no {word:?} in: {said}");
    }
}

#[test]
fn sudo_makes_root() {
    bed().user("free", "/bin/bash");
    bed().may_sudo("free");
    assert_eq!(id("free", &[]).ok(), "0");
    assert_eq!(id("free", &["--ssh-sudo=always"]).ok(), "0");
    assert_eq!(id("free", &["--ssh-sudo=/usr/bin/sudo"]).ok(), "0");
    assert_eq!(id("root", &["--ssh-sudo=always"]).ok(), "0");
    // Where those find it who are not root.
    let link = ["ln", "-s", "/usr/local/sbin/cnsenter", "/usr/local/bin"];
    bed().shop.node.command(link).ok();
    let never = id("free", &["--ssh-sudo=never"]).run();
    refused(&never, 125, &["root"]);
    let nowhere = id("free", &["--ssh-sudo=/opt/sudo"]).run();
    refused(
        &nowhere,
        1,
        &["/opt/sudo is not installed on", "cnsenter needs to be root"],
    );
    bed().user("barred", "/bin/dash");
    let barred = id("barred", &[]).run();
    refused(
        &barred,
        1,
        &[
            "sudo does not run cnsenter as root",
            "password is required",
            "NOPASSWD",
        ],
    );
}

#[test]
fn sudo_may_ask_for_a_password() {
    bed().user("asked", "/bin/bash");
    let node = &bed().shop.node;
    node.command(["chpasswd"]).stdin("asked:open up\n").ok();
    node.write(
        "/etc/sudoers.d/asked",
        "asked ALL=(root) /usr/local/sbin/cnsenter\n",
    );
    refused(&id("asked", &[]).run(), 1, &["a password is required"]);
    let mut pty = id("asked", &[]).pty();
    pty.wait_for("sudo's password on ");
    pty.write("wrong\r");
    pty.wait_for("Sorry, try again.");
    pty.write("open up\r");
    let shown = pty.wait_for("\r\n0\r\n");
    assert!(!shown.contains("open up"), "{shown}");
    assert_eq!(pty.wait(), 0);
    // stdin is still all the command's.
    let words = ["-it", "web", "--", "cat"];
    let mut pty = bed().kpexec_as("asked", words).pty();
    pty.wait_for("sudo's password on ");
    pty.write("open up\r");
    pty.wait_for("\r\n");
    pty.write("typed\r");
    pty.wait_for("typed\r\ntyped\r\n");
    pty.write("\x04");
    assert_eq!(pty.wait(), 0);
}

#[test]
fn doas_does_as_well() {
    let bed = SshBed::new();
    let node = &bed.shop.node;
    for user in ["dora", "nora"] {
        bed.user(user, "/bin/bash");
    }
    node.write("/etc/doas.conf", "permit nopass dora cmd cnsenter\n");
    node.command(["chmod", "600", "/etc/doas.conf"]).ok();
    let run = |user: &str, flags: &[&str]| {
        bed.kpexec_as(user, flags.iter().chain(&["web", "--", "id", "-u"]))
    };
    assert_eq!(run("dora", &["--ssh-sudo=doas"]).ok(), "0");
    let barred = run("nora", &["--ssh-sudo=doas"]).run();
    refused(&barred, 1, &["doas does not run cnsenter", "permit nopass"]);
    bed.sshd.daemon.kill();
    // It is found where there is no sudo; and where there is neither, that is told.
    for (programs, told) in [(&["doas"][..], ""), (&[], "doas is not installed")] {
        node.command(["rm", "-rf", "/usr/local/only"]).ok();
        node.command(["mkdir", "/usr/local/only"]).ok();
        for program in programs {
            let target = format!("/usr/bin/{program}");
            node.command(["ln", "-s", &target, "/usr/local/only"]).ok();
        }
        let sshd = Sshd::with(node, "SetEnv PATH=/usr/local/only\n");
        match told {
            "" => assert_eq!(run("dora", &[]).ok(), "0"),
            told => refused(&run("dora", &[]).run(), 1, &[told]),
        }
        sshd.daemon.kill();
    }
}

#[test]
fn a_missing_cnsenter_is_told() {
    let bed = SshBed::new();
    let node = &bed.shop.node;
    bed.user("free", "/bin/bash");
    node.write("/etc/sudoers.d/free", "free ALL=(root) NOPASSWD: ALL\n");
    node.command(["rm", "/usr/local/sbin/cnsenter"]).ok();
    for user in ["root", "free"] {
        let output = bed.kpexec_as(user, ["web", "--", "id"]).run();
        refused(
            &output,
            1,
            &["cnsenter is not installed on", "scp cnsenter"],
        );
    }
    // Something else that is called so.
    node.write(
        "/usr/local/sbin/cnsenter",
        "#!/bin/sh\necho I am another; exit 7\n",
    );
    node.command(["chmod", "755", "/usr/local/sbin/cnsenter"])
        .ok();
    let output = bed.kpexec(["web", "--", "id"]).run();
    refused(&output, 1, &["cnsenter did not answer on", "I am another"]);
    // Somebody who may not log in.
    bed.user("out", "/usr/sbin/nologin");
    let output = bed.kpexec_as("out", ["web", "--", "id"]).run();
    refused(&output, 1, &["not available"]);
}

#[test]
fn a_key_may_be_for_sessions_alone() {
    let key = public_key(&bed().laptop, KEY);
    let forced = "command=\"cnsenter session --from-ssh-original-command\",restrict";
    let sudo = "command=\"sudo -n cnsenter session --from-ssh-original-command\",restrict";
    for user in ["boxed", "member"] {
        bed().sshd.user(user, "/bin/bash");
        bed().sshd.authorize(user, &format!("{sudo} {key}"));
    }
    bed().shop.node.write(
        "/etc/sudoers.d/boxed",
        "Defaults:boxed env_keep += \"SSH_ORIGINAL_COMMAND\"\n\
         boxed ALL=(root) NOPASSWD: /usr/local/sbin/cnsenter session --from-ssh-original-command\n",
    );
    bed().may_sudo("member");
    // Root's own key is another one, so that the tests beside this one can do as they like.
    let narrow = "/root/.ssh/narrow";
    make_key(&bed().laptop, narrow);
    let narrow_key = public_key(&bed().laptop, narrow);
    bed()
        .sshd
        .authorize("root", &format!("{key}\n{forced} {narrow_key}"));
    let config = "Host *\n  IdentitiesOnly yes\n";
    bed().laptop.write("/root/.ssh/narrow_config", config);
    let narrowed = ["--ssh-config=/root/.ssh/narrow_config", "-I", narrow];
    for (user, flags) in [("root", &narrowed[..]), ("boxed", &[]), ("member", &[])] {
        assert_eq!(id(user, flags).ok(), "0");
        let odd = [
            "web",
            "--",
            "sh",
            "-c",
            "echo 'a  b' \"$1\"; exit 3",
            "sh",
            "c'd",
        ];
        let output = bed().kpexec_as(user, flags.iter().chain(&odd)).run();
        assert_eq!(
            (output.code, output.out().as_str()),
            (3, "a  b c'd\n"),
            "{output}"
        );
    }
    let address = bed().address;
    // And what kpexec asks when it searches for a pod.
    for (line, count) in [
        ("cnsenter ls -o json", 2),
        ("cnsenter ls -o json --pod=shop/web", 1),
    ] {
        let host = format!("root@{address}");
        let words = ["ssh", "-T", "-i", narrow, "-o", "IdentitiesOnly=yes", &host];
        let words = words.into_iter().chain(line.split(' '));
        let list: serde_json::Value =
            serde_json::from_str(&bed().laptop.command(words).ok()).unwrap();
        assert_eq!(list.as_array().unwrap().len(), count, "{list}");
    }
    for (line, told) in [
        ("id", "no session of kpexec"),
        ("cnsenter ls", "no session of kpexec"),
        ("cnsenter ls -o json -a", "no session of kpexec"),
        (
            "cnsenter session 1 shop/web full -- $(id)",
            "none that kpexec writes",
        ),
        ("", "names no command"),
    ] {
        let host = format!("root@{address}");
        let mut words = vec!["ssh", "-T", "-i", narrow, "-o", "IdentitiesOnly=yes", &host];
        words.extend(Some(line).filter(|line| !line.is_empty()));
        let output = bed().laptop.command(words).run();
        assert_eq!(output.code, 125, "{output}");
        assert!(output.err().contains(told), "{output}");
        assert!(output.stdout.is_empty(), "{output}");
    }
}

#[test]
fn another_program_may_be_the_way() {
    let address = bed().address.to_string();
    let by = |command: &str, words: &[&str]| {
        let fixed = ["--ssh-command", command];
        bed().kpexec_to(&address, fixed.iter().chain(words))
    };
    let run = ["web", "--", "sh", "-c", "cat; echo 'a  b'; exit 6"];
    let ssh = "ssh -T -l {user} {node}";
    let output = by(ssh, &[&["--ssh-user=root", "-i"][..], &run].concat());
    let output = output.stdin("in ").run();
    assert_eq!(
        (output.code, output.out().as_str()),
        (6, "in a  b\n"),
        "{output}"
    );
    let mut pty = by("ssh -T root@{address}", &["-it", "web", "--", "sh"]).pty();
    pty.write("tty; exit 5\r");
    pty.wait_for("/dev/pts/");
    assert_eq!(pty.wait(), 5);
    // A key for the command, which is not that program's.
    let script = "trap 'exit 7' INT; echo ready; while :; do sleep 0.1; done";
    let mut pty = by("ssh -T root@{address}", &["web", "--", "sh", "-c", script]).pty();
    pty.wait_for("ready");
    pty.write("\x03");
    assert_eq!(pty.wait(), 7);

    let deaf = by("sh -c 'exec >&-; sleep 54326' sh", &run).run();
    refused(&deaf, 1, &["it has closed its stdout"]);
    let failed = by("ssh -T -p 9 root@{node}", &run).run();
    refused(&failed, 1, &["Connection refused"]);
    let missing = by("/nonexistent {node}", &run).run();
    refused(
        &missing,
        1,
        &["cannot start /nonexistent: there is no such program"],
    );
    let unfilled = by("ssh -p {port} {node}", &run).run();
    refused(&unfilled, 1, &["{port}", "--ssh-port"]);
    // It dies in the middle.
    let words = ["web", "--", "sh", "-c", "echo before; sleep 52001"];
    let client = by("ssh -T root@{node}", &words).spawn();
    client.wait_for("before\n");
    bed()
        .laptop
        .command(["pkill", "-KILL", "-f", "sleep_52001"])
        .ok();
    let output = client.wait();
    assert_eq!(output.code, 255, "{output}");
    assert!(output.err().contains("was lost: "), "{output}");
}
