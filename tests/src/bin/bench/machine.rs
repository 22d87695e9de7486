//! What is measured in the virtual machine: cgroup v2. It is emulated, so everything is slow there,
//! but both sides are.

use std::env;
use std::time::Duration;

use kpexec_tests::{Kernel, Vm};

use crate::report::{Row, Target};

const SCRIPT: &str = include_str!("machine.sh");

/// A minute or two on a quiet host.
const DEADLINE: Duration = Duration::from_secs(400);

/// Measures both choices of a cgroup.
pub(crate) fn rows() -> Vec<Row> {
    eprintln!("bench: virtual machine");
    let exe = env::current_exe().expect("a program has a path");
    let text = Vm::new(Kernel::Linux6_1)
        .program(&exe, "/usr/bin/bench")
        .program("/usr/bin/setsid".as_ref(), "/usr/bin/setsid")
        .script("/main", SCRIPT)
        .run(DEADLINE);
    text.lines().map(row).collect()
}

/// One line of the script: the choice, how often, two medians.
fn row(line: &str) -> Row {
    let words: Vec<_> = line.split(' ').collect();
    let [choice, how, ours, theirs] = words[..] else {
        panic!("the machine printed {line:?}");
    };
    let (limit, when) = match how {
        "warm" => (1.2, "run after run"),
        _ => (1.5, "once a second"),
    };
    let number = |text: &str| text.parse().expect("a number");
    let what = format!("cgroup v2, --cgroup={choice}, against nsenter -a, {when}");
    Row::ratio(
        &what,
        "ms",
        [number(ours), number(theirs)],
        Target::AtMost(limit),
    )
}
