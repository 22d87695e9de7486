//! On a terminal: what it shows, its size, its keys, and its settings afterwards.

use kpexec_tests::Pty;

use crate::{Site, on_each_node};

on_each_node! { on_a_terminal }

fn on_a_terminal(site: &Site) {
    quick_ones(site);
    what_is_shown(site);
    keys_and_sizes(&mut ours(site, &["-it", "web", "--", "sh"]));
}

fn theirs(site: &Site, words: &[&str]) -> Pty {
    site.shop.kubectl(["exec"].iter().chain(words)).pty()
}

fn ours(site: &Site, words: &[&str]) -> Pty {
    site.kpexec(words).pty()
}

/// Their end may come before anybody has heard of the terminal's size.
fn quick_ones(site: &Site) {
    for _ in 0..20 {
        let mut terminal = ours(site, &["-it", "web", "--", "sh", "-c", "echo here; exit 3"]);
        terminal.wait_for("here\r\n");
        assert_eq!(terminal.wait(), 3, "{}", terminal.raw());
    }
}

/// What needs no keys is the same to the last byte. (But the size: kubectl's command may have begun
/// before it has one.)
fn what_is_shown(site: &Site) {
    for (flags, script) in [
        ("-it", "tty | tr 0-9 N; echo err >&2; exit 3"),
        ("-it", "test -t 0 && test -t 1 && test -t 2 && exit 4"),
        ("-it", "seq 1 3000; exit 5"),
        ("-it", "kill -KILL $$"),
        ("-i", "test -t 0; exit 6"),
        ("-t", "test -t 1; echo $?; exit 7"),
    ] {
        let words = [flags, "web", "--", "sh", "-c", script];
        let mut seen = [theirs, ours].map(|start| {
            let mut terminal = start(site, &words);
            let before = terminal.termios();
            let code = terminal.wait();
            let text = terminal.wait_for(&format!("with exit code {code}"));
            // What was shown while it connected is gone.
            let text = text.rsplit("\x1b[K").next().unwrap_or_default();
            let same = terminal.termios().local_modes == before.local_modes;
            assert!(same, "the terminal is not as it was: {words:?}");
            let kubectls_log = |line: &&str| !line.contains("\"Encoding terminal size failed\"");
            let lines: Vec<_> = text.trim_end().lines().filter(kubectls_log).collect();
            (code, lines.join("\n"))
        });
        seen.sort();
        assert_eq!(seen[0], seen[1], "{script}");
    }
}

/// (With kubectl some sizes never arrive, by an old server.)
fn keys_and_sizes(terminal: &mut Pty) {
    // What is typed is shown, too: quotes tell it from what is printed.
    terminal.write("stty size; echo se''en\r");
    terminal.wait_for("24 80");
    terminal.wait_for("seen");
    assert!(terminal.is_raw());
    terminal.resize(40, 100);
    terminal.write("while [ \"$(stty size)\" != '40 100' ]; do :; done; echo re''sized\r");
    terminal.wait_for("resized");
    terminal.write("sh -c 'echo st\"\"arted; exec sleep 45460'\r");
    terminal.wait_for("started");
    terminal.write("\x03");
    terminal.wait_for("^C");
    terminal.write("echo co''de $?\r");
    terminal.wait_for("code 130");
    terminal.write("echo co''py; cat >/dev/null; echo ca''t $?\r");
    terminal.wait_for("copy");
    terminal.write("a line\r\x04");
    terminal.wait_for("cat 0");
    terminal.write("exit 5\r");
    assert_eq!(terminal.wait(), 5);
    assert!(!terminal.is_raw());
}
