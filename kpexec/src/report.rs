//! What the user is told while nothing of the command is there yet: notes, and on a terminal what is
//! being waited for, on a line that goes away again.

use std::fmt::Display;
use std::io::{self, BufWriter, Write};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crossterm::cursor::MoveToColumn;
use crossterm::execute;
use crossterm::style::Print;
use crossterm::terminal::{self, Clear, ClearType};
use tokio::task::{AbortHandle, JoinHandle};

use crate::stderr::{printable, say};

/// Whoever waits no longer than this need not know for what.
const PATIENCE: Duration = Duration::from_millis(300);

/// The width of a terminal that does not tell its own, in columns.
const COLUMNS: u16 = 80;

/// Notes, and what is being waited for.
pub struct Report {
    quiet: bool,
    line: Arc<Mutex<Line>>,
    timer: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Line {
    text: String,
    is_shown: bool,
    has_asked: bool,
}

impl Report {
    /// Begins to wait. Nothing but errors is said if `quiet`, and only `on_terminal` what is being
    /// waited for. To be called where tokio runs.
    #[must_use]
    pub fn new(quiet: bool, on_terminal: bool) -> Self {
        let line = Arc::new(Mutex::new(Line::default()));
        let timer = (on_terminal && !quiet).then(|| {
            let line = line.clone();
            tokio::spawn(async move {
                tokio::time::sleep(PATIENCE).await;
                let mut line = line.lock().unwrap_or_else(PoisonError::into_inner);
                line.is_shown = true;
                // Where nothing is said yet, the line may be a credential plugin's.
                if !line.text.is_empty() {
                    line.draw();
                }
            })
        });
        Self { quiet, line, timer }
    }

    /// What is being waited for from now on.
    pub fn step(&self, text: impl Display) {
        let mut line = self.line();
        line.text = printable(&text.to_string());
        if line.is_shown {
            line.draw();
        }
    }

    /// Tells what the user should know, unless that is nothing but errors.
    pub fn note(&self, text: &str) {
        if !self.quiet {
            self.say(printable(text));
        }
    }

    /// A line on stderr.
    pub fn say(&self, text: impl Display) {
        self.line().say(text);
    }

    /// Whether the user was asked something meanwhile.
    #[must_use]
    pub fn has_asked(&self) -> bool {
        self.line().has_asked
    }

    /// For whoever asks the user something meanwhile.
    #[must_use]
    pub fn pause(&self) -> Pause {
        Pause {
            quiet: self.quiet,
            line: self.line.clone(),
            timer: self.timer.as_ref().map(JoinHandle::abort_handle),
        }
    }

    /// Nothing is waited for any more.
    pub fn end(&mut self) {
        if let Some(timer) = self.timer.take() {
            timer.abort();
        }
        let mut line = self.line();
        if line.is_shown {
            line.is_shown = false;
            draw("");
        }
    }

    fn line(&self) -> std::sync::MutexGuard<'_, Line> {
        self.line.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What takes a report's line away: the terminal's line is needed for something else.
#[derive(Clone)]
pub struct Pause {
    quiet: bool,
    line: Arc<Mutex<Line>>,
    timer: Option<AbortHandle>,
}

impl Pause {
    /// Whoever has been asked something need not be told any more what is waited for.
    pub fn take_line_back(&self) {
        self.make_room();
        let mut line = self.line.lock().unwrap_or_else(PoisonError::into_inner);
        line.has_asked = true;
    }

    /// A program that we start may ask something on the terminal, and its question be the line.
    pub fn make_room(&self) {
        if let Some(timer) = &self.timer {
            timer.abort();
        }
        let mut line = self.line.lock().unwrap_or_else(PoisonError::into_inner);
        if std::mem::take(&mut line.is_shown) {
            draw("");
        }
    }

    /// As [`Report::note`].
    pub fn note(&self, text: &str) {
        if !self.quiet {
            let line = self.line.lock().unwrap_or_else(PoisonError::into_inner);
            line.say(printable(text));
        }
    }
}

impl Drop for Report {
    fn drop(&mut self) {
        self.end();
    }
}

impl Line {
    fn say(&self, text: impl Display) {
        if self.is_shown {
            draw("");
            say(text);
            self.draw();
        } else {
            say(text);
        }
    }

    fn draw(&self) {
        draw(&self.text);
    }
}

/// Writes over the terminal's line. Nobody is left to be told if that fails.
fn draw(text: &str) {
    if !is_ours() {
        return;
    }
    let columns = terminal::size().map_or(COLUMNS, |(columns, _)| columns);
    let shown = fitted(text, usize::from(columns));
    let mut stderr = BufWriter::new(io::stderr());
    let clear = Clear(ClearType::UntilNewLine);
    let _ = execute!(stderr, MoveToColumn(0), clear, Print(shown));
    let _ = stderr.flush();
}

/// Whether the terminal's line is ours, and not the one that is being typed while we are in the background.
#[cfg(unix)]
fn is_ours() -> bool {
    let in_front = rustix::termios::tcgetpgrp(io::stderr());
    in_front.is_ok_and(|group| group == rustix::process::getpgrp())
}

#[cfg(not(unix))]
fn is_ours() -> bool {
    true
}

/// As much as stays on one line.
fn fitted(text: &str, columns: usize) -> String {
    let room = columns.saturating_sub(1);
    if text.chars().count() <= room {
        return text.to_owned();
    }
    let cut: String = text.chars().take(room.saturating_sub(1)).collect();
    cut + "…"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_stays_one_line() {
        assert_eq!(fitted("resolving web…", 80), "resolving web…");
        assert_eq!(fitted("resolving web…", 10), "resolvin…");
        assert_eq!(fitted("resolving", 0), "…");
    }

    #[tokio::test(start_paused = true)]
    async fn only_who_waits_is_told_for_what() {
        let mut report = Report::new(false, true);
        report.step("resolving");
        tokio::time::sleep(PATIENCE / 2).await;
        assert!(!report.line().is_shown);
        tokio::time::sleep(PATIENCE).await;
        assert!(report.line().is_shown);
        report.end();
        assert!(!report.line().is_shown);
        for report in [Report::new(true, true), Report::new(false, false)] {
            tokio::time::sleep(PATIENCE * 2).await;
            assert!(!report.line().is_shown);
        }
    }
}
