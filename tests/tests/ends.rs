//! What survives the end of the command, and that nothing survives ours.

use std::time::Duration;

use kpexec_tests::{Kind, Stage, eventually};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// What a hostile or careless command starts: children in its session and out of it, daemons that
/// forked twice, some that ignore whatever can be ignored.
const BROOD: &str = "sleep 4501 & setsid sleep 4502 & (setsid sleep 4503 &) & \
    (trap '' HUP INT TERM QUIT; (setsid sh -c 'sleep 4504 & sleep 4505' &) &); ";

const ALL: [&str; 5] = ["4501", "4502", "4503", "4504", "4505"];

fn brood(stage: &Stage) -> Vec<u32> {
    let find = |seconds: &&str| stage.node.find(&["sleep", seconds]);
    ALL.iter().flat_map(find).collect()
}

fn kill_brood(stage: &Stage) {
    stage
        .node
        .command(["pkill", "-KILL", "-f", "^sleep 450"])
        .ok();
}

#[test]
fn a_background_child_delays_nothing_and_lives_on() {
    let stage = Stage::new();
    let before = stage.node.snapshot();
    let script = format!("{BROOD} echo told; exit 3");
    for flags in [&[][..], &["-i"], &["--cgroup=target"]] {
        // All of them hold stdout open; ssh would wait for them.
        let output = stage.sh(flags, &script).run();
        assert_eq!(
            (output.out().as_str(), output.code),
            ("told\n", 3),
            "{output}"
        );
        eventually("all live", || brood(&stage).len() == ALL.len());
        // In no group of ours: it would be in nobody's charge.
        for pid in brood(&stage) {
            let groups = stage.node.read(format!("/proc/{pid}/cgroup"));
            assert!(!groups.contains("cnsenter"), "{groups}");
        }
        kill_brood(&stage);
        before.assert_same(&stage.node);
    }
    // A terminal's end is the hang-up of those who still have it and care.
    let script = format!("{BROOD} read line; echo told; exit 3");
    let mut terminal = stage.sh(&["-t"], &script).pty();
    eventually("all live", || brood(&stage).len() == ALL.len());
    terminal.write("\r");
    assert_eq!(terminal.wait(), 3);
    terminal.wait_for("told");
    assert_eq!(brood(&stage).len(), ALL.len() - 1);
    assert!(stage.node.find(&["sleep", "4501"]).is_empty());
    kill_brood(&stage);
    drop(terminal);
    before.assert_same(&stage.node);
}

#[test]
fn kill_on_exit_ends_them() {
    let stage = Stage::new();
    let before = stage.node.snapshot();
    let script = format!("{BROOD} echo told; exit 3");
    for flags in [&[][..], &["-i"], &["--cgroup=target"]] {
        let flags: Vec<_> = flags.iter().chain(&["--kill-on-exit"]).copied().collect();
        let output = stage.sh(&flags, &script).run();
        assert_eq!((output.out().as_str(), output.code), ("told\n", 3));
        before.assert_same(&stage.node);
    }
    let mut terminal = stage.sh(&["-t", "--kill-on-exit"], &script).pty();
    assert_eq!(terminal.wait(), 3);
    drop(terminal);
    before.assert_same(&stage.node);
}

/// Not a moment later, and although they multiply while they are killed.
#[test]
fn kill_on_exit_outruns_those_that_fork() {
    let stage = Stage::new();
    let before = stage.node.snapshot();
    let forks = "n=0; while [ $((n += 1)) -lt 100 ]; do sleep 4501 & done; wait";
    // Nobody waits for their output.
    let script = format!(
        "exec >/dev/null 2>&1; for each in 1 2 3 4; do ({forks}) & done; sleep 0.02; exit 3"
    );
    for flags in WAYS {
        let flags: Vec<_> = flags.iter().chain(&["--kill-on-exit"]).copied().collect();
        for _ in 0..20 {
            let output = stage.sh(&flags, &script).run();
            let left = brood(&stage);
            assert_eq!((output.code, left), (3, Vec::new()), "{output}");
        }
    }
    before.assert_same(&stage.node);
}

/// Starts the brood under cnsenter, then does `act` to it; nothing may be left.
fn nothing_survives(stage: &Stage, flags: &[&str], act: &dyn Fn(u32)) {
    let before = stage.node.snapshot();
    let script = format!("{BROOD} trap '' HUP; echo ready; sleep 4501");
    let live = stage.sh(flags, &script).spawn();
    live.wait_for("ready");
    eventually("all live", || brood(stage).len() == ALL.len() + 1);
    act(live.pid());
    // Dropped, it is not waited for: its output could still be held open.
    drop(live);
    before.assert_same(&stage.node);
}

fn send(pid: u32, signal: Signal) {
    kill(Pid::from_raw(pid.try_into().unwrap()), signal).unwrap();
}

const WAYS: [&[&str]; 4] = [&[], &["-i"], &["--cgroup=own"], &["--cgroup=target"]];

#[test]
fn nothing_survives_a_kill() {
    let stage = Stage::new();
    for flags in WAYS {
        nothing_survives(&stage, flags, &|pid| send(pid, Signal::SIGKILL));
    }
}

#[test]
fn nothing_survives_a_kill_while_it_is_paused() {
    let stage = Stage::new();
    for flags in WAYS {
        nothing_survives(&stage, flags, &|pid| {
            stage.runtime.pause(&stage.container);
            send(pid, Signal::SIGKILL);
            // Before anything is thawed.
            eventually("all are gone", || brood(&stage).is_empty());
            stage.runtime.unpause(&stage.container);
        });
    }
}

#[test]
fn nothing_survives_a_kill_of_a_terminals_session() {
    let stage = Stage::new();
    for flags in [&["-t"][..], &["-t", "--cgroup=target"]] {
        let before = stage.node.snapshot();
        let script = format!("{BROOD} trap '' HUP; echo ready; sleep 4501");
        let terminal = stage.sh(flags, &script).pty();
        terminal.wait_for("ready");
        eventually("all live", || brood(&stage).len() == ALL.len() + 1);
        send(terminal.live().pid(), Signal::SIGKILL);
        drop(terminal);
        before.assert_same(&stage.node);
    }
}

#[test]
fn the_command_itself_does_not_survive_without_the_guard() {
    let stage = Stage::new();
    let before = stage.node.snapshot();
    let live = stage.sh(&[], "echo ready; exec sleep 4506").spawn();
    live.wait_for("ready");
    // Stopped, it cannot post another one.
    live.signal(Signal::SIGSTOP);
    stage
        .node
        .command(["pkill", "-KILL", "-x", "cnsenter-guard"])
        .ok();
    live.signal(Signal::SIGKILL);
    eventually("it is gone", || {
        stage.node.find(&["sleep", "4506"]).is_empty()
    });
    drop(live);
    // The guard would have removed the group; killed by hand, it leaves an empty one behind.
    stage
        .bash("rmdir /sys/fs/cgroup/*/system/cnsenter-* /sys/fs/cgroup/*/cnsenter-*")
        .run();
    before.assert_same(&stage.node);
}

/// Somebody, or the kernel for want of memory, kills the guard, and later cnsenter.
#[test]
fn nothing_survives_when_the_guard_is_killed_first() {
    let stage = Stage::new();
    for flags in WAYS {
        nothing_survives(&stage, flags, &|pid| {
            stage.replace_guard();
            stage.replace_guard();
            send(pid, Signal::SIGKILL);
        });
    }
}

#[test]
fn a_session_goes_on_without_its_guard() {
    let stage = Stage::new();
    let before = stage.node.snapshot();
    let mut live = stage.sh(&["-i"], "echo ready; cat; exit 6").spawn();
    live.wait_for("ready");
    stage
        .node
        .command(["pkill", "-KILL", "-x", "cnsenter-guard"])
        .ok();
    live.write("still here");
    live.wait_for("still here");
    let output = live.wait();
    assert_eq!(output.code, 6, "{output}");
    before.assert_same(&stage.node);
}

/// A container in the node's PID namespace can stop whatever belongs to uid 0.
#[test]
fn a_stopped_guard_delays_no_end() {
    let stage = Stage::new();
    let before = stage.node.snapshot();
    let live = stage.sh(&["-i"], "echo ready; cat; exit 6").spawn();
    live.wait_for("ready");
    stage
        .node
        .command(["pkill", "-STOP", "-x", "cnsenter-guard"])
        .ok();
    assert_eq!(live.wait().code, 6);
    before.assert_same(&stage.node);
}

/// Ends cnsenter by each signal at `count` moments, the first of them before it can do anything.
fn at_random_moments(flags: &[&str], count: u32) {
    let stage = Stage::new();
    let before = stage.node.snapshot();
    // A plain generator, for the moments to be the same ones each time.
    let mut seed = 0x2545_F491_u32;
    for round in 0..count {
        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let spread = if round % 4 == 3 { 40_000 } else { 8_000 };
        let delay = Duration::from_micros(u64::from((seed >> 8) % spread));
        let signal = [Signal::SIGKILL, Signal::SIGTERM, Signal::SIGINT][round as usize % 3];
        let live = stage
            .sh(flags, "setsid sleep 4507 & (sleep 4508 &); exec sleep 4509")
            .spawn();
        let pid = live.pid();
        std::thread::sleep(delay);
        // What TERM and INT leave of them is what any end of the command leaves.
        let _ = kill(Pid::from_raw(pid.try_into().unwrap()), signal);
        if signal != Signal::SIGKILL {
            let mut live = live;
            let code = live.wait_exit();
            assert_eq!(
                code,
                128 + signal as i32,
                "{:?} after {delay:?}",
                live.so_far()
            );
            let _ = stage
                .node
                .command(["pkill", "-KILL", "-f", "^sleep 450[78]"])
                .run();
        } else {
            drop(live);
        }
        if round % 10 == 9 {
            before.assert_same(&stage.node);
        }
    }
    before.assert_same(&stage.node);
}

#[test]
fn nothing_survives_an_end_at_any_moment() {
    at_random_moments(&[], 120);
}

/// timeout(1) and shells kill whole process groups.
#[test]
fn nothing_survives_an_end_of_the_whole_process_group() {
    let stage = Stage::new();
    let before = stage.node.snapshot();
    let brood = "setsid sleep 4510 & setsid sh -c 'sleep 4511 & sleep 4512' & sleep 4513";
    for round in 0..250 {
        let seconds = format!("0.{:04}", 20 + round * 7 % 50 * 4);
        let killed = ["timeout", "-s", "KILL", &seconds, "cnsenter"];
        let target = stage.target();
        let words = killed
            .into_iter()
            .chain([&*target, "--", "sh", "-c", brood]);
        stage.node.command(words).run();
        if round % 10 == 9 {
            before.assert_same(&stage.node);
        }
    }
}

#[test]
fn nothing_survives_it_in_the_containers_groups() {
    at_random_moments(&["--cgroup=target"], 60);
}

#[test]
fn a_container_that_ends_ends_the_session() {
    for kind in [Kind::Runc11, Kind::Containerd16] {
        let stage = Stage::of(kind, &Stage::spec());
        let mut live = stage.sh(&["-i"], "echo ready; cat").spawn();
        live.wait_for("ready");
        stage.runtime.stop(&stage.container);
        // Not before its stdin ends: then the command would end by itself.
        live.wait_exit();
        let output = live.wait();
        // The kernel kills all of a PID namespace with its init: as under nsenter and runc exec.
        assert_eq!(
            (output.out().as_str(), output.code),
            ("ready\n", 137),
            "{output}"
        );
        let told = "cnsenter: the command was killed, for its container ended\n";
        assert_eq!(output.err(), told);
        stage.runtime.remove(&stage.container);
        let output = stage.cnsenter(&[], &["true"]).run();
        assert_eq!(output.code, 125, "{output}");
    }
}

#[test]
fn a_container_that_is_removed_takes_the_groups_along() {
    let stage = Stage::of(Kind::Containerd16, &Stage::spec());
    let other = stage
        .runtime
        .run(&kpexec_tests::ContainerSpec::sleeper("other"));
    stage.runtime.remove(&other);
    let before = stage.node.snapshot();
    for flag in ["--cgroup=own", "--cgroup=target"] {
        let other = stage
            .runtime
            .run(&kpexec_tests::ContainerSpec::sleeper("other"));
        let words = ["-i", flag, &other.id, "--", "sh", "-c", "echo ready; cat"];
        let live = stage.node.cnsenter(words).spawn();
        live.wait_for("ready");
        stage.runtime.remove(&other);
        assert_eq!(live.wait().code, 137);
        before.assert_same(&stage.node);
    }
}

#[test]
fn a_daemon_that_dies_is_no_concern_of_a_session() {
    let stage = Stage::of(Kind::Containerd16, &Stage::spec());
    let id = stage.container.id.as_str();
    let words = ["-i", id, "--", "sh", "-c", "echo ready; cat; exit 7"];
    let mut live = stage.node.cnsenter(words).spawn();
    live.wait_for("ready");
    stage.runtime.daemon().unwrap().kill();
    live.write("still here");
    live.wait_for("still here");
    let output = live.wait();
    assert_eq!((output.code, output.err().as_str()), (7, ""));
    assert_eq!(
        stage.node.cnsenter([id, "--", "echo", "found"]).ok(),
        "found"
    );
}
