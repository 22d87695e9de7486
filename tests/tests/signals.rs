//! Signals without a terminal: what is sent to cnsenter, and what the command does to itself.

use kpexec_tests::{Stage, eventually};
use nix::sys::signal::Signal;

const FORWARDED: [Signal; 9] = [
    Signal::SIGINT,
    Signal::SIGTERM,
    Signal::SIGHUP,
    Signal::SIGQUIT,
    Signal::SIGUSR1,
    Signal::SIGUSR2,
    Signal::SIGWINCH,
    Signal::SIGALRM,
    Signal::SIGCONT,
];

#[test]
fn they_reach_the_command() {
    let stage = Stage::new();
    let script = "trap 'echo got $0; exit 9' $0; echo ready; while :; do sleep 0.02; done";
    for signal in FORWARDED {
        let name = signal.as_str().trim_start_matches("SIG");
        let live = stage.cnsenter(&[], &["sh", "-c", script, name]).spawn();
        live.wait_for("ready");
        live.signal(signal);
        let output = live.wait();
        assert_eq!(output.out(), format!("ready\ngot {name}\n"), "{output}");
        assert_eq!(output.code, 9);
    }
}

#[test]
fn they_end_a_command_that_does_not_care() {
    let stage = Stage::new();
    for signal in [
        Signal::SIGINT,
        Signal::SIGTERM,
        Signal::SIGHUP,
        Signal::SIGQUIT,
        Signal::SIGUSR1,
        Signal::SIGALRM,
    ] {
        // Not a shell: busybox's ignores QUIT.
        let live = stage.cnsenter(&[], &["sleep", "4301"]).spawn();
        eventually("it runs", || {
            !stage.node.find(&["sleep", "4301"]).is_empty()
        });
        live.signal(signal);
        assert_eq!(live.wait().code, 128 + signal as i32);
    }
    eventually("none is left", || {
        stage.node.find(&["sleep", "4301"]).is_empty()
    });
}

#[test]
fn a_command_that_died_of_one_says_so_as_elsewhere() {
    let stage = Stage::new();
    for number in [1, 2, 6, 9, 11, 13, 14, 15, 34, 64] {
        // Not QUIT: busybox's shell ignores it.
        let script = format!("kill -{number} $$; sleep 1");
        let argv = ["sh", "-c", &script];
        let ours = stage.cnsenter(&[], &argv).run();
        assert_eq!(ours.code, 128 + number, "{ours}");
        assert_eq!(ours.err(), "");
        let runcs = stage.runtime.exec(&stage.container, &argv).run().code;
        assert_eq!(ours.code, runcs, "runc, signal {number}");
        // nsenter dies of it as well, which the shell around it reports in the same way; but it
        // knows no real-time signals and its dump of core is not wanted.
        if number < 32 {
            let nsenters = stage.nsenter(&argv).run().code;
            assert_eq!(ours.code, nsenters, "nsenter, signal {number}");
        }
    }
}

#[test]
fn a_stopped_command_stops_nobody_else() {
    let stage = Stage::new();
    let live = stage.sh(&[], "echo ready; kill -STOP $$; echo on").spawn();
    live.wait_for("ready");
    let find = ["sh", "-c", "echo ready; kill -STOP $$; echo on"];
    let inner = || *stage.node.find(&find).last().unwrap();
    eventually("it is stopped", || stage.node.state(inner()) == 'T');
    // nsenter would be stopped by now, and its shell with a "Stopped" (seen; a threat, so not ours).
    std::thread::sleep(std::time::Duration::from_millis(100));
    eventually("cnsenter waits", || live.state() == 'S');
    stage
        .node
        .command(["kill", "-CONT", &inner().to_string()])
        .ok();
    let output = live.wait();
    assert_eq!((output.out().as_str(), output.code), ("ready\non\n", 0));
}

#[test]
fn one_that_comes_to_a_stopped_command_is_not_lost() {
    let stage = Stage::new();
    let live = stage.sh(&[], "echo ready; kill -STOP $$; echo on").spawn();
    live.wait_for("ready");
    live.signal(Signal::SIGTERM);
    live.signal(Signal::SIGCONT);
    assert_eq!(live.wait().code, 143);
}

#[test]
fn a_stop_that_nobody_could_undo_is_none() {
    // Alone in a session, as under cron: SIGTSTP does nothing to an orphaned process group, and
    // must not leave a stopped command behind. With a shell around it, see jobs.rs.
    let stage = Stage::new();
    let script = "exec setsid --wait cnsenter $T -- sh -c 'echo ready; sleep 4302'";
    let live = stage.bash(script).spawn();
    live.wait_for("ready");
    eventually("it sleeps", || {
        !stage.node.find(&["sleep", "4302"]).is_empty()
    });
    let inner = stage.node.find(&["sleep", "4302"])[0];
    live.signal(Signal::SIGTSTP);
    std::thread::sleep(std::time::Duration::from_millis(50));
    eventually("both run", || {
        stage.node.state(inner) == 'S' && live.state() == 'S'
    });
    live.signal(Signal::SIGTERM);
    assert_eq!(live.wait().code, 143);
}

#[test]
fn nohup_is_honoured() {
    let stage = Stage::new();
    let before = stage.node.snapshot();
    let script = "trap '' HUP; exec cnsenter $T -- sh -c 'echo ready; sleep 4303; echo woken'";
    let live = stage.bash(script).spawn();
    live.wait_for("ready");
    eventually("it sleeps", || {
        !stage.node.find(&["sleep", "4303"]).is_empty()
    });
    let inner = stage.node.find(&["sleep", "4303"])[0];
    live.signal(Signal::SIGHUP);
    // The command ignores it as well, as under nohup on the node.
    stage
        .node
        .command(["kill", "-HUP", &inner.to_string()])
        .ok();
    std::thread::sleep(std::time::Duration::from_millis(50));
    eventually("it sleeps on", || stage.node.state(inner) == 'S');
    stage
        .node
        .command(["kill", "-TERM", &inner.to_string()])
        .ok();
    let output = live.wait();
    assert_eq!(
        (output.out().as_str(), output.code),
        ("ready\nwoken\n", 0),
        "{output}"
    );
    before.assert_same(&stage.node);
}

#[test]
fn handlers_and_mask_are_the_default_ones_inside() {
    let stage = Stage::new();
    let report = ["grep", "-E", "^Sig(Blk|Ign|Cgt)", "/proc/self/status"];
    let ours = stage.cnsenter(&[], &report).ok();
    // Whoever started the tests may have ignored some; nsenter passes that on as well.
    assert_eq!(ours, stage.nsenter(&report).ok());
    let ignored = ours.split_whitespace().nth(3).unwrap();
    let ignored = u64::from_str_radix(ignored, 16).unwrap();
    // Rust programs ignore it.
    assert_eq!(ignored & 1 << (Signal::SIGPIPE as u64 - 1), 0, "{ours}");
}

#[test]
fn a_reader_that_has_enough_ends_it() {
    let stage = Stage::new();
    for (who, script) in [
        (
            "cnsenter",
            "cnsenter $T -- yes | head -1; echo ${PIPESTATUS[0]}",
        ),
        (
            "nsenter",
            "nsenter -t $P -a yes | head -1; echo ${PIPESTATUS[0]}",
        ),
        (
            "a shell",
            "cnsenter $T -- sh -c yes | head -1; echo ${PIPESTATUS[0]}",
        ),
    ] {
        assert_eq!(stage.bash(script).ok(), "y\n141", "{who}");
    }
    eventually("no yes is left", || stage.node.find(&["yes"]).is_empty());
}

#[test]
fn one_before_the_start_cancels_or_is_delivered() {
    let stage = Stage::new();
    let before = stage.node.snapshot();
    // Blocked until it is taken over, pending from the beginning: no race, it comes before.
    for (name, number) in [("INT", 2), ("TERM", 15), ("HUP", 1)] {
        let script = "import os, signal, sys
n = int(sys.argv[1])
signal.pthread_sigmask(signal.SIG_BLOCK, [n])
os.kill(os.getpid(), n)
os.execvp('cnsenter', ['cnsenter', os.environ['T'], '--', 'sh', '-c', 'echo started; sleep 4304'])";
        let python = stage.bash(&format!("exec /usr/bin/env python3 -c \"$S\" {number}"));
        let output = python.env("S", script).run();
        assert_eq!(output.code, 128 + number, "{name}: {output}");
        assert!(!output.out().contains("started"), "{name}: {output}");
    }
    before.assert_same(&stage.node);
}

#[test]
fn one_before_the_start_that_ends_nothing_is_kept() {
    let stage = Stage::new();
    let script = "import os, signal
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1])
os.kill(os.getpid(), signal.SIGUSR1)
os.execvp('cnsenter', ['cnsenter', os.environ['T'], '--', 'sleep', '4305'])";
    // Blocked by the caller, it stays blocked for the command, to be seen there as pending.
    let python = stage
        .bash("exec /usr/bin/env python3 -c \"$S\"")
        .env("S", script);
    let live = python.spawn();
    eventually("it runs", || {
        !stage.node.find(&["sleep", "4305"]).is_empty()
    });
    let inner = stage.node.find(&["sleep", "4305"])[0];
    let pending = || {
        let status = stage.node.read(format!("/proc/{inner}/status"));
        let field = |name| status.lines().find_map(|line| line.strip_prefix(name));
        let pending = field("ShdPnd:").unwrap().trim().to_owned();
        (pending, live.state())
    };
    eventually("it is handed on", || pending().0 == "0000000000000200");
    live.signal(Signal::SIGTERM);
    assert_eq!(live.wait().code, 143);
}
