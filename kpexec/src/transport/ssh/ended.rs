//! A process that has ended, and what there is to know of the reason.

use super::Ran;
use super::process::How;

/// The most that is kept of what it says to people, in bytes.
pub(super) const MAX_WORDS: usize = 64 << 10;

/// A process that has ended, and all that it said.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Ended {
    pub(super) how: How,
    pub(super) stdout: Vec<u8>,
    pub(super) stderr: Vec<u8>,
}

impl Default for Ended {
    fn default() -> Self {
        Self {
            how: How::Lost("it was silent".to_owned()),
            stdout: Vec::new(),
            stderr: Vec::new(),
        }
    }
}

impl Ended {
    /// Whether somebody says that cnsenter is not there: a shell, or sudo or doas in any language. Of other
    /// programs login scripts may say so.
    pub(super) fn has_not_found(&self) -> bool {
        let is_ours = |word: &str| word.rsplit('/').next() == Some("cnsenter");
        let of_sudo = |line: &str| {
            let rest = line
                .strip_prefix("sudo: ")
                .or(line.strip_prefix("doas: "))?;
            rest.split([' ', ':']).next().map(is_ours)
        };
        let text = String::from_utf8_lossy(&self.stderr);
        text.lines().any(|line| {
            let of_shell =
                line.contains("not found") && line.split([' ', ':', '\'', '"']).any(is_ours);
            of_shell || of_sudo(line) == Some(true)
        })
    }

    /// Whether a connection has ended that had begun, as far as ssh says so. One that did not begin has its
    /// reason; of one that says nothing nobody knows.
    pub(super) fn is_of_a_broken_line(&self) -> bool {
        const BROKEN: [&str; 3] = ["client_loop: ", "closed by remote host", "Timeout, server "];
        let text = String::from_utf8_lossy(&self.stderr);
        text.trim().is_empty() || BROKEN.iter().any(|words| text.contains(words))
    }

    /// What it said, its last line first of all.
    pub(super) fn words(&self) -> String {
        let text = [&self.stderr, &self.stdout].map(|bytes| String::from_utf8_lossy(bytes));
        let words = text.iter().flat_map(|text| text.trim().lines().last());
        let words: Vec<_> = words
            .map(str::trim)
            .filter(|line| !line.is_empty())
            .map(shortened)
            .collect();
        match words.is_empty() {
            true => self
                .how
                .words()
                .unwrap_or_else(|| "it said nothing".to_owned()),
            false => words.join("; "),
        }
    }

    pub(super) fn into_ran(self) -> Ran {
        Ran {
            code: match self.how {
                How::Code(code) => Some(code),
                How::Signal(_) | How::Refused(_) | How::Lost(_) => None,
            },
            stderr: String::from_utf8_lossy(&self.stderr).into_owned(),
            stdout: self.stdout,
        }
    }
}

/// A line that somebody may have to read.
fn shortened(line: &str) -> String {
    const MOST: usize = 300;
    match line.char_indices().nth(MOST) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line.to_owned(),
    }
}

/// Keeps what there is room for.
pub(super) fn keep(kept: &mut Vec<u8>, bytes: &[u8], most: usize) {
    let room = most.saturating_sub(kept.len());
    kept.extend_from_slice(&bytes[..bytes.len().min(room)]);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_words_are_quoted() {
        let ended = |stdout: &str, stderr: &str| Ended {
            how: How::Code(1),
            stdout: stdout.into(),
            stderr: stderr.into(),
        };
        assert_eq!(ended("Welcome\n", "a\nb\n").words(), "b; Welcome");
        assert_eq!(ended("", &"é".repeat(9999)).words().chars().count(), 301);
        assert_eq!(
            ended("", "").words(),
            "what was started ended with exit code 1"
        );
    }
}
