//! `kpexec --node` and `--ssh`: the same command, terminal, signals and exit codes by SSH, whatever the
//! node's login shell is.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use kpexec_tests::ssh::Sshd;
use kpexec_tests::{Cmd, SshBed, eventually};
use nix::sys::signal::Signal;

fn bed() -> &'static SshBed {
    static BED: OnceLock<SshBed> = OnceLock::new();
    BED.get_or_init(|| {
        let bed = SshBed::new();
        for shell in SHELLS {
            bed.user(shell, &format!("/usr/bin/{shell}"));
            bed.may_sudo(shell);
        }
        bed
    })
}

/// Each of them is a user's login shell and, here, the user's name.
const SHELLS: [&str; 5] = ["sh", "bash", "dash", "zsh", "fish"];

fn sh(script: &str) -> Cmd {
    bed().kpexec(["web", "--", "sh", "-c", script])
}

/// How many of the node's processes sleep for so long.
fn sleepers(time: &str) -> usize {
    bed().shop.node.find(&["sleep", time]).len()
}

#[test]
fn a_command_runs_in_a_pod_that_is_named() {
    let output = sh("hostname; id -u; echo err >&2; exit 3").run();
    assert_eq!(
        (output.code, output.out().as_str()),
        (3, "web\n0\n"),
        "{output}"
    );
    assert_eq!(output.err(), "err\ncommand terminated with exit code 3\n");
    let named = bed().kpexec(["-c", "app", "web", "--", "hostname"]).ok();
    assert_eq!(named, "web");
}

#[test]
fn exit_codes_are_the_commands_own() {
    for (words, code) in [
        (&["true"][..], 0),
        (&["sh", "-c", "exit 255"], 255),
        (&["sh", "-c", "kill -TERM $$"], 143),
        (&["/nonexistent"], 127),
        (&["/etc/passwd"], 126),
    ] {
        let output = bed().kpexec(["web", "--"].iter().chain(words)).run();
        assert_eq!(output.code, code, "{words:?}: {output}");
    }
    let late = bed().kpexec(["--timeout=100ms", "web", "--", "sleep", "100"]);
    assert_eq!(late.run().code, 124);
    for (words, told) in [
        (&["nobody", "--", "id"][..], "nobody"),
        (&["-c", "other", "web", "--", "id"], "other"),
    ] {
        let output = bed().kpexec(words).run();
        assert_eq!(output.code, 125, "{output}");
        assert!(output.err().contains(told), "{output}");
    }
    let deploy = bed().kpexec(["deploy/web", "--", "id"]).run();
    assert_eq!(deploy.code, 1);
    assert!(
        deploy.err().contains("the API server is not asked"),
        "{deploy}"
    );
}

/// Every byte but NUL, as an argument and in a variable, through sudo and every login shell.
#[test]
fn words_arrive_whatever_the_login_shell_is() {
    let bytes: Vec<u8> = (1..=255).collect();
    let script = "printf '%s|' \"$@\" \"$V\"";
    let tricky = [
        "=ls", "%1", "~", "$HOME", "`id`", "a b", "", "'", "\\", "!x", "*", "--",
    ];
    for shell in SHELLS {
        let fixed = [
            "-e",
            "V=secret !\\ '",
            "web",
            "--",
            "sh",
            "-c",
            script,
            "sh",
        ];
        let words = fixed.iter().chain(&tricky).map(OsString::from);
        let words = words.chain([OsString::from_vec(bytes.clone())]);
        let output = bed().kpexec_as(shell, words).run();
        let mut wanted: Vec<u8> = tricky.join("|").into_bytes();
        wanted.push(b'|');
        wanted.extend(&bytes);
        wanted.extend(b"|secret !\\ '|");
        assert!(output.stdout == wanted, "{shell}: {output}");
        let plain = bed().kpexec_as(shell, ["web", "--", "echo", "a=b:c,d", "%", "x@y"]);
        assert_eq!(plain.ok(), "a=b:c,d % x@y");
    }
}

#[test]
fn however_many_words_there_are_they_arrive() {
    // Those that are shown fill their room to the last byte.
    for count in [496, 497, 498, 20_000] {
        let fixed = ["web", "--", "sh", "-c", "echo $#; echo 'a bc'", "sh"];
        let words = fixed.into_iter().chain(std::iter::repeat_n("a", count));
        assert_eq!(bed().kpexec(words).ok(), format!("{count}\na bc"));
    }
}

#[test]
fn login_scripts_may_say_what_they_like() {
    let node = &bed().shop.node;
    for (shell, file) in [
        ("bash", ".bashrc"),
        ("zsh", ".zshenv"),
        ("fish", ".config/fish/config.fish"),
    ] {
        let file = format!("/home/{shell}/{file}");
        node.write(&file, "echo Welcome to this node\necho and more >&2\n");
        let output = bed().kpexec_as(shell, ["-i", "web", "--", "cat"]);
        let output = output.stdin("input").run();
        assert_eq!(
            (output.code, output.out().as_str()),
            (0, "input"),
            "{output}"
        );
        assert_eq!(output.err(), "and more\n", "{shell}");
        node.command(["rm", &file]).ok();
    }
}

#[test]
fn much_goes_both_ways() {
    let data: Vec<u8> = (0_u32..8 << 20).flat_map(u32::to_le_bytes).collect();
    let echo = bed().kpexec(["-i", "web", "--", "cat"]).stdin(data.clone());
    let echo = echo.run();
    assert_eq!(echo.code, 0, "{}", echo.err());
    assert!(echo.stdout == data, "{} bytes came back", echo.stdout.len());
    // What kubectl exec prints 196608 for.
    let count = ["-i", "web", "--", "sh", "-c", "exec wc -c 2>/dev/null"];
    let count = bed().kpexec(count).stdin(data.clone()).ok();
    assert_eq!(count, data.len().to_string());
    let little = bed()
        .kpexec(["-i", "web", "--", "head", "-c", "3"])
        .stdin(data);
    assert_eq!(little.run().stdout, [0, 0, 0]);
}

/// As in the middle of every gigabyte, but sooner.
/// Whoever shares our streams may have made them ones that do not wait.
#[test]
fn streams_that_do_not_wait_are_waited_for() {
    let address = bed().address.to_string();
    let program = kpexec_tests::cache::kpexec().display().to_string();
    let with = |script: &str, name: &str, inner: &str| {
        let mode = format!("perl -MFcntl -e 'fcntl({name}, F_SETFL, O_NONBLOCK) or die'");
        let run = format!("{{ {mode}; exec \"$0\" -n shop --node root@$1 {inner}; }}");
        let line = script.replace("KPEXEC", &run);
        bed()
            .laptop
            .command(["sh", "-c", &line, &program, &address])
            .ok()
    };
    let typed = "{ sleep 1; echo one; sleep 1; echo two; } | KPEXEC";
    assert_eq!(with(typed, "STDIN", "-i web -- cat"), "one\ntwo");
    let read = "KPEXEC | { sleep 1; wc -l; }";
    assert_eq!(with(read, "STDOUT", "web -- seq 1 300000"), "300000");
    let errors = "{ KPEXEC; } 2>&1 >/dev/null | { sleep 1; wc -l; }";
    let inner = "web -- sh -c 'seq 1 300000 >&2'";
    assert_eq!(with(errors, "STDERR", inner), "300000");
}

#[test]
fn the_connections_keys_are_changed_meanwhile() {
    let bed = SshBed::new();
    bed.sshd.daemon.kill();
    let _sshd = Sshd::with(&bed.shop.node, "RekeyLimit 2M\n");
    let data: Vec<u8> = (0_u32..4 << 20).flat_map(u32::to_le_bytes).collect();
    let echo = bed.kpexec(["-i", "web", "--", "cat"]).stdin(data.clone());
    let echo = echo.run();
    assert_eq!(echo.code, 0, "{}", echo.err());
    assert!(echo.stdout == data, "{} bytes came back", echo.stdout.len());
}

#[test]
fn a_terminal_is_the_users_own() {
    let mut pty = bed().kpexec_as("fish", ["-it", "web", "--", "sh"]).pty();
    pty.write("stty size; echo te''rm $TERM; tty\r");
    pty.wait_for("24 80");
    pty.wait_for("term xterm");
    pty.wait_for("/dev/pts/");
    assert!(pty.is_raw());
    pty.resize(40, 100);
    pty.write("while [ \"$(stty size)\" != '40 100' ]; do :; done; echo re''sized\r");
    pty.wait_for("resized");
    pty.write("sh -c 'echo st\"\"arted; exec sleep 1000'\r");
    pty.wait_for("started");
    pty.write("\x03");
    pty.write("echo en''ded $?\r");
    pty.wait_for("ended 130");
    pty.write("exit 5\r");
    assert_eq!(pty.wait(), 5);
    assert!(!pty.is_raw());
}

#[test]
fn signals_are_the_commands() {
    let client = sh("trap 'echo got it; exit 9' USR1; echo ready; while :; do sleep 0.01; done");
    let client = client.spawn();
    client.wait_for("ready\n");
    client.signal(Signal::SIGUSR1);
    let output = client.wait();
    assert_eq!((output.code, output.out().as_str()), (9, "ready\ngot it\n"));
}

#[test]
fn nothing_outlives_a_client_that_is_killed() {
    for (user, time) in [("root", "51001"), ("zsh", "51002")] {
        let script = format!("setsid sleep {time} & sleep {time}; true");
        let client = bed()
            .kpexec_as(user, ["web", "--", "sh", "-c", &script])
            .spawn();
        eventually("the command runs", || sleepers(time) == 2);
        drop(client);
        eventually("nothing of it runs", || sleepers(time) == 0);
    }
}

#[test]
fn a_connection_that_is_cut_is_told_of() {
    let time = "51003";
    // A bed of its own: its network is cut.
    let bed = SshBed::new();
    let count = || bed.shop.node.find(&["sleep", time]).len();
    let script = format!("echo before; setsid sleep {time} & sleep {time}; true");
    let words = ["--lease=3s", "web", "--", "sh", "-c", &script];
    let client = bed.kpexec(words).spawn();
    client.wait_for("before\n");
    eventually("the command runs", || count() == 2);
    bed.network.cut(bed.address);
    let output = client.wait();
    assert_eq!(output.code, 255, "{output}");
    let node = format!("node {}", bed.address);
    for told in [node.as_str(), "was lost: it was silent for 3s", "is ended"] {
        assert!(output.err().contains(told), "no {told:?}: {output}");
    }
    eventually("nothing of it runs", || count() == 0);

    // Nobody is there: that is told soon.
    let gone = bed.kpexec(["web", "--", "id"]);
    let gone = gone.deadline(Duration::from_secs(20)).run();
    assert_eq!(gone.code, 1, "{gone}");
    assert!(gone.err().contains(&bed.address.to_string()), "{gone}");
    bed.network.mend(bed.address);

    // sshd's process for this connection is killed.
    let client = bed.kpexec(words).spawn();
    client.wait_for("before\n");
    let kill = ["pkill", "-KILL", "-f", "^sshd: root@notty"];
    bed.shop.node.command(kill).ok();
    let output = client.wait();
    assert_eq!(output.code, 255, "{output}");
    assert!(output.err().contains("was lost: "), "{output}");
    eventually("nothing of it runs", || count() == 0);
}

/// Whoever types on a dead line is told so, and need not wait for the lease; what is typed on one that
/// comes back goes where it was to go.
#[test]
fn a_terminal_on_a_dead_line_can_be_left() {
    let time = "51004";
    let bed = SshBed::new();
    let count = || bed.shop.node.find(&["sleep", time]).len();
    let words = ["-it", "--lease=20s", "web", "--", "sh"];
    let mut pty = bed.kpexec(words).pty();
    pty.wait_for("# ");
    // No key of ours as long as all is well.
    pty.write("~.\recho $((7*6))\r");
    pty.wait_for("~.: not found");
    pty.wait_for("\r\n42\r\n");
    bed.network.cut(bed.address);
    pty.write("echo $((6*9))\r");
    pty.wait_for(
        "has not answered for 5s; ~. gives the connection up, else that is done after 20s",
    );
    bed.network.mend(bed.address);
    pty.wait_for("answers again");
    pty.wait_for("\r\n54\r\n");

    pty.write(format!("clear; sleep {time}\r"));
    eventually("the command runs", || count() == 1);
    bed.network.cut(bed.address);
    pty.write("x");
    pty.wait_until(|screen| screen.contains("; ~. gives"));
    let begun = Instant::now();
    pty.write("~");
    pty.write(".");
    pty.wait_for("was lost: it was given up after ");
    assert_eq!(pty.wait(), 255);
    let lasted = begun.elapsed();
    assert!(
        lasted < Duration::from_secs(10),
        "as long as the lease: {lasted:?}"
    );
    assert!(!pty.is_raw());
    // Nobody tells the node: the lease ends the command there.
    eventually("nothing of it runs", || count() == 0);
}
