//! The operator's terminal is left as it was found, whatever happens.

use kpexec_tests::{Pty, Stage, eventually};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use rustix::termios::Termios;

fn modes(terminal: &Pty) -> String {
    let Termios {
        input_modes,
        output_modes,
        control_modes,
        local_modes,
        special_codes,
        ..
    } = terminal.termios();
    format!("{input_modes:?} {output_modes:?} {control_modes:?} {local_modes:?} {special_codes:?}")
}

/// A terminal that is not quite as a new one.
fn terminal(stage: &Stage, script: &str) -> Pty {
    stage
        .bash(&format!("stty -ixon intr ^G; echo set; read; {script}"))
        .pty()
}

/// What is done to a terminal and to the cnsenter on it, given its process ID on the host.
type Act<'a> = &'a dyn Fn(&mut Pty, i32);

/// Runs `script` on a terminal, `act`s once it is raw (or not at all), and compares.
fn restored(stage: &Stage, script: &str, code: i32, act: Option<Act<'_>>) {
    let mut terminal = terminal(stage, &format!("exec cnsenter {script}"));
    terminal.wait_for("set\r\n");
    let before = modes(&terminal);
    terminal.write("\r");
    if let Some(act) = act {
        eventually("the terminal is raw", || terminal.is_raw());
        let pid = terminal.live().pid().try_into().unwrap();
        act(&mut terminal, pid);
    }
    assert_eq!(terminal.wait(), code, "{script}: {}", terminal.screen());
    eventually("the modes are as before", || modes(&terminal) == before);
}

fn send(signal: Signal) -> impl Fn(&mut Pty, i32) {
    move |_, pid| kill(Pid::from_raw(pid), signal).unwrap()
}

#[test]
fn after_its_own_end() {
    let stage = Stage::new();
    restored(
        &stage,
        "$T -- sh -c 'read a; exit 3'",
        3,
        Some(&|terminal, _| terminal.write("\r")),
    );
    restored(&stage, "$T -- sh -c 'stty raw; exit 4'", 4, None);
    restored(&stage, "$T -- no-such-command", 127, None);
    restored(&stage, "$T -- /etc", 126, None);
    restored(&stage, "pid:999999 -- true", 125, None);
    restored(&stage, "-w /nowhere $T -- true", 125, None);
    restored(&stage, "--timeout 300ms $T -- sleep 4101", 124, None);
}

#[test]
fn after_a_kill_of_the_command() {
    let stage = Stage::new();
    let kill_it = |_: &mut Pty, _| {
        eventually("the command runs", || {
            stage
                .node
                .command(["pkill", "-KILL", "-f", "^sleep 4102"])
                .run()
                .code
                == 0
        });
    };
    restored(&stage, "$T -- sleep 4102", 137, Some(&kill_it));
}

#[test]
fn after_a_signal_to_cnsenter() {
    let stage = Stage::new();
    // TERM is the command's to obey, and no terminal means no session.
    restored(
        &stage,
        "$T -- sleep 4103",
        143,
        Some(&send(Signal::SIGTERM)),
    );
    restored(&stage, "$T -- sleep 4103", 129, Some(&send(Signal::SIGHUP)));
    restored(&stage, "$T -- sleep 4103", 130, Some(&send(Signal::SIGINT)));
    restored(
        &stage,
        "$T -- sleep 4103",
        137,
        Some(&send(Signal::SIGKILL)),
    );
    eventually("nothing runs", || {
        stage.node.find(&["sleep", "4103"]).is_empty()
    });
}

/// The guard that puts it back took the place of one that was killed.
#[test]
fn after_a_kill_of_the_guard_and_then_of_cnsenter() {
    let stage = Stage::new();
    let act = |_: &mut Pty, pid| {
        stage.replace_guard();
        kill(Pid::from_raw(pid), Signal::SIGKILL).unwrap();
    };
    restored(&stage, "$T -- sleep 4106", 137, Some(&act));
    eventually("nothing runs", || {
        stage.node.find(&["sleep", "4106"]).is_empty()
    });
}

#[test]
fn after_the_container_is_gone() {
    let stage = Stage::new();
    let stop = |_: &mut Pty, _| {
        eventually("it runs", || {
            !stage.node.find(&["sleep", "4104"]).is_empty()
        });
        stage.runtime.stop(&stage.container);
    };
    // The kernel kills all of a PID namespace with its init.
    restored(&stage, "$T -- sleep 4104", 137, Some(&stop));
}

#[test]
fn a_screen_of_tmux_that_is_closed_takes_everything_along() {
    let stage = Stage::new();
    let before = stage.node.snapshot();
    let script = "tmux -f /dev/null new-session -d -x 100 -y 30 \
        \"cnsenter $T -- sh -c 'stty size; (setsid sleep 4105 &); setsid sleep 4106 & sleep 4107'\"";
    stage.bash(script).ok();
    let running = || ["4105", "4106", "4107"].map(|n| stage.node.find(&["sleep", n]).len());
    eventually("all run", || running() == [1; 3]);
    let show = || stage.bash("tmux capture-pane -p").ok();
    eventually("it knows its size", || show().contains("30 100"));
    stage.bash("tmux kill-server").ok();
    eventually("none runs", || running() == [0; 3]);
    before.assert_same(&stage.node);
}

#[test]
fn tmux_shows_what_a_shell_inside_does() {
    let stage = Stage::new();
    let script =
        "tmux -f /dev/null new-session -d -x 100 -y 30 \"cnsenter -e 'PS1=in> ' $T -- sh\"";
    stage.bash(script).ok();
    let show = || stage.bash("tmux capture-pane -p").ok();
    let keys = |keys: &str| stage.bash(&format!("tmux send-keys {keys}")).ok();
    eventually("the prompt", || show().contains("in>"));
    keys("'sleep 4108' Enter");
    eventually("it sleeps", || {
        !stage.node.find(&["sleep", "4108"]).is_empty()
    });
    keys("C-c");
    keys("'echo code $?; stty size' Enter");
    eventually("its code", || show().contains("code 130\n30 100"));
    stage.bash("tmux resize-window -x 77 -y 20").ok();
    eventually("its size", || {
        keys("'stty size' Enter");
        show().contains("20 77")
    });
    keys("C-d");
    eventually("the session ended", || {
        stage.bash("tmux ls").run().code == 1
    });
}
