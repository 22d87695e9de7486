//! The terminal that a command gets, as a person who sits at it sees it.

use kpexec_tests::{Pty, Stage};

/// Reports what a program can know of its terminal.
const REPORT: &str = "tty; stty size; echo term=$TERM; \
    test -t 0 && test -t 1 && test -t 2 && echo all three; : </dev/tty && echo controlled";

#[test]
fn it_is_the_containers_own_and_known_before_the_start() {
    let stage = Stage::new();
    for flags in [&[][..], &["-t"], &["-it"]] {
        let command = stage.sh(flags, REPORT).env("TERM", "vt220");
        let mut terminal = command.pty();
        assert_eq!(terminal.wait(), 0);
        terminal.wait_for("controlled");
        let screen = terminal.screen();
        assert_eq!(
            screen.trim(),
            "/dev/pts/0\n24 80\nterm=vt220\nall three\ncontrolled",
            "{flags:?}"
        );
    }

    // runc makes it in the same place; its size and TERM it does not know.
    let id = stage.container.id.as_str();
    let theirs = ["runc", "exec", "-t", id, "tty"];
    let mut terminal = stage.node.command(theirs).pty();
    assert_eq!(terminal.wait(), 0);
    terminal.wait_for("/dev/pts/0");
}

#[test]
fn there_is_none_unless_asked_for() {
    let stage = Stage::new();
    for flags in [&["-T"][..], &["-i"], &["-iT"]] {
        let mut terminal = stage.cnsenter(flags, &["tty"]).pty();
        assert_eq!(terminal.wait(), 1, "{flags:?}");
        terminal.wait_for("not a tty");
        assert!(!terminal.raw().contains("pts"), "{flags:?}");
    }
    // Where the output goes elsewhere nobody wants carriage returns in it, as with nsenter.
    let script = "cnsenter $T -- sh -c 'tty; echo done' >/tmp/out; od -c /tmp/out | head -3";
    let mut terminal = stage.bash(script).pty();
    terminal.wait();
    assert!(!stage.node.read("/tmp/out").contains(['\r', '/']));
    assert!(stage.node.read("/tmp/out").ends_with("done\n"));
    // Asked for, it is one.
    let script = "cnsenter -t $T -- tty >/tmp/out";
    assert_eq!(stage.bash(script).pty().wait(), 0);
    assert_eq!(stage.node.read("/tmp/out"), "/dev/pts/0\r\n");
}

#[test]
fn without_one_to_begin_with_it_is_refused_in_words() {
    let stage = Stage::new();
    let output = stage.sh(&["-it"], "tty; cat").stdin("data").run();
    // As kubectl exec says it, which goes on as well.
    assert_eq!(
        output.err(),
        "Unable to use a TTY - input is not a terminal or the right kind of file\n"
    );
    assert_eq!(output.out(), "not a tty\ndata");
}

#[test]
fn a_resize_is_followed() {
    let stage = Stage::new();
    let mut terminal = stage
        .sh(&[], "trap 'stty size' WINCH; while :; do sleep 0.05; done")
        .pty();
    terminal.resize(50, 132);
    // The first may come before the trap is set: a person's window sends many.
    let mut columns = 132;
    terminal.wait_until(|screen| screen.is_empty() || !screen.is_empty());
    while !terminal.raw().contains(&format!("50 {columns}")) {
        columns = if columns == 132 { 131 } else { 132 };
        terminal.resize(50, columns);
        std::thread::sleep(std::time::Duration::from_millis(100));
    }
    terminal.write("\x03");
    assert_eq!(terminal.wait(), 130);
}

/// An interactive shell of busybox in the container.
fn shell(stage: &Stage) -> Pty {
    let mut terminal = stage.cnsenter(&["-e", "PS1=in> "], &["sh"]).pty();
    terminal.wait_for("in> ");
    terminal.write("echo hel''lo\r");
    // What was typed is echoed, once.
    terminal.wait_until(|screen| screen.contains("in> echo hel''lo\nhello\n"));
    terminal
}

#[test]
fn ctrl_c_is_for_the_command_inside() {
    let stage = Stage::new();
    let mut terminal = shell(&stage);
    terminal.write("sleep 4001\r");
    kpexec_tests::eventually("the sleep began", || sleeps(&stage, "4001") == 1);
    terminal.write("\x03");
    kpexec_tests::eventually("the sleep ended", || sleeps(&stage, "4001") == 0);
    terminal.write("echo code=$?; exit 3\r");
    terminal.wait_for("code=130");
    assert_eq!(terminal.wait(), 3);
}

#[test]
fn ctrl_z_is_for_the_shell_inside() {
    let stage = Stage::new();
    let mut terminal = shell(&stage);
    terminal.write("sleep 4002\r");
    kpexec_tests::eventually("the sleep began", || sleeps(&stage, "4002") == 1);
    let pid = stage.node.find(&["sleep", "4002"])[0];
    terminal.write("\x1a");
    terminal.wait_for("Stopped");
    assert_eq!(stage.node.state(pid), 'T');
    // It has written the last of it to the terminal a moment ago, and may still be running.
    kpexec_tests::eventually("cnsenter waits, not stopped itself", || {
        terminal.live().state() == 'S'
    });
    terminal.write("fg\r");
    kpexec_tests::eventually("the sleep goes on", || stage.node.state(pid) == 'S');
    terminal.write("\x03");
    kpexec_tests::eventually("the sleep ended", || stage.node.state(pid) == 'X');
    // Ctrl-D ends the shell, with the code of its last command.
    terminal.write("false\r\x04");
    assert_eq!(terminal.wait(), 1);
}

#[test]
fn ctrl_d_is_the_end_of_input() {
    let stage = Stage::new();
    let mut terminal = stage.cnsenter(&[], &["cat"]).pty();
    terminal.write("line\r");
    terminal.wait_until(|screen| screen.contains("line\nline"));
    terminal.write("\x04");
    assert_eq!(terminal.wait(), 0);
}

#[test]
fn programs_that_draw_do() {
    let stage = Stage::new();
    let mut terminal = stage.cnsenter(&["-w", "/tmp"], &["vi", "/tmp/file"]).pty();
    terminal.wait_until(|screen| screen.lines().filter(|line| *line == "~").count() > 20);
    let before = terminal.termios();
    terminal.write("ihello\rworld\x1b");
    terminal.wait_until(|screen| screen.starts_with("hello\nworld\n~"));
    terminal.resize(10, 40);
    terminal.write(":wq\r");
    assert_eq!(terminal.wait(), 0);
    assert_ne!(before.local_modes, terminal.termios().local_modes);
    assert_eq!(stage.sh(&[], "cat /tmp/file").ok(), "hello\nworld");

    let mut terminal = stage.cnsenter(&[], &["top", "-d", "1"]).pty();
    terminal.wait_until(|screen| screen.contains("Mem:") && screen.contains("sleep 1000000"));
    terminal.write("q");
    assert_eq!(terminal.wait(), 0);
}

#[test]
fn it_carries_all_bytes_of_a_long_output() {
    let stage = Stage::new();
    let mut terminal = stage.sh(&[], "stty raw; seq 1 200000; echo last").pty();
    assert_eq!(terminal.wait(), 0);
    let raw = terminal.wait_for("last\n");
    let wanted: String = (1..=200_000).map(|n| format!("{n}\n")).collect();
    assert!(raw == wanted + "last\n", "{} bytes came", raw.len());
}

fn sleeps(stage: &Stage, seconds: &str) -> usize {
    stage.node.find(&["sleep", seconds]).len()
}
