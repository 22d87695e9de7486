//! The table.

use crate::{Site, on_each_node};

on_each_node! { both_agree }

/// One command line.
struct Case {
    words: Vec<&'static str>,
    stdin: &'static [u8],
    difference: Option<Difference>,
}

/// What kpexec does otherwise, and why.
struct Difference {
    why: &'static str,
    code: i32,
    stdout: &'static str,
    /// Somewhere in stderr.
    stderr: &'static str,
}

fn case(line: &'static str, command: &[&'static str]) -> Case {
    let words = line.split(' ').chain(["--"]).chain(command.iter().copied());
    Case {
        words: words.collect(),
        stdin: b"",
        difference: None,
    }
}

/// A script in a pod, or whatever the line says.
fn sh(line: &'static str, script: &'static str) -> Case {
    case(line, &["sh", "-c", script])
}

impl Case {
    fn stdin(mut self, bytes: &'static [u8]) -> Self {
        self.stdin = bytes;
        self
    }

    fn differs(
        mut self,
        why: &'static str,
        code: i32,
        stdout: &'static str,
        stderr: &'static str,
    ) -> Self {
        self.difference = Some(Difference {
            why,
            code,
            stdout,
            stderr,
        });
        self
    }
}

/// What kubectl says of every command that the runtime could not start.
const ONE_CODE: &str = "kubectl has one code for all that the runtime refuses, and it is 1; ours are \
                        the shell's, so that a script can tell";

fn selection() -> Vec<Case> {
    let where_ = "hostname; cat /proc/1/comm";
    vec![
        sh("web", where_),
        sh("pod/web", where_),
        sh("po/web", where_),
        sh("pods/web", where_),
        sh("web -c web", where_),
        sh("-c web web", where_),
        sh("--container=web web", where_),
        sh("two", where_),
        sh("-q two", where_),
        sh("--quiet two", where_),
        sh("two -c two", where_),
        sh("two -c helper", where_),
        sh("two -c side", where_),
        sh("two -c probe", where_),
        sh("two -c nosuch", where_),
        sh("chosen", where_),
        sh("chosen -c chosen", where_),
        sh("nosuch", where_),
        sh("--pod-running-timeout=5s web", where_),
        sh("--request-timeout=10s web", where_),
        // Of a flag that is said twice the last counts.
        sh("-c nosuch -c web web", where_),
        case("web", &["hostname", "-f"]),
        case("web", &["echo", "-n", "-i", "--", "-c"]),
    ]
}

fn output() -> Vec<Case> {
    vec![
        case("web", &["true"]),
        case("web", &["false"]),
        sh("web", "echo out; echo err >&2"),
        sh("web", "printf 'no end of line'; printf 'nor here' >&2"),
        sh("web", "printf 'a\\000b\\377\\r\\n\\033[2J'"),
        sh(
            "web",
            "for i in 1 2 3 4 5 6 7 8 9; do echo $i; echo $i >&2; done; exit 2",
        ),
        sh("web", "seq 1 100000"),
        sh("web", "seq 1 100000 >&2"),
        sh("web", "exec >&-; echo err >&2; exit 3"),
        sh("web", "exec 2>&-; echo out; exit 3"),
        sh("web", "exec >&- 2>&-; exit 3"),
        sh("web", "pwd; hostname; umask; tty"),
        sh("web", "ls -l /proc/self/fd | wc -l"),
        sh(
            "web",
            "echo $PATH; echo $HOSTNAME; echo $KUBERNETES_SERVICE_HOST",
        ),
        sh(
            "web",
            "cat /proc/1/cmdline; readlink /proc/self/ns/mnt /proc/self/ns/net",
        ),
        case(
            "web",
            &[
                "printf",
                "[%s]",
                "",
                "a b",
                "",
                "\t\"'$HOME*\n",
                "größe",
                "&x=%41+",
            ],
        ),
        case("locked", &["id", "-u"]).differs(
            "to be root, with all privileges, is what kpexec is for",
            0,
            "0\n",
            "",
        ),
    ]
}

fn input() -> Vec<Case> {
    let count = "wc -c; echo end";
    vec![
        sh("web", count).stdin(b"not passed on without -i"),
        sh("-i web", count),
        sh("-i web", count).stdin(b"x"),
        sh("--stdin web", count).stdin(b"two words\n"),
        sh("--stdin=true web", count).stdin(b"two words\n"),
        sh("--stdin=false web", count).stdin(b"not passed on"),
        sh("-i web", "read line; echo \"$line\"; exit 4").stdin(b"first\nsecond\n"),
        sh("-i web", "exec <&-; echo closed"),
        sh("-t web", "tty; cat").stdin(b"ignored without -i"),
        sh("-it web", "tty; cat").stdin(b"no terminal here\n"),
        sh("-it -q web", "cat").stdin(b"no terminal here\n"),
        sh("-ti two", "cat").stdin(b"no terminal here\n"),
    ]
}

fn codes() -> Vec<Case> {
    vec![
        sh("web", "exit 1"),
        sh("web", "exit 2"),
        sh("web", "exit 125"),
        sh("web", "exit 126"),
        sh("web", "exit 127"),
        sh("web", "exit 128"),
        sh("web", "exit 130"),
        sh("web", "exit 255"),
        sh("web", "kill -HUP $$"),
        sh("web", "kill -INT $$"),
        sh("web", "kill -KILL $$"),
        sh("web", "kill -SEGV $$"),
        sh("web", "kill -PIPE $$"),
        sh("web", "kill -TERM $$"),
        case("web", &["nosuch"]).differs(ONE_CODE, 127, "", "nosuch"),
        case("web", &["/no/such"]).differs(ONE_CODE, 127, "", "/no/such"),
        case("web", &["/etc/passwd"]).differs(ONE_CODE, 126, "", "/etc/passwd"),
        case("web", &["/etc"]).differs(ONE_CODE, 126, "", "/etc"),
    ]
}

fn both_agree(site: &Site) {
    for case in [selection(), output(), input(), codes()]
        .into_iter()
        .flatten()
    {
        let Case {
            words,
            stdin,
            difference,
        } = case;
        let [theirs, ours] = site.both(&words, stdin);
        let said = format!("{words:?}\nours: {ours}\nkubectl's: {theirs}");
        match difference {
            None => assert!(ours == theirs, "{said}"),
            Some(Difference {
                why,
                code,
                stdout,
                stderr,
            }) => {
                assert!(ours != theirs, "there is no such difference: {why}\n{said}");
                assert_eq!((ours.code, ours.out().as_str()), (code, stdout), "{said}");
                assert!(ours.err().contains(stderr), "no {stderr:?}: {said}");
            }
        }
    }
}
