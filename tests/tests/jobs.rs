//! Job control: cnsenter as a job of an interactive Bash.

use kpexec_tests::{Pty, Stage, eventually};

/// Bash on a terminal of the node.
fn shell(stage: &Stage) -> Pty {
    let terminal = stage.shell().pty();
    terminal.wait_for("node> ");
    terminal
}

/// Waits for Bash's prompt to come for the `count`th time. What is typed ahead of it may be taken
/// by the program that is about to end, as by ssh.
fn prompt(terminal: &Pty, count: usize) {
    eventually("the prompt", || {
        terminal.raw().matches("node> ").count() >= count
    });
}

fn pid(stage: &Stage, seconds: &str) -> u32 {
    eventually("it runs", || {
        !stage.node.find(&["sleep", seconds]).is_empty()
    });
    stage.node.find(&["sleep", seconds])[0]
}

/// The process ID of Bash's only job.
fn job(terminal: &mut Pty) -> u32 {
    let word = format!("pid{}", terminal.raw().len());
    terminal.write(format!("echo {word}''=$(jobs -p)=\r"));
    let raw = terminal.wait_for(&format!("\n{word}="));
    eventually("the number is complete", || {
        terminal.raw()[raw.rfind(&word).unwrap()..]
            .matches('=')
            .count()
            > 1
    });
    let raw = terminal.raw();
    let rest = &raw[raw.rfind(&format!("\n{word}=")).unwrap()..];
    rest.split('=').nth(1).unwrap().parse().unwrap()
}

#[test]
fn without_a_terminal_inside_ctrl_z_stops_both_and_fg_continues_both() {
    let stage = Stage::new();
    let mut terminal = shell(&stage);
    terminal.write("cnsenter -T $T -- sh -c 'sleep 4201; echo ended'\r");
    let inner = pid(&stage, "4201");
    terminal.write("\x1a");
    terminal.wait_for("Stopped");
    let outer = job(&mut terminal);
    eventually("both are stopped", || {
        stage.node.state(inner) == 'T' && stage.node.state(outer) == 'T'
    });
    terminal.write("fg\r");
    eventually("both go on", || {
        stage.node.state(inner) == 'S' && stage.node.state(outer) == 'S'
    });
    terminal.write("\x03");
    eventually("both end", || {
        stage.node.state(inner) == 'X' && stage.node.state(outer) == 'X'
    });
    prompt(&terminal, 4);
    terminal.write("echo code=$?\r");
    terminal.wait_for("code=130");
    assert!(!terminal.raw().contains("\nended"), "{}", terminal.raw());
    terminal.write("exit 0\r");
    assert_eq!(terminal.wait(), 0);
}

#[test]
fn with_a_terminal_inside_ctrl_z_is_the_inner_shells() {
    let stage = Stage::new();
    let mut terminal = shell(&stage);
    terminal.write("cnsenter -e 'PS1=in> ' $T -- sh\r");
    terminal.wait_for("\nin> ");
    terminal.write("sleep 4202\r");
    let inner = pid(&stage, "4202");
    terminal.write("\x1a");
    terminal.wait_for("Stopped");
    assert_eq!(stage.node.state(inner), 'T');
    terminal.write("kill -9 %1; sleep 0.1; jobs\r");
    // Before it has noticed, busybox would warn of stopped jobs instead of ending.
    terminal.wait_for("Killed");
    eventually("it is gone", || stage.node.state(inner) == 'X');
    terminal.write("exit 5\r");
    prompt(&terminal, 2);
    // Bash is at work again, in its own modes.
    terminal.write("echo code=$? $(jobs -p)!\r");
    terminal.wait_for("code=5 !");
    terminal.write("exit 0\r");
    assert_eq!(terminal.wait(), 0);
}

#[test]
fn a_stop_from_elsewhere_gives_the_terminal_back() {
    let stage = Stage::new();
    let mut terminal = shell(&stage);
    terminal.write("stty -echo; cnsenter -e 'PS1=in> ' $T -- sh\r");
    eventually("the terminal is raw", || terminal.is_raw());
    let find = ["pgrep", "-x", "-o", "cnsenter"];
    let outer: u32 = stage.node.command(find).ok().parse().unwrap();
    stage
        .node
        .command(["kill", "-TSTP", &outer.to_string()])
        .ok();
    terminal.wait_for("Stopped");
    assert_eq!(stage.node.state(outer), 'T');
    terminal.write("echo out''er\r");
    terminal.wait_for("outer");
    terminal.write("fg\r");
    eventually("it goes on", || {
        stage.node.state(outer) == 'S' && terminal.is_raw()
    });
    terminal.write("echo in''ner; exit 6\r");
    terminal.wait_for("inner");
    prompt(&terminal, 4);
    terminal.write("echo code=$?\r");
    terminal.wait_for("code=6");
    terminal.write("exit 0\r");
    assert_eq!(terminal.wait(), 0);
}

#[test]
fn begun_in_the_background_it_waits_for_the_terminal() {
    let stage = Stage::new();
    let mut terminal = shell(&stage);
    terminal.write("cnsenter -t -e 'PS1=in> ' $T -- sh &\r");
    terminal.wait_for("[1]");
    let outer = job(&mut terminal);
    eventually("it is stopped", || stage.node.state(outer) == 'T');
    // Nothing of it disturbs the shell in the foreground.
    terminal.write("echo fore''ground $((40 + 2))\r");
    terminal.wait_for("foreground 42");
    terminal.write("fg\r");
    eventually("the terminal is raw", || terminal.is_raw());
    terminal.write("echo in''ner; exit 7\r");
    terminal.wait_for("inner");
    prompt(&terminal, 5);
    terminal.write("echo code=$?\r");
    terminal.wait_for("code=7");
    terminal.write("exit 0\r");
    assert_eq!(terminal.wait(), 0);
}

#[test]
fn a_background_job_without_a_terminal_just_runs() {
    let stage = Stage::new();
    let mut terminal = shell(&stage);
    terminal.write("cnsenter -T $T -- sh -c 'sleep 0.2; echo from''inside' &\r");
    terminal.wait_for("frominside");
    terminal.write("cnsenter -T $T -- sh -c 'exit 8' & wait $!; echo code=$?\r");
    terminal.wait_for("code=8");
    terminal.write("exit 0\r");
    assert_eq!(terminal.wait(), 0);
}

#[test]
fn with_stdin_in_the_background_the_keys_are_the_foregrounds() {
    let stage = Stage::new();
    let mut terminal = shell(&stage);
    // cat itself would be stopped at once, because it reads; we only read what is there.
    terminal.write("cnsenter -i $T -- cat &\r");
    terminal.wait_for("[1]");
    let outer = job(&mut terminal);
    terminal.write("echo fore''ground\r");
    terminal.wait_for("foreground");
    terminal.write("fg\r");
    // Only then has the shell's line editor given the terminal its usual modes back.
    terminal.wait_until(|screen| screen.contains("fg\ncnsenter -i $T -- cat"));
    eventually("it goes on", || stage.node.state(outer) == 'S');
    terminal.write("one line\r");
    terminal.wait_until(|screen| screen.contains("one line\none line"));
    terminal.write("\x04");
    prompt(&terminal, 5);
    terminal.write("echo code=$?\r");
    terminal.wait_for("code=0");
    terminal.write("exit 0\r");
    assert_eq!(terminal.wait(), 0);
}

/// timeout(1) puts what it runs into the background: there it waits for the terminal, with what is
/// typed unread, and is to end at TERM all the same.
#[test]
fn timeout_ends_one_that_waits_for_the_terminal() {
    let stage = Stage::new();
    let mut terminal = shell(&stage);
    terminal.write("timeout 1 cnsenter -t $T -- sleep 4207; echo code=$?=\r");
    pid(&stage, "4207");
    terminal.write("typed\r");
    terminal.wait_for("\ncode=124=");
}
