//! The command line that is being written.

use std::ffi::{OsStr, OsString};

use super::asker::{Asker, Shell};
use crate::cli::ExecArgs;

/// Words, the program's name first, and where among them the cursor is. Nothing is known of what is
/// in a container, so the words end before "--".
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Line {
    pub(super) words: Vec<OsString>,
    pub(super) index: usize,
    /// How much of the word the shell keeps, in bytes: it replaces the rest.
    pub(super) kept: usize,
}

impl Line {
    /// None if the cursor is after "--".
    pub(super) fn of(asker: Asker, args: Vec<OsString>, index: Option<usize>) -> Option<Self> {
        let words = match asker {
            Asker::Kubectl => args,
            // `kpexec -- WORD...`, as the scripts call.
            Asker::Shell(_) => {
                let call = args.iter().position(|word| word == "--")?;
                args[call + 1..].to_vec()
            }
        };
        let index = match asker {
            Asker::Shell(Shell::Bash | Shell::Zsh) => index?,
            _ => words.len().checked_sub(1)?,
        };
        let mut line = Self {
            words,
            index,
            kept: 0,
        };
        if asker == Asker::Shell(Shell::Bash) {
            line = line.joined();
        }
        line.until_separator()
    }

    fn until_separator(mut self) -> Option<Self> {
        // zsh leaves an empty word out at the end.
        if self.words.len() == self.index {
            self.words.push(OsString::new());
        }
        if self.words.len() < self.index {
            return None;
        }
        let separator = self.words.iter().position(|word| word == "--");
        match separator {
            // The cursor is right behind it: other words may begin so.
            Some(at) if at == self.index => self.words.truncate(at + 1),
            Some(at) if at < self.index => return None,
            Some(at) => self.words.truncate(at),
            None => {}
        }
        Some(self)
    }

    /// bash takes words apart at `=` and `:`; puts them together again.
    fn joined(self) -> Self {
        let mut joined = Self {
            words: Vec::with_capacity(self.words.len()),
            index: self.index,
            kept: 0,
        };
        let mut goes_on = false;
        for (number, word) in self.words.into_iter().enumerate() {
            let is_break = is_break(&word);
            let is_part = number > 1 && (is_break || goes_on && word != "--");
            let length = word.len();
            let mut before = 0;
            match joined.words.last_mut().filter(|_| is_part) {
                Some(last) => {
                    before = last.len();
                    last.push(word);
                }
                None => joined.words.push(word),
            }
            if number == self.index {
                joined.index = joined.words.len() - 1;
                // What follows a sign is a word of its own to bash, though it is not there yet.
                joined.kept = if is_break { before + length } else { before };
            }
            goes_on = is_break;
        }
        joined
    }

    /// The word as far as it is written.
    pub(super) fn current(&self) -> &OsStr {
        self.words
            .get(self.index)
            .map_or(OsStr::new(""), OsString::as_os_str)
    }

    /// Whether flags are wanted: else they would only be in the way of pods.
    pub(super) fn is_flag(&self) -> bool {
        self.current().as_encoded_bytes().starts_with(b"-")
    }

    /// Whether only the command is missing.
    pub(super) fn is_after_target(&self, known: Option<&ExecArgs>) -> bool {
        let names = known.is_some_and(|known| {
            let target = known
                .target
                .as_deref()
                .is_some_and(|target| !target.is_empty());
            target || known.filename.is_some()
        });
        let before = self.words.get(self.index.wrapping_sub(1));
        let is_value = before.is_some_and(|word| word.as_encoded_bytes().starts_with(b"-"));
        names && self.current().is_empty() && !is_value
    }
}

fn is_break(word: &OsStr) -> bool {
    let bytes = word.as_encoded_bytes();
    !bytes.is_empty() && bytes.iter().all(|b| matches!(b, b'=' | b':'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(words: &[&str]) -> Vec<OsString> {
        words.iter().map(OsString::from).collect()
    }

    fn bash(line: &[&str], index: usize) -> Option<(Vec<OsString>, usize, usize)> {
        let call = words(&["kpexec", "--"]).into_iter().chain(words(line));
        let line = Line::of(Asker::Shell(Shell::Bash), call.collect(), Some(index))?;
        Some((line.words, line.index, line.kept))
    }

    #[test]
    fn what_bash_took_apart_is_put_together() {
        let context = ["kpexec", "--context", "arn", ":", "aws", ":", "e", "web"];
        let whole = words(&["kpexec", "--context", "arn:aws:e", "web"]);
        assert_eq!(bash(&context, 6), Some((whole, 2, 8)));
        let flag = ["kpexec", "web", "--cgroup", "="];
        assert_eq!(
            bash(&flag, 3),
            Some((words(&["kpexec", "web", "--cgroup="]), 2, 9))
        );
        let value = ["kpexec", "-n", "shop", "w"];
        assert_eq!(bash(&value, 3), Some((words(&value), 3, 0)));
    }

    #[test]
    fn what_is_in_the_container_is_not_known() {
        let line = ["kpexec", "web", "--", "ls", "-"];
        assert_eq!(bash(&line, 4), None);
        assert_eq!(bash(&line, 1), Some((words(&line[..2]), 1, 0)));
        assert_eq!(bash(&line[..3], 2), Some((words(&line[..3]), 2, 0)));
        assert_eq!(
            Line::of(Asker::Kubectl, words(&["k", "web", "--", ""]), None),
            None
        );
    }

    #[test]
    fn zsh_may_leave_the_last_word_out() {
        let call = words(&["kpexec", "--", "kpexec"]);
        let line = Line::of(Asker::Shell(Shell::Zsh), call, Some(1)).unwrap();
        assert_eq!(line.words, words(&["kpexec", ""]));
        assert!(!line.is_flag());
        let call = words(&["kpexec", "--", "kpexec"]);
        assert_eq!(
            Line::of(Asker::Shell(Shell::Zsh), call, Some(usize::MAX)),
            None
        );
    }

    #[test]
    fn after_the_pod_comes_the_command() {
        let line = |line: &[&str]| {
            let line = Line::of(Asker::Kubectl, words(line), None).unwrap();
            let known = crate::cli::parse_unfinished(&line.words);
            line.is_after_target(known.as_ref())
        };
        assert!(line(&["kpexec", "web", ""]));
        assert!(line(&["kpexec", "-f", "web.yaml", ""]));
        assert!(!line(&["kpexec", ""]));
        assert!(!line(&["kpexec", "web", "-c", ""]));
        assert!(!line(&["kpexec", "web", "x"]));
    }
}
