//! Many at once and one after the other: every output is right, and nothing is left of them.

use std::thread;

use kpexec_tests::{Stage, eventually, open_files};

/// Runs `count` commands, `width` at a time, from one shell; says how many were right, and what
/// was wrong with the others.
fn run(stage: &Stage, count: u32, width: u32, flags: &str) -> String {
    let script = format!(
        "seq {count} | xargs -P {width} -I N bash -c \
         'got=$(cnsenter {flags} $T -- sh -c \"echo N \\$\\$ >/dev/null; echo out N; exit \\$((N % 256))\"); \
          code=$?; [ \"$got\" = \"out N\" -a $code = $((N % 256)) ] && echo right || echo \"N: $got $code\"' 2>&1 | grep -v 'warning: in the container' | sort | uniq -c"
    );
    let command = stage.bash(&script);
    command.deadline(std::time::Duration::from_secs(300)).ok()
}

fn without_a_trace(stage: &Stage, body: impl FnOnce()) {
    // What comes with the first run, and stays.
    stage.cnsenter(&["-i"], &["true"]).ok();
    let before = stage.node.snapshot();
    let init = open_files(stage.node.init());
    body();
    before.assert_same(&stage.node);
    assert_eq!(open_files(stage.node.init()), init);
}

#[test]
fn a_thousand_one_after_the_other() {
    let stage = Stage::new();
    without_a_trace(&stage, || {
        assert_eq!(run(&stage, 1000, 1, ""), "1000 right")
    });
}

#[test]
fn a_thousand_fifty_at_a_time() {
    let stage = Stage::new();
    without_a_trace(&stage, || {
        assert_eq!(run(&stage, 1000, 50, "-i"), "1000 right")
    });
}

#[test]
fn in_the_containers_groups() {
    let stage = Stage::new();
    without_a_trace(&stage, || {
        assert_eq!(run(&stage, 200, 20, "--cgroup=target"), "200 right");
    });
}

#[test]
fn a_hundred_terminals_at_once() {
    let stage = Stage::new();
    without_a_trace(&stage, || {
        let terminals: Vec<_> = thread::scope(|scope| {
            let start = |n| {
                let stage = &stage;
                scope.spawn(move || {
                    let script = "read a; echo got $a on $(tty); read a; exit 3";
                    let mut terminal = stage.sh(&["-t"], script).pty();
                    terminal.write(format!("line{n}\r"));
                    terminal
                })
            };
            let handles: Vec<_> = (0..100).map(start).collect();
            handles
                .into_iter()
                .map(|handle| handle.join().unwrap())
                .collect()
        });
        // All are there together, each on its own.
        let mut names: Vec<_> = terminals
            .iter()
            .enumerate()
            .map(|(n, terminal)| {
                let raw = terminal.wait_for("/dev/pts/");
                assert!(raw.contains(&format!("got line{n} on ")), "{raw}");
                eventually("the line is complete", || terminal.raw().ends_with('\n'));
                terminal.raw().lines().last().unwrap().to_owned()
            })
            .map(|line| line.rsplit(' ').next().unwrap().to_owned())
            .collect();
        names.sort();
        names.dedup();
        assert_eq!(names.len(), 100);
        for mut terminal in terminals {
            terminal.write("\r");
            assert_eq!(terminal.wait(), 3);
        }
    });
}
