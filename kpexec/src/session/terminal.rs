//! The user's terminal: its size, and raw mode for as long as a guard lives.

use std::io;
use std::sync::Once;

use cnsenter_protocol::Size;
use crossterm::terminal::{disable_raw_mode, enable_raw_mode};

/// The terminal in raw mode; as it was once this is dropped, or the program panics.
pub struct Terminal(());

impl Terminal {
    /// Makes the terminal raw: keys are passed on as they are, Ctrl-C too.
    ///
    /// # Errors
    /// When there is none.
    pub fn raw() -> io::Result<Self> {
        // A release aborts at a panic, and drops nothing.
        static HOOK: Once = Once::new();
        HOOK.call_once(|| {
            let next = std::panic::take_hook();
            std::panic::set_hook(Box::new(move |info| {
                let _ = disable_raw_mode();
                next(info);
            }));
        });
        enable_raw_mode()?;
        Ok(Self(()))
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = disable_raw_mode();
    }
}

/// The terminal's size, if it has one.
#[must_use]
pub fn size() -> Option<Size> {
    let (columns, rows) = crossterm::terminal::size().ok()?;
    (columns > 0 && rows > 0).then_some(Size { rows, columns })
}
