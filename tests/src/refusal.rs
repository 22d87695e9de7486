//! What cnsenter's refusals look like, whatever the reason.

use crate::Output;

/// The exit code for "could not enter".
const CANNOT_ENTER: i32 = 125;

impl Output {
    /// Fails unless this is a refusal as every one should be: exit code 125, nothing on standard
    /// output, and on standard error one line of what failed and at most one of what to do, with
    /// all of these words. Warnings may come before them. Gives standard error.
    ///
    /// # Panics
    /// If it is not.
    #[track_caller]
    pub fn refused(&self, words: &[&str]) -> String {
        self.failed(CANNOT_ENTER, words)
    }

    /// The same with another exit code: 126 and 127 for commands that cannot be executed.
    ///
    /// # Panics
    /// If it is not so.
    #[track_caller]
    pub fn failed(&self, code: i32, words: &[&str]) -> String {
        assert_eq!(self.code, code, "{self}");
        assert!(self.stdout.is_empty(), "{self}");
        let text = self.err();
        let said = text
            .lines()
            .filter(|line| !line.starts_with("cnsenter: warning: "));
        let said: Vec<_> = said.collect();
        assert!(matches!(said.len(), 1 | 2), "not one or two lines: {self}");
        assert!(said[0].starts_with("cnsenter: "), "{self}");
        assert!(!text.contains(['\x1b', '\x07']), "not escaped: {self}");
        for word in words {
            assert!(text.contains(word), "no {word:?} in: {self}");
        }
        text
    }

    /// Fails unless the command worked and nothing was said about it; gives standard output,
    /// trimmed.
    ///
    /// # Panics
    /// If it did not, or something was.
    #[track_caller]
    pub fn quiet(&self) -> String {
        assert_eq!(self.code, 0, "{self}");
        assert!(self.stderr.is_empty(), "{self}");
        self.out().trim().to_owned()
    }
}
