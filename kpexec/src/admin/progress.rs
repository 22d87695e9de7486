//! How far something is, on stderr: on a terminal a line that goes away again, else a line for each
//! change.

use std::io::{self, IsTerminal};

use crate::report::Report;
use crate::stderr::{printable, say};

/// The line, or the lines.
pub(super) struct Progress {
    how: How,
    told: String,
}

enum How {
    Silent,
    Lines,
    Rewritten(Report),
}

impl Progress {
    pub(super) fn new(quiet: bool) -> Self {
        let how = match (quiet, io::stderr().is_terminal()) {
            (true, _) => How::Silent,
            (false, true) => How::Rewritten(Report::new(false, true)),
            (false, false) => How::Lines,
        };
        Self {
            how,
            told: String::new(),
        }
    }

    /// What is the case now.
    pub(super) fn say(&mut self, text: &str) {
        if text == self.told {
            return;
        }
        text.clone_into(&mut self.told);
        let text = text.replace('\n', " ");
        match &self.how {
            How::Silent => {}
            How::Lines => say(printable(&text)),
            How::Rewritten(report) => report.step(text),
        }
    }

    /// A line that stays.
    pub(super) fn note(&self, text: &str) {
        match &self.how {
            How::Silent => {}
            How::Lines => say(printable(text)),
            How::Rewritten(report) => report.note(text),
        }
    }
}
