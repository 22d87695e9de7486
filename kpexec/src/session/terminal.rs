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
                restore();
                next(info);
            }));
        });
        enable_raw_mode()?;
        #[cfg(windows)]
        console::speak_terminal(true);
        Ok(Self(()))
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        restore();
    }
}

/// Makes the terminal what it was before it was raw. Nobody is left to be told if that fails.
pub(super) fn restore() {
    #[cfg(windows)]
    console::speak_terminal(false);
    let _ = disable_raw_mode();
}

/// What a Windows console has to be told before it is a terminal.
#[cfg(windows)]
mod console {
    use crossterm_winapi::{ConsoleMode, Handle};

    /// ENABLE_VIRTUAL_TERMINAL_INPUT: arrows and the like come as escape sequences.
    const TERMINAL_INPUT: u32 = 0x200;

    /// Consoles before Windows 10 cannot: what is typed and shown there is text alone.
    pub(super) fn speak_terminal(on: bool) {
        // Makes escape sequences work on the screen, too.
        let _ = crossterm::ansi_support::supports_ansi();
        let Ok(console) = Handle::current_in_handle().map(ConsoleMode::from) else {
            return;
        };
        if let Ok(mode) = console.mode() {
            let others = mode & !TERMINAL_INPUT;
            let _ = console.set_mode(if on { others | TERMINAL_INPUT } else { others });
        }
    }
}

/// The terminal's size, if it has one.
#[must_use]
pub fn size() -> Option<Size> {
    let (columns, rows) = crossterm::terminal::size().ok()?;
    (columns > 0 && rows > 0).then_some(Size { rows, columns })
}
