//! Completion in real shells: each sources the script and completes lines. The program that the
//! script calls back is this one, with a fixed list of containers (so it has no test harness).

#![allow(clippy::unwrap_used, reason = "a test, though without #[test]")]

use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Command, ExitCode};

use cnsenter::cli::CompletionShell;
use cnsenter::completion;
use cnsenter::resolve::{Container, Runtime};

fn containers() -> Vec<Container> {
    let named = |id: &str, name: &str| {
        let mut container = Container::new(id, Runtime::Docker);
        container.name = Some(name.to_owned());
        container
    };
    vec![
        named("aaaaaaaaaaaa1111", "web-0"),
        named("bbbbbbbbbbbb2222", "$(touch pwned)"),
    ]
}

/// A command line up to the cursor, and what becomes of its last word.
const LINES: [(&str, &str); 6] = [
    ("cnsenter inspect w", "web-0"),
    ("cnsenter aa", "aaaaaaaaaaaa"),
    ("cnsenter --no-mount we", "web-0"),
    ("cnsenter insp", "inspect"),
    ("cnsenter ls --output w", "wide"),
    // Nothing is known of what the container holds.
    ("cnsenter web-0 -- we", "we"),
];

fn main() -> ExitCode {
    if completion::is_requested() {
        completion::answer(std::env::args_os().collect(), containers);
        return ExitCode::SUCCESS;
    }
    let dir = tempfile::tempdir().unwrap();
    symlink(
        std::env::current_exe().unwrap(),
        dir.path().join("cnsenter"),
    )
    .unwrap();
    let mut failed = 0;
    for (shell, name) in [
        (CompletionShell::Bash, "bash"),
        (CompletionShell::Zsh, "zsh"),
        (CompletionShell::Fish, "fish"),
    ] {
        let mut script = Vec::new();
        completion::write_script(shell, &mut script).unwrap();
        std::fs::write(dir.path().join("script"), script).unwrap();
        for (line, wanted) in LINES {
            let word = complete(dir.path(), name, line);
            let ok = word == wanted;
            println!(
                "{name}: {line:?} -> {word:?} {}",
                if ok { "ok" } else { "FAILED" }
            );
            failed += usize::from(!ok);
        }
    }
    assert!(!dir.path().join("pwned").exists());
    ExitCode::from(u8::from(failed > 0))
}

/// The last word of `line` after a TAB.
fn complete(dir: &Path, shell: &str, line: &str) -> String {
    let driver = match shell {
        "bash" => include_str!("bash"),
        "zsh" => include_str!("zsh"),
        _ => include_str!("fish"),
    };
    let path = std::env::var("PATH").unwrap();
    let output = Command::new(shell)
        .args(["-c", driver, shell, line])
        .current_dir(dir)
        .env("PATH", format!("{}:{path}", dir.display()))
        .env("HOME", dir)
        .env("LINE", line)
        .env("TERM", "dumb")
        .output()
        .unwrap_or_else(|e| panic!("{shell}: {e}; tests/setup.sh installs it"));
    let word = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    assert!(output.status.success(), "{shell}: {output:?}");
    word
}
