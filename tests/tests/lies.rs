//! The threat table, as far as a container only lies: terminals, /proc, environment, accounts and
//! names that are not what they seem. Each lie is told to a tool that believes it, too.

use std::fs;

use kpexec_tests::{Kind, Node, Output};

mod stage;
use stage::{Stage, strong};

impl Stage {
    /// A script that the container itself runs.
    fn attacker(&self, script: &str) {
        self.runtime
            .exec(&self.container, &["sh", "-ec", script])
            .ok();
    }

    /// A tool of the node's that believes what it finds in the container; `naive.c` has its parts.
    fn naive(&self, part: &[&str]) -> Output {
        let program = "/usr/local/bin/naive";
        self.node.program("naive", program);
        let pid = self.container.pid.to_string();
        // It may wait for ever, too.
        let words = ["timeout", "0.5", program, &pid];
        self.node.command(words.iter().chain(part)).run()
    }
}

/// What timeout(1) says of a tool that has not ended.
const HANGS: i32 = 124;

/// CVE-2025-52565: what is at /dev/pts is not what it seems.
#[test]
fn terminals_are_faked() {
    for (trick, code) in [
        // No devpts: a terminal of the node's.
        ("mount -t tmpfs none /dev/pts; mkfifo /dev/pts/ptmx", 0),
        (
            "mount -t tmpfs none /dev/pts; ln -s /dev/zero /dev/pts/ptmx",
            0,
        ),
        ("umount /dev/pts; rmdir /dev/pts; ln -s /tmp /dev/pts", 0),
        (
            "umount /dev/pts; rmdir /dev/pts; ln -s /proc/1/root/dev/pts /dev/pts",
            0,
        ),
        // A devpts with another multiplexer in it: refused.
        ("mount --bind /dev/zero /dev/pts/ptmx", 125),
        ("touch /tmp/file; mount --bind /tmp/file /dev/pts/ptmx", 125),
    ] {
        let stage = Stage::new(strong());
        stage.attacker(trick);
        let words = [
            "-it",
            &stage.container.id,
            "--",
            "sh",
            "-c",
            "test -t 0 && echo works",
        ];
        let mut terminal = stage.node.cnsenter(words).pty();
        assert_eq!(terminal.wait(), code, "{trick}: {}", terminal.raw());
        let expected = if code == 0 { "works" } else { "cnsenter: " };
        terminal.wait_for(expected);
    }
}

/// What is typed goes to a file of the image's: the other side of a terminal is opened by name.
#[test]
fn a_terminals_name_leads_elsewhere() {
    let stage = Stage::new(strong());
    stage.attacker(
        "mkdir /tmp/pts
        mount -t devpts -o newinstance,ptmxmode=666 none /tmp/pts
        mount -t tmpfs none /dev/pts
        ln -s /tmp/pts/ptmx /dev/pts/ptmx
        touch /dev/pts/0 /dev/pts/1",
    );
    let caught = || stage.node.read(stage.inside("/dev/pts/0"));
    assert_eq!(stage.naive(&["terminal"]).out(), "typed\n");
    assert_eq!(caught(), "typed\n");

    fs::write(stage.node.path(stage.inside("/dev/pts/0")), "").unwrap();
    let id = stage.container.id.as_str();
    let words = ["-it", id, "--", "sh", "-c", "test -t 0 && echo typed"];
    let mut terminal = stage.node.cnsenter(words).pty();
    terminal.wait_for("typed");
    assert_eq!(terminal.wait(), 0);
    assert_eq!(caught(), "");
}

/// CVE-2019-16884, CVE-2025-52881: the container's /proc lies.
#[test]
fn proc_is_faked() {
    let stage = Stage::new(strong());
    stage.attacker(
        "mount -t tmpfs none /proc
        mkdir -p /proc/self/fd /proc/self/attr/apparmor /proc/thread-self/attr /proc/1 /proc/sys/kernel
        echo 0 >/proc/sys/kernel/cap_last_cap
        ln -s /etc/passwd /proc/self/exe
        mkfifo /proc/self/status /proc/self/oom_score_adj /proc/self/cgroup
        echo innocent >/etc/victim
        ln -s /etc/victim /proc/self/attr/apparmor/exec",
    );
    // A label is set, it thinks; it has written to a file of the attacker's choice.
    let victim = || stage.node.read(stage.inside("/etc/victim"));
    assert_eq!(stage.naive(&["label"]).out(), "labelled\n");
    assert_eq!(victim(), "exec unconfined");
    let before = stage.node.snapshot();
    for flags in [&[][..], &["-u", "app"], &["--cgroup=target"]] {
        let target = [stage.container.id.as_str(), "--", "id", "-u"];
        let output = stage.node.cnsenter(flags.iter().chain(&target)).run();
        let expected = if flags.contains(&"app") {
            "1000\n"
        } else {
            "0\n"
        };
        assert_eq!(
            (output.out().as_str(), output.code),
            (expected, 0),
            "{flags:?}: {output}"
        );
    }
    assert_eq!(victim(), "exec unconfined");
    before.assert_same(&stage.node);
}

/// CVE-2025-23266: the container's environment reaches no process of the node.
#[test]
fn the_environment_is_hostile() {
    let spec = strong()
        .env("LD_PRELOAD", "./evil.so")
        .env("PATH", "/bin:.");
    let stage = Stage::new(spec);
    stage.node.library("preload", stage.inside("/evil.so"));
    // Only the node's nsenter has a loader that preloads anything; the container is all static.
    let naive = "cd /proc/$0/root; exec env -i $(xargs -0 </proc/$0/environ) \
        /usr/bin/nsenter -t $0 -a /bin/true";
    let pid = stage.container.pid.to_string();
    let output = stage.node.command(["sh", "-c", naive, &pid]).ok();
    assert_eq!(output, "the image's library runs");

    let id = stage.container.id.as_str();
    let root = format!("/proc/{pid}/root");
    let environment = stage.node.cnsenter([id, "--", "env"]).cwd(&root).ok();
    assert!(environment.contains("LD_PRELOAD=./evil.so"));
    assert!(
        !environment.contains("the image's library"),
        "{environment}"
    );
    let live = stage
        .node
        .cnsenter([id, "--", "sh", "-c", "echo $LD_PRELOAD; exec sleep 1000"])
        .spawn();
    live.wait_for("./evil.so");
    while stage
        .node
        .command(["pgrep", "-fx", "sleep 1000"])
        .run()
        .code
        != 0
    {}
    let ours = live.pid();
    let children = fs::read_to_string(format!("/proc/{ours}/task/{ours}/children")).unwrap();
    let pids = children
        .split_whitespace()
        .map(str::to_owned)
        .chain([ours.to_string()]);
    let (command, others): (Vec<_>, Vec<_>) =
        pids.partition(|pid| fs::read_to_string(format!("/proc/{pid}/comm")).unwrap() == "sleep\n");
    let preloads = |pid: &String| {
        let environment = fs::read(format!("/proc/{pid}/environ")).unwrap();
        String::from_utf8_lossy(&environment).contains("LD_PRELOAD")
    };
    assert!(command.len() == 1 && command.iter().all(preloads));
    assert!(
        others.len() == 2 && !others.iter().any(preloads),
        "{others:?}"
    );
    let words = ["--no-mount", id, "--", "sh", "-c", "echo [$LD_PRELOAD]"];
    assert_eq!(stage.node.cnsenter(words).ok(), "[]");
}

/// CVE-2019-14271, CVE-2024-40635: hostile account files.
#[test]
fn accounts_are_hostile() {
    // What the naive tool makes of it, and what we do.
    let hangs = (HANGS, "");
    let endless = (1, "endless\n");
    let root = (0, "0\n");
    for (trick, user, naive, expected) in [
        (
            "rm /etc/passwd; mkfifo /etc/passwd",
            "app",
            hangs,
            Err("not a regular file"),
        ),
        ("rm /etc/passwd; mkfifo /etc/passwd", "5", hangs, Ok("5 0")),
        (
            "truncate -s 1G /etc/passwd",
            "app",
            endless,
            Err("larger than 10 MiB"),
        ),
        ("truncate -s 1G /etc/passwd", "5", endless, Ok("5 0")),
        // The node's own accounts, to which an absolute link leads whoever looks from outside.
        (
            "ln -sf /run/accounts /etc/passwd",
            "eve",
            root,
            Err("no user"),
        ),
        (
            "ln -sf /proc/1/root/run/accounts /etc/passwd",
            "eve",
            root,
            Err("no user"),
        ),
        (
            "rm /etc/passwd; ln -s /dev/zero /etc/passwd",
            "app",
            endless,
            Err("no user"),
        ),
        (
            "echo 1000:x:0:0::/:/bin/sh >/etc/passwd",
            "1000",
            root,
            Ok("1000 0"),
        ),
        (
            "echo big:x:4294967296:0::/:/bin/sh >/etc/passwd",
            "big",
            root,
            Err("no user"),
        ),
        (
            "echo neg:x:-1:-1::/:/bin/sh >/etc/passwd",
            "neg",
            // For setuid(2): stay what you are, which is root.
            (0, "4294967295\n"),
            Err("no user"),
        ),
    ] {
        let stage = Stage::new(strong());
        stage.node.write("/run/accounts", "eve:x:0:0::/:/bin/sh\n");
        stage.attacker(trick);
        let believed = stage.naive(&["user", user]);
        let believed = (believed.code, believed.out());
        assert_eq!(believed, (naive.0, naive.1.to_owned()), "{trick}");
        become_user(&stage, trick, user, expected);
    }
    let stage = Stage::new(strong());
    let trick = "rm /etc/group; mkfifo /etc/group";
    stage.attacker(trick);
    become_user(&stage, trick, "app:extra", Err("not a regular file"));
}

fn become_user(stage: &Stage, trick: &str, user: &str, expected: Result<&str, &str>) {
    let ids = "echo $(grep -E '^[UG]id' /proc/self/status | cut -f2)";
    let words = ["-u", user, &stage.container.id, "--", "sh", "-c", ids];
    let output = stage.node.cnsenter(words).run();
    match expected {
        Ok(ids) => assert_eq!(output.out().trim(), ids, "{trick}: {output}"),
        Err(why) => {
            assert_eq!(output.code, 125, "{trick}: {output}");
            assert!(output.err().contains(why), "{trick}: {output}");
        }
    }
}

/// CRI-O copies what a tenant annotates a pod with into the specs of its containers, beside what it says
/// itself; here it is crun that has such a container.
#[test]
fn annotations_claim_another_pod() {
    let own = [
        ("io.container.manager", "cri-o"),
        ("io.kubernetes.cri-o.ContainerType", "container"),
        ("io.kubernetes.pod.namespace", "tenant"),
        ("io.kubernetes.pod.name", "web-0"),
        ("io.kubernetes.container.name", "app"),
    ];
    let lies = [
        ("io.kubernetes.cri.sandbox-namespace", "kube-system"),
        ("io.kubernetes.cri.sandbox-name", "etcd-0"),
        ("io.kubernetes.cri.container-name", "etcd"),
    ];
    let said = own.iter().chain(&lies);
    let spec = said.fold(strong(), |spec, (name, value)| spec.label(name, value));
    let node = Node::start();
    let container = Kind::Crun.start(&node).run(&spec);
    let enter = |target: &str| node.cnsenter([target, "--", "hostname"]).run();
    // Its spec does say so.
    let state = node.command(["crun", "state", &container.id]).ok();
    assert!(state.contains("etcd-0"), "{state}");
    enter("kube-system/etcd-0").refused(&["no container"]);
    let entered = enter("tenant/web-0");
    assert_eq!(entered.out(), "web\n", "{entered}");
}

/// CVE-2021-25743: escape sequences in what is shown.
#[test]
fn names_hold_escapes() {
    let stage = Stage::new(strong());
    let id = stage.container.id.as_str();
    let evil = "\u{1b}]0;evil\u{7}\u{9b}31m\r\n\u{202e}";
    let script = format!("#!/bin/{evil}\n").into_bytes();
    fs::write(stage.node.path(stage.inside("/tmp/script")), script).unwrap();
    stage
        .node
        .command(["chmod", "755", &stage.inside("/tmp/script")])
        .ok();
    let pid = stage.container.pid.to_string();
    let naive = stage.node.command(["nsenter", "-t", &pid, "-a", evil]);
    assert!(naive.run().err().contains(evil));
    for words in [
        &["-u", evil, id, "--", "id"][..],
        &["--group-add", evil, id, "--", "id"],
        &["-w", evil, id, "--", "id"],
        &[id, "--", evil],
        &[id, "--", "/tmp/script"],
        &[evil, "--", "id"],
    ] {
        let output = stage.node.cnsenter(words).run();
        assert!(output.code >= 125, "{output}");
        let shown = output.err();
        let raw = shown
            .chars()
            .any(|c| (c.is_control() && c != '\n') || c == '\u{202e}');
        assert!(!raw && shown.lines().count() <= 2, "{words:?}: {shown:?}");
    }
}
