//! What shells want to source, and to hear.

use std::ffi::OsStr;
use std::io::{self, Write};

use clap_complete::engine::CompletionCandidate;
use clap_complete::env::{EnvCompleter, Fish, Powershell, Zsh};

use super::asker::{Asker, INDEX, Shell, VARIABLE};
use super::line::Line;
use crate::stderr::printable;

/// The script that makes a shell complete kpexec's command lines.
///
/// # Errors
/// When `out` cannot be written to.
pub fn write_script(shell: Shell, out: &mut dyn Write) -> io::Result<()> {
    let shell: &dyn EnvCompleter = match shell {
        // clap_complete's loses what bash takes apart: flag=value, and contexts such as arn:aws:...
        Shell::Bash => {
            let script = include_str!("kpexec.bash");
            let script = script.replace("VARIABLE", VARIABLE).replace("INDEX", INDEX);
            return out.write_all(script.as_bytes());
        }
        Shell::Zsh => &Zsh,
        Shell::Fish => &Fish,
        Shell::Powershell => &Powershell,
    };
    shell.write_registration(VARIABLE, "kpexec", "kpexec", "kpexec", out)
}

/// What may be written.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Word {
    text: String,
    /// What it is, on one line.
    help: String,
}

impl Word {
    /// None if a shell would read it as more than letters, be it an escape sequence or `$(...)`: it
    /// is put into the command line as it is.
    pub(super) fn of(candidate: &CompletionCandidate) -> Option<Self> {
        let text = candidate
            .get_value()
            .to_str()
            .filter(|text| is_plain(text))?;
        let help = candidate.get_help().map(ToString::to_string);
        let help = help.unwrap_or_default();
        Some(Self {
            text: text.to_owned(),
            help: printable(help.lines().next().unwrap_or_default()),
        })
    }

    /// "--"
    pub(super) fn separator() -> Self {
        Self {
            text: "--".to_owned(),
            help: "the command follows".to_owned(),
        }
    }
}

fn is_plain(text: &str) -> bool {
    let signs = b"_-./:@+,=%";
    text.bytes()
        .all(|b| b.is_ascii_alphanumeric() || signs.contains(&b))
}

/// Writes the words as the script that called reads them.
pub(super) fn write_words(
    asker: Asker,
    line: &Line,
    words: &[Word],
    out: &mut dyn Write,
) -> io::Result<()> {
    let mut lines = String::new();
    for Word { text, help } in words {
        let line = match asker {
            Asker::Shell(Shell::Bash) => text.get(line.kept..).unwrap_or_default().to_owned(),
            Asker::Shell(Shell::Zsh) => match help.as_str() {
                "" => text.replace(':', "\\:"),
                help => format!(
                    "{}:{}",
                    text.replace(':', "\\:"),
                    help.replace('\\', "\\\\")
                ),
            },
            Asker::Shell(Shell::Fish | Shell::Powershell) => tabbed(text, help),
            Asker::Kubectl => tabbed(value_of_flag(line.current(), text), help),
        };
        lines.push_str(&line);
        lines.push('\n');
    }
    if asker == Asker::Kubectl {
        lines.push_str(directive(words));
    }
    out.write_all(lines.as_bytes())
}

fn tabbed(text: &str, help: &str) -> String {
    match help {
        "" => text.to_owned(),
        help => format!("{text}\t{help}"),
    }
}

/// kubectl's scripts put `--flag=` before the words themselves.
fn value_of_flag<'a>(current: &OsStr, text: &'a str) -> &'a str {
    let current = current.as_encoded_bytes();
    let is_flag = current.starts_with(b"-") && current.contains(&b'=');
    match text.split_once('=').filter(|_| is_flag) {
        Some((_, value)) => value,
        None => text,
    }
}

/// cobra's ShellCompDirective: no files (4), and no blank where the word goes on (2).
fn directive(words: &[Word]) -> &'static str {
    let goes_on = |word: &Word| word.text.ends_with('/');
    if !words.is_empty() && words.iter().all(goes_on) {
        ":6\n"
    } else {
        ":4\n"
    }
}

#[cfg(test)]
mod tests {
    use clap::ValueEnum;

    use super::*;

    fn written(asker: Asker, current: &str, kept: usize, words: &[(&str, &str)]) -> String {
        let words: Vec<_> = words
            .iter()
            .map(|(text, help)| Word {
                text: (*text).to_owned(),
                help: (*help).to_owned(),
            })
            .collect();
        let line = Line {
            words: vec!["kpexec".into(), current.into()],
            index: 1,
            kept,
        };
        let mut out = Vec::new();
        write_words(asker, &line, &words, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn each_shell_is_told_in_its_way() {
        let words = [("a:b", "one"), ("c", "")];
        let by = |shell| written(Asker::Shell(shell), "", 0, &words);
        assert_eq!(by(Shell::Bash), "a:b\nc\n");
        assert_eq!(by(Shell::Zsh), "a\\:b:one\nc\n");
        assert_eq!(by(Shell::Fish), "a:b\tone\nc\n");
        assert_eq!(by(Shell::Powershell), "a:b\tone\nc\n");
        assert_eq!(written(Asker::Kubectl, "", 0, &words), "a:b\tone\nc\n:4\n");
    }

    #[test]
    fn what_the_shell_keeps_is_not_repeated() {
        let bash = Asker::Shell(Shell::Bash);
        assert_eq!(
            written(bash, "arn:aws:", 8, &[("arn:aws:eks", "")]),
            "eks\n"
        );
        let flag = [("--context=a=b", "")];
        assert_eq!(written(Asker::Kubectl, "--context=", 0, &flag), "a=b\n:4\n");
        assert_eq!(
            written(Asker::Kubectl, "d", 0, &[("deployments/", "")]),
            "deployments/\n:6\n"
        );
    }

    #[test]
    fn nothing_that_a_shell_could_run_is_completed() {
        let word = |text: &str| Word::of(&CompletionCandidate::new(text));
        assert!(word("arn:aws:eks:eu-west-1:1234:cluster/a_b@c").is_some());
        for bad in [
            "$(reboot)",
            "a b",
            "a;b",
            "`a`",
            "a\u{1b}[31m",
            "ä",
            "a|b",
            "*",
        ] {
            assert_eq!(word(bad), None, "{bad:?}");
        }
        let candidate = CompletionCandidate::new("a").help(Some("x\u{202e}\ty\nz".into()));
        assert_eq!(Word::of(&candidate).unwrap().help, "x\\u{202e}\\ty");
    }

    #[test]
    fn every_shell_has_a_script_that_calls_back() {
        for shell in Shell::value_variants() {
            let mut script = Vec::new();
            write_script(*shell, &mut script).unwrap();
            let script = String::from_utf8(script).unwrap();
            for text in [VARIABLE, "kpexec -- "] {
                assert!(script.contains(text), "{shell:?}: no {text:?} in {script}");
            }
        }
    }
}
