//! A command on a terminal, as a person at it would use it.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::num::NonZeroU16;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{OpenOptionsExt, chown};
use std::time::{Duration, Instant};

use rustix::pty::{ptsname, unlockpt};
use rustix::termios::{LocalModes, Termios, Winsize, tcgetattr, tcsetwinsize};

use crate::Live;
use crate::command::Cmd;
use crate::live::Collected;

/// The size of a new terminal.
const ROWS: u16 = 24;
const COLUMNS: u16 = 80;

/// A command on a terminal of the node. It is killed when dropped.
#[derive(Debug)]
pub struct Pty {
    master: File,
    /// Kept open, for the terminal's settings to outlive the command.
    slave: File,
    name: String,
    live: Live,
    screen: Collected,
    size: (u16, u16),
    until: Instant,
}

impl Pty {
    pub(crate) fn start(command: Cmd) -> Self {
        let (node, user, deadline) = command.parts();
        let master = terminal(&node.path("/dev/pts/ptmx"));
        unlockpt(&master).expect("a new terminal can be unlocked");
        let name = ptsname(&master, Vec::new()).expect("a terminal has a name");
        let name = name.into_string().expect("the name of a terminal is ASCII");
        let slave = terminal(&node.path(&name));
        chown(node.path(&name), Some(user), None).expect("a terminal can be given away");

        // The slave becomes the controlling terminal inside of the node, by setsid(1).
        let mut wrapped = command.command_with(&["setsid", "--ctty"]);
        let stream = || OwnedFd::from(slave.try_clone().expect("a file can be opened twice"));
        wrapped.stdin(stream()).stdout(stream()).stderr(stream());
        let screen =
            Collected::from_reader(master.try_clone().expect("a file can be opened twice"));
        let live = Live::start(
            node.clone(),
            format!("{command} on a terminal"),
            wrapped,
            deadline,
        );
        let until = Instant::now() + deadline;
        let terminal = Self {
            master,
            slave,
            name,
            live,
            screen,
            size: (ROWS, COLUMNS),
            until,
        };
        terminal.set_size();
        terminal
    }

    /// The terminal's name in the node: `/dev/pts/N`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The command.
    pub fn live(&self) -> &Live {
        &self.live
    }

    /// Types these keys; Enter is `\r`, Ctrl-C `\x03`.
    pub fn write(&mut self, keys: impl AsRef<[u8]>) {
        self.master
            .write_all(keys.as_ref())
            .expect("a terminal can be typed at");
    }

    /// Waits until this text has appeared in what was written to the terminal, and gives all that
    /// was written to it so far, with its control sequences.
    ///
    /// # Panics
    /// If the deadline passes before that.
    pub fn wait_for(&self, text: &str) -> String {
        self.screen
            .wait_for(text, self.until)
            .unwrap_or_else(|so_far| panic!("the terminal did not show {text:?}, but: {so_far:?}"))
    }

    /// Waits until what a person would see on the screen satisfies the condition, and gives it.
    ///
    /// # Panics
    /// If the deadline passes before that.
    pub fn wait_until(&self, mut condition: impl FnMut(&str) -> bool) -> String {
        let seen = self.screen.wait_with(self.until, |bytes| {
            let screen = self.render(bytes);
            condition(&screen).then_some(screen)
        });
        seen.unwrap_or_else(|| panic!("the screen never became as wanted: {}", self.screen()))
    }

    /// What a person sees on the screen now.
    pub fn screen(&self) -> String {
        self.render(&self.screen.bytes())
    }

    /// Everything that was written to the terminal so far.
    pub fn raw(&self) -> String {
        self.screen.text()
    }

    /// Makes the terminal another size, as by pulling at a window's corner.
    pub fn resize(&mut self, rows: u16, columns: u16) {
        self.size = (rows, columns);
        self.set_size();
    }

    /// The settings of the terminal: compare them before and after a command.
    pub fn termios(&self) -> Termios {
        tcgetattr(&self.slave).expect("a terminal has settings")
    }

    /// Whether programs get each key as it is, and at once.
    pub fn is_raw(&self) -> bool {
        let local = self.termios().local_modes;
        !local.intersects(LocalModes::ICANON | LocalModes::ECHO | LocalModes::ISIG)
    }

    /// Waits for the end of the command, and gives its exit code.
    ///
    /// # Panics
    /// If the deadline passes before that; the command is killed.
    pub fn wait(&mut self) -> i32 {
        self.live.wait_exit()
    }

    /// Time that is left to the command.
    pub fn left(&self) -> Duration {
        self.until.saturating_duration_since(Instant::now())
    }

    fn render(&self, bytes: &[u8]) -> String {
        let side = |length| NonZeroU16::new(length).unwrap_or(NonZeroU16::MIN);
        let mut parser = vt100::Parser::new(side(self.size.0), side(self.size.1), 0);
        parser.process(bytes);
        parser.screen().contents()
    }

    fn set_size(&self) {
        let (ws_row, ws_col) = self.size;
        let size = Winsize {
            ws_row,
            ws_col,
            ws_xpixel: 0,
            ws_ypixel: 0,
        };
        tcsetwinsize(&self.master, size).expect("a terminal can have any size");
    }
}

/// Opens a terminal without making it the controlling one.
fn terminal(path: &std::path::Path) -> File {
    let flags = nix::fcntl::OFlag::O_NOCTTY.bits();
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .custom_flags(flags)
        .open(path);
    file.unwrap_or_else(|error| panic!("open {}: {error}", path.display()))
}
