//! `kpexec --push`: our own cnsenter on a node that has none of use, for one command; wherever it comes
//! from and whoever is in the way, nothing of it stays there.

use std::fs;
use std::sync::OnceLock;

use cnsenter_protocol::{Control, Hello, PREAMBLE, PROTOCOL, SessionId};
use kpexec_tests::ssh::Sshd;
use kpexec_tests::{Cmd, Live, Node, Output, Snapshot, SshBed, cache, eventually};
use nix::sys::signal::Signal;

/// A node without cnsenter.
fn bed() -> &'static SshBed {
    static BED: OnceLock<SshBed> = OnceLock::new();
    BED.get_or_init(empty_bed)
}

fn empty_bed() -> SshBed {
    let bed = SshBed::new();
    bed.shop
        .node
        .command(["rm", "/usr/local/sbin/cnsenter"])
        .ok();
    bed
}

/// A user who may become root for anything.
fn user(bed: &SshBed, name: &str, shell: &str) {
    bed.user(name, shell);
    let line = format!("{name} ALL=(root) NOPASSWD: ALL\n");
    bed.shop.node.write(format!("/etc/sudoers.d/{name}"), line);
}

/// `--push` with the cnsenter under test.
fn push() -> String {
    format!("--push={}", cache::cnsenter().display())
}

/// A command in the pod, by a cnsenter that is sent.
fn pushed(bed: &SshBed, user: &str, words: &[&str]) -> Cmd {
    let push = push();
    let fixed = [push.as_str(), "web", "--"];
    bed.kpexec_as(user, fixed.iter().chain(words))
}

/// A command that lasts as long as its stdin.
fn lasting(bed: &SshBed, user: &str) -> Live {
    let push = push();
    let words = [&push, "-i", "web", "--", "sh", "-c", "echo begun; cat"];
    let client = bed.kpexec_as(user, words).spawn();
    client.wait_for("begun\n");
    client
}

/// All that a push has left on a node's disks.
fn left(node: &Node) -> String {
    let name = format!("kpexec-{}", "?".repeat(32));
    let places = ["/run", "/dev/shm", "/tmp", "/var/tmp", "/root", "/home"];
    let find = ["find"].into_iter().chain(places).chain(["-name", &name]);
    node.command(find).run().out()
}

/// What is on the node once somebody has logged in, which changes the title of sshd.
fn quiet(bed: &SshBed) -> Snapshot {
    ended(&bed.kpexec(["web", "--", "id"]).run(), 1, &["--push"]);
    bed.shop.node.snapshot()
}

/// It ended like this, with nothing of the command's, and this was said.
#[track_caller]
fn ended(output: &Output, code: i32, told: &[&str]) {
    assert_eq!(output.code, code, "{output}");
    assert!(output.stdout.is_empty(), "{output}");
    let said = output.err();
    for word in told {
        assert!(said.contains(word), "no {word:?} in: {said}");
    }
}

/// A file that says what a cnsenter of other protocols greets with.
fn greeting(oldest: u32, newest: u32) -> Vec<u8> {
    let mut wire = PREAMBLE.to_vec();
    let hello = Hello {
        oldest,
        newest,
        version: "7.8.9".to_owned(),
    };
    Control::Hello(hello).put(&mut wire, SessionId::STREAM);
    wire
}

#[test]
fn ours_runs_where_there_is_none_and_leaves_no_file() {
    let bed = &empty_bed();
    let node = &bed.shop.node;
    let without = bed.kpexec(["web", "--", "id"]).run();
    ended(&without, 1, &["cnsenter is not installed on", "--push"]);

    let output = pushed(bed, "root", &["sh", "-c", "hostname; id -u; exit 3"]).run();
    assert_eq!(
        (output.code, output.out().as_str()),
        (3, "web\n0\n"),
        "{output}"
    );
    assert_eq!(output.err(), "command terminated with exit code 3\n");
    let steps = bed.kpexec(["-v", &push(), "web", "--", "true"]).run();
    ended(
        &steps,
        0,
        &[
            "] sent ",
            "/cnsenter to /run/kpexec-",
            "] removed /run/kpexec-",
        ],
    );
    let by_environment = bed.kpexec(["web", "--", "hostname"]);
    let by_environment = by_environment.env("KPEXEC_PUSH", cache::cnsenter());
    assert_eq!(by_environment.ok(), "web");

    let mut client = lasting(bed, "root");
    assert_eq!(left(node), "", "while it runs");
    client.write("all of it\n");
    client.close_stdin();
    let output = client.wait();
    assert_eq!(
        (output.code, output.out().as_str()),
        (0, "begun\nall of it\n"),
        "{output}"
    );

    let push = push();
    let mut pty = bed.kpexec([push.as_str(), "-it", "web", "--", "sh"]).pty();
    pty.write("tty; exit 5\r");
    pty.wait_for("/dev/pts/");
    assert_eq!(pty.wait(), 5);
}

#[test]
fn the_one_that_came_with_kpexec_is_found() {
    let bed = empty_bed();
    let laptop = &bed.laptop;
    let place = |from: &str, to: &str| {
        laptop.write(to, "");
        laptop.command(["mount", "--bind", from, to]).ok();
    };
    place(
        &cache::kpexec().display().to_string(),
        "/usr/local/bin/kpexec",
    );
    let run = || {
        let host = format!("root@{}", bed.address);
        let words = [
            "/usr/local/bin/kpexec",
            "-n",
            "shop",
            "--node",
            &host,
            "--push",
            "web",
            "--",
            "hostname",
        ];
        laptop.command(words)
    };
    let none = run().run();
    ended(
        &none,
        1,
        &[
            "there is no cnsenter for x86_64",
            "/usr/local/lib/kpexec",
            "--push=FILE",
        ],
    );
    let cnsenter = cache::cnsenter().display().to_string();
    place(&cnsenter, "/usr/local/lib/kpexec/cnsenter-x86_64");
    assert_eq!(run().ok(), "web");
}

#[test]
fn every_login_shell_lets_it_through() {
    let bed = bed();
    for shell in ["sh", "bash", "dash", "zsh", "fish"] {
        user(bed, shell, &format!("/usr/bin/{shell}"));
        let output = pushed(bed, shell, &["id", "-u"]).run();
        assert_eq!(
            (output.code, output.out().as_str()),
            (0, "0\n"),
            "{shell}: {output}"
        );
        assert_eq!(output.err(), "", "{shell}");
    }
    let noise = "echo -n Welcome to this node\necho and more >&2\n";
    bed.shop.node.write("/home/bash/.bashrc", noise);
    let output = pushed(bed, "bash", &["id", "-u"]).run();
    assert_eq!((output.code, output.out().as_str()), (0, "0\n"), "{output}");
}

#[test]
fn sudo_and_doas_have_to_allow_any_program() {
    let bed = empty_bed();
    let node = &bed.shop.node;
    bed.user("narrow", "/bin/bash");
    bed.may_sudo("narrow");
    let told = &[
        "sudo does not run the cnsenter that is sent as root",
        "password is required",
        "NOPASSWD: ALL",
    ];
    ended(&pushed(&bed, "narrow", &["id"]).run(), 1, told);
    // An old one, which it does allow.
    node.write("/usr/local/greeting", greeting(0, 0));
    node.program("greeter", "/usr/local/sbin/cnsenter");
    ended(&pushed(&bed, "narrow", &["id"]).run(), 1, told);
    eventually("nothing is left", || left(node).is_empty());
    node.command(["rm", "/usr/local/sbin/cnsenter"]).ok();

    for user in ["dora", "nora"] {
        bed.user(user, "/bin/bash");
    }
    let rules = "permit nopass dora\npermit nopass nora cmd cnsenter\n";
    node.write("/etc/doas.conf", rules);
    node.command(["chmod", "600", "/etc/doas.conf"]).ok();
    let push = push();
    let run = |user| bed.kpexec_as(user, ["--ssh-sudo=doas", &push, "web", "--", "id", "-u"]);
    assert_eq!(run("dora").ok(), "0");
    let told = ["doas does not run the cnsenter that is sent", "any program"];
    ended(&run("nora").run(), 1, &told);
    eventually("nothing is left", || left(node).is_empty());

    // A password is asked for on a terminal, once for both programs.
    bed.user("asked", "/bin/bash");
    node.command(["chpasswd"]).stdin("asked:open up\n").ok();
    node.write("/etc/sudoers.d/asked", "asked ALL=(root) ALL\n");
    let mut pty = pushed(&bed, "asked", &["id", "-u"]).pty();
    pty.wait_for("sudo's password on ");
    pty.write("open up\r");
    pty.wait_for("\r\n0\r\n");
    assert_eq!(pty.wait(), 0);
}

#[test]
fn one_of_another_protocol_is_left_as_it_is() {
    let bed = empty_bed();
    let node = &bed.shop.node;
    node.program("greeter", "/usr/local/sbin/cnsenter");
    for (oldest, newest) in [(0, 0), (PROTOCOL + 1, PROTOCOL + 2)] {
        node.write("/usr/local/greeting", greeting(oldest, newest));
        let without = bed.kpexec(["web", "--", "id"]).run();
        ended(
            &without,
            1,
            &["cnsenter 7.8.9 on the node speaks", "--push"],
        );
        let output = pushed(&bed, "root", &["hostname"]).run();
        assert_eq!(
            (output.code, output.out().as_str()),
            (0, "web\n"),
            "{output}"
        );
    }
    let greets = node.command(["cnsenter"]).run().stdout;
    assert_eq!(greets, greeting(PROTOCOL + 1, PROTOCOL + 2));
    // What is sent is asked as well.
    bed.laptop.program("greeter", "/usr/local/greeter");
    let words = ["--push=/usr/local/greeter", "web", "--", "id"];
    let told = ["/usr/local/greeter is cnsenter 7.8.9", "--push=FILE"];
    ended(&bed.kpexec(words).run(), 1, &told);
    eventually("nothing is left", || left(node).is_empty());
}

#[test]
fn what_would_not_run_is_not_sent() {
    let bed = bed();
    let mut other = fs::read(cache::cnsenter()).unwrap();
    other[18..20].copy_from_slice(&183_u16.to_le_bytes());
    bed.laptop.write("/usr/local/other", other);
    for (file, told) in [
        (
            "/usr/local/other",
            "it is for aarch64, and the node is x86_64",
        ),
        ("/usr/bin/env", "it is not static"),
        ("/etc/passwd", "it is no program for Linux"),
        ("/dev/null", "cannot read /dev/null"),
        (
            "/usr/local/none",
            "cannot read /usr/local/none, which is to be sent",
        ),
    ] {
        let words = [&format!("--push={file}"), "web", "--", "id"];
        ended(&bed.kpexec(words).run(), 1, &[told]);
    }
}

/// Each place that is not private, or runs nothing, is left out.
#[test]
fn the_next_place_is_taken() {
    let bed = empty_bed();
    let node = &bed.shop.node;
    user(&bed, "plain", "/bin/bash");
    let used = || {
        let mut client = lasting(&bed, "plain");
        let line = "pgrep -af '^/.*/kpexec-.*/cnsenter session' | grep -o '/.*/kpexec-'";
        let found = node.command(["sh", "-c", line]).run().out();
        client.close_stdin();
        assert_eq!(client.wait().code, 0);
        found.lines().next().unwrap_or_default().to_owned()
    };
    assert_eq!(used(), "/dev/shm/kpexec-");
    node.command(["chmod", "777", "/dev/shm"]).ok();
    assert_eq!(used(), "/tmp/kpexec-");
    let small = [
        "mount",
        "-t",
        "tmpfs",
        "-o",
        "size=1m,mode=1777",
        "none",
        "/tmp",
    ];
    node.command(small).ok();
    assert_eq!(used(), "/var/tmp/kpexec-");
    node.command(["mount", "-o", "remount,noexec", "/var"]).ok();
    assert_eq!(used(), "/home/plain/kpexec-");
    node.command(["chown", "daemon", "/home/plain"]).ok();
    let nowhere = pushed(&bed, "plain", &["id"]).run();
    ended(
        &nowhere,
        1,
        &[
            "has no place that cnsenter could be run from",
            "/run cannot be written to",
            "/dev/shm may be written to by others",
            "/tmp is full",
            "/var/tmp is mounted noexec",
            "/home/plain belongs to somebody else",
        ],
    );
    eventually("nothing is left", || left(node).is_empty());
}

/// A node whose shells find these programs before its own.
fn tricked(bed: &SshBed, programs: &[(&str, &str)]) -> Sshd {
    bed.sshd.daemon.kill();
    for (name, script) in programs {
        let path = format!("/usr/local/tricks/{name}");
        bed.shop.node.write(&path, format!("#!/bin/sh\n{script}\n"));
        bed.shop.node.command(["chmod", "755", &path]).ok();
    }
    let path = "/usr/local/tricks:/usr/sbin:/usr/bin:/sbin:/bin";
    Sshd::with(&bed.shop.node, &format!("SetEnv PATH={path}\n"))
}

#[test]
fn a_link_in_the_folders_place_is_not_followed() {
    let bed = empty_bed();
    let node = &bed.shop.node;
    node.command(["mkdir", "-m", "777", "/usr/local/elsewhere"])
        .ok();
    let plant =
        "for last; do :; done; ln -s /usr/local/elsewhere \"$last\"; exec /bin/mkdir \"$@\"";
    let _sshd = tricked(&bed, &[("mkdir", plant)]);
    let output = pushed(&bed, "root", &["id"]).run();
    ended(
        &output,
        1,
        &["has no place", "/dev/shm cannot be written to"],
    );
    let found = node.command(["ls", "-A", "/usr/local/elsewhere"]).ok();
    assert_eq!(found, "");
}

#[test]
fn a_part_of_it_is_removed_whoever_ends() {
    let bed = empty_bed();
    let node = &bed.shop.node;
    // A disk that writes a part, and goes on when it is let.
    let stuck = "case \"$*\" in -1|'-n 1'|'-c 1') exec /usr/bin/head \"$@\" ;; esac\n\
        dd bs=64K count=20 iflag=fullblock 2>/dev/null\n\
        while [ -e /usr/local/tricks/stuck ]; do sleep 0.02; done; cat";
    let _sshd = tricked(&bed, &[("head", stuck)]);
    let before = quiet(&bed);
    let begun = || {
        node.write("/usr/local/tricks/stuck", "");
        let client = pushed(&bed, "root", &["id"]).spawn();
        let is_there = "[ -s \"$(echo /run/kpexec-*/cnsenter)\" ]";
        eventually("a part is there", || {
            node.command(["sh", "-c", is_there]).run().code == 0
        });
        client
    };
    let ended_by = |client: Live| {
        let output = client.wait();
        assert_ne!(left(node), "");
        node.command(["rm", "/usr/local/tricks/stuck"]).ok();
        eventually("nothing is left", || left(node).is_empty());
        output
    };
    for signal in [Signal::SIGKILL, Signal::SIGINT, Signal::SIGTERM] {
        let client = begun();
        client.signal(signal);
        let output = ended_by(client);
        assert_eq!(output.code, 128 + signal as i32, "{output}");
    }
    let client = begun();
    node.command(["pkill", "-KILL", "-f", "^sshd: root@notty"])
        .ok();
    ended(&ended_by(client), 1, &["cannot send cnsenter to"]);
    before.assert_same(node);
}

#[test]
fn what_is_changed_on_its_way_is_not_run() {
    let bed = bed();
    // One byte is another, after twenty reads: the shell's script, the file's size, and a part of it.
    let change = "#!/bin/bash\nhost=$1; shift\n\
        [ \"$*\" = 'sh -s' ] || exec ssh -T root@$host \"$@\"\n\
        { dd bs=64K count=20; dd bs=1 count=1 | tr '\\0-\\377' '\\1-\\377\\0'; cat; } 2>/dev/null |\n\
        ssh -T root@$host \"$@\"\n";
    bed.laptop.write("/usr/local/bin/change", change);
    bed.laptop
        .command(["chmod", "755", "/usr/local/bin/change"])
        .ok();
    let push = push();
    let host = bed.address.to_string();
    let by = |command: &str| {
        let words = ["--ssh-command", command, &push, "web", "--", "hostname"];
        bed.kpexec_to(&host, words).run()
    };
    let output = by("/usr/local/bin/change {node}");
    ended(&output, 1, &["did not arrive at", "is not run", "SHA-256"]);
    eventually("nothing is left", || left(&bed.shop.node).is_empty());
    let output = by("ssh -T root@{node}");
    assert_eq!(
        (output.code, output.out().as_str()),
        (0, "web\n"),
        "{output}"
    );
}

#[test]
fn who_talks_at_once_does_not_hold_up_the_removal() {
    let bed = empty_bed();
    let node = &bed.shop.node;
    let rm = "/usr/local/sbin/rm";
    node.write(rm, "#!/bin/sh\nsleep 2\nexec /usr/bin/rm \"$@\"\n");
    node.command(["chmod", "755", rm]).ok();
    // Each line is a message of its own: more of them than anybody keeps unread. And it is a word that a
    // shell passes on as it is, or the command would not begin by itself.
    let script = "#!/bin/sh\nfor i in $(seq 600); do echo $i; sleep 0.002; done\n";
    let make = "cat >/tmp/talk; chmod 755 /tmp/talk";
    let push = push();
    let words = [&push, "-i", "web", "--", "sh", "-c", make];
    bed.kpexec(words).stdin(script).ok();
    let output = pushed(&bed, "root", &["/tmp/talk"]).run();
    assert_eq!((output.code, output.err()), (0, String::new()), "{output}");
    let counted = (1..=600).map(|number| format!("{number}\n"));
    assert_eq!(output.out(), counted.collect::<String>());
    eventually("nothing is left", || left(node).is_empty());
}

#[test]
fn nothing_outlives_a_client_that_is_killed() {
    let bed = empty_bed();
    let node = &bed.shop.node;
    user(&bed, "zsh", "/usr/bin/zsh");
    let before = quiet(&bed);
    for user in ["root", "zsh"] {
        let client = lasting(&bed, user);
        drop(client);
        before.assert_same(node);
        assert_eq!(left(node), "");
    }
}

#[test]
fn many_may_push_at_once() {
    let bed = empty_bed();
    let node = &bed.shop.node;
    let before = quiet(&bed);
    let clients: Vec<_> = (0..8)
        .map(|number| {
            let script = format!("echo {number}; hostname");
            pushed(&bed, "root", &["sh", "-c", &script]).spawn()
        })
        .collect();
    for (number, client) in clients.into_iter().enumerate() {
        let output = client.wait();
        let told = format!("{number}\nweb\n");
        assert_eq!((output.code, output.out()), (0, told), "{output}");
    }
    assert_eq!(left(node), "");
    before.assert_same(node);
}
