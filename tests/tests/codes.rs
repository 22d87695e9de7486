//! Exit codes: the command's own, and those that are ours, beside what the reference tools give.

use kpexec_tests::{Cmd, Kind, Output, Stage, eventually};

#[test]
fn every_code_of_a_command_is_handed_on() {
    let stage = Stage::new();
    let script = "for code in $(seq 0 255); do $0 sh -c \"exit $code\"; \
        test $? = $code || echo $code became $?; done; echo done";
    for tool in ["cnsenter $T --", "cnsenter -i $T --"] {
        let script = script.replace("$0", tool);
        assert_eq!(stage.bash(&script).run().out(), "done\n", "{tool}");
    }
    for code in [0, 1, 124, 125, 126, 127, 128, 137, 255] {
        let script = format!("exit {code}");
        assert_eq!(stage.sh(&[], &script).pty().wait(), code);
        assert_eq!(stage.nsenter(&["sh", "-c", &script]).run().code, code);
    }
}

/// What cannot be run, and the codes of cnsenter, nsenter and runc for it.
const NOT_RUN: [(&str, i32, i32, i32); 6] = [
    ("no-such-command", 127, 127, 255),
    ("/no/such/file", 127, 127, 255),
    ("/etc", 126, 126, 255),
    ("/tmp/plain", 126, 126, 255),
    // A script without "#!": execvp(3) of nsenter gives it to the node's idea of a shell.
    ("/tmp/empty", 126, 0, 1),
    // It is there and cannot be run: 126, as Bash says. nsenter tells by the errno alone.
    ("/tmp/interpreted", 126, 127, 1),
];

#[test]
fn what_cannot_be_run_is_told_apart() {
    let stage = Stage::new();
    let prepare = "cd /tmp; echo echo >plain; : >empty; chmod 755 empty
        echo '#!/no/such/shell' >interpreted; chmod 755 interpreted";
    stage.sh(&[], prepare).ok();
    for (command, ours, nsenters, runcs) in NOT_RUN {
        for flags in [&[][..], &["-i"]] {
            let output = stage.cnsenter(flags, &[command]).run();
            assert_eq!(output.code, ours, "{command}: {output}");
            assert!(output.err().starts_with("cnsenter: "), "{output}");
            assert!(output.err().contains(command), "{output}");
            assert!((1..=2).contains(&output.err().lines().count()), "{output}");
        }
        assert_eq!(stage.cnsenter(&["-t"], &[command]).pty().wait(), ours);
        let output = stage.nsenter(&[command]).run();
        assert_eq!(output.code, nsenters, "nsenter {command}: {output}");
        // runc says 255 or 1 whatever it was: 127 and 126 are the shell's words for it.
        let output = stage.runtime.exec(&stage.container, &[command]).run();
        assert_eq!(output.code, runcs, "runc {command}: {output}");
    }
}

#[test]
fn what_docker_gives() {
    let spec = Stage::spec();
    let stage = Stage::of(Kind::Docker, &spec);
    for script in [
        "exit 0",
        "exit 3",
        "exit 125",
        "exit 255",
        "kill -9 $$",
        "kill -15 $$",
    ] {
        let argv = ["sh", "-c", script];
        let theirs = stage.runtime.exec(&stage.container, &argv).run();
        assert_eq!(
            stage.cnsenter(&[], &argv).run().code,
            theirs.code,
            "{script}"
        );
        let by_name = stage
            .node
            .cnsenter(["stage", "--", "sh", "-c", script])
            .run();
        assert_eq!(by_name.code, theirs.code, "{script}: {by_name}");
    }
    // Docker 20.10 calls a missing command one that cannot be invoked; since 25 it says 127, too.
    let theirs = stage
        .runtime
        .exec(&stage.container, &["no-such-command"])
        .run();
    assert_eq!(theirs.code, 126, "{theirs}");
    assert_eq!(stage.cnsenter(&[], &["no-such-command"]).run().code, 127);
    let theirs = stage.runtime.exec(&stage.container, &["/etc"]).run();
    assert_eq!(theirs.code, stage.cnsenter(&[], &["/etc"]).run().code);
}

#[test]
fn what_is_ours() {
    let stage = Stage::new();
    let refused = |command: Cmd| {
        let output = command.run();
        assert_eq!(output.code, 125, "{output}");
        assert_eq!(output.out(), "");
        output.err()
    };
    assert!(refused(stage.node.cnsenter(["pid:999999", "--", "true"])).contains("999999"));
    assert!(refused(stage.node.cnsenter(["no-such-one", "--", "true"])).contains("no-such-one"));
    assert!(refused(stage.cnsenter(&["-w", "/nowhere"], &["true"])).contains("/nowhere"));
    assert!(refused(stage.cnsenter(&["-u", "nobody-here"], &["true"])).contains("nobody-here"));
    refused(stage.cnsenter(&["--timeout", "soon"], &["true"]));
    refused(stage.cnsenter(&["--no-such-flag"], &["true"]));
    refused(stage.node.cnsenter([stage.target().as_str(), "--"]));
    refused(stage.node.cnsenter([stage.target().as_str(), "true"]));
    refused(stage.node.cnsenter([""; 0]));
}

#[test]
fn a_timeout_asks_first() {
    let stage = Stage::new();
    let before = stage.node.snapshot();
    let run = |flags: &[&str], script: &str| -> Output {
        let flags: Vec<_> = ["--timeout", "500ms"]
            .iter()
            .chain(flags)
            .copied()
            .collect();
        stage.sh(&flags, script).run()
    };
    // In time.
    assert_eq!(run(&[], "echo on time; exit 4").code, 4);
    // Obeyed: 124 as timeout(1), whatever the command makes of it.
    let output = run(
        &[],
        "trap 'echo asked; exit 5' TERM; echo begun; sleep 4401 & wait",
    );
    assert_eq!(
        (output.out().as_str(), output.code),
        ("begun\nasked\n", 124)
    );
    let told = "cnsenter: the command took longer than --timeout and was ended\n";
    assert_eq!(output.err(), told);
    assert_eq!(run(&[], "exec sleep 4401").code, 124);
    // Stopped: it can obey nevertheless.
    assert_eq!(run(&[], "kill -STOP $$").code, 124);
    // The whole group is asked, and in the end all is killed that was started.
    assert_eq!(
        run(&[], "(trap '' TERM; setsid sleep 4401) & sleep 4401").code,
        124
    );
    eventually("nothing runs", || {
        stage.node.find(&["sleep", "4401"]).is_empty()
    });
    before.assert_same(&stage.node);
}

#[test]
fn a_timeout_that_is_ignored_kills() {
    let stage = Stage::new();
    let before = stage.node.snapshot();
    let script = "trap '' TERM; (setsid sleep 4402 &); echo begun; while :; do sleep 0.1; done";
    let output = stage.sh(&["--timeout", "300ms"], script).run();
    assert_eq!((output.out().as_str(), output.code), ("begun\n", 124));
    let mut terminal = stage.sh(&["--timeout", "300ms", "-t"], script).pty();
    assert_eq!(terminal.wait(), 124);
    drop(terminal);
    before.assert_same(&stage.node);
}
