//! A daemon on a node: how it is started, waited for, and mistreated.

use std::fs;
use std::thread::sleep;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::Live;
use crate::command::Cmd;
use crate::node::Node;

/// How long a daemon may take to answer; other builds may run on this machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// A daemon that is running on a node, with its log in a file.
#[derive(Debug)]
pub struct Daemon {
    live: Live,
}

impl Daemon {
    /// Starts the daemon and waits until `probe` succeeds.
    pub(crate) fn start(node: &Node, argv: &[&str], path: &str, probe: &Cmd) -> Self {
        let log = format!(
            "/var/log/{}.log",
            argv[0].rsplit('/').next().unwrap_or("daemon")
        );
        let script = format!("exec \"$0\" \"$@\" >{log} 2>&1 </dev/null");
        let words = ["sh", "-c", &script]
            .into_iter()
            .chain(argv.iter().copied());
        let command = node
            .command(words)
            .path_first(path)
            .deadline(Duration::MAX / 4);
        let daemon = Self {
            live: command.spawn(),
        };
        let begun = Instant::now();
        while probe.clone().run().code != 0 {
            if begun.elapsed() > PATIENCE {
                let text = fs::read_to_string(node.path(&log)).unwrap_or_default();
                let lines: Vec<_> = text.lines().rev().take(20).collect();
                panic!(
                    "{argv:?} does not answer {probe}; its log, last line first:\n{}",
                    lines.join("\n")
                );
            }
            sleep(Duration::from_millis(20));
        }
        daemon
    }

    /// The host's process ID of the daemon.
    pub fn pid(&self) -> u32 {
        self.live.pid()
    }

    /// Kills the daemon; containers go on.
    pub fn kill(&self) {
        let pid = self.pid();
        self.live.signal(Signal::SIGKILL);
        // Until it is reaped, its sockets may still take connections.
        while fs::exists(format!("/proc/{pid}")).unwrap_or(false) {
            sleep(Duration::from_millis(1));
        }
    }

    /// Stops the daemon: it accepts connections and never answers.
    pub fn stop(&self) {
        self.live.signal(Signal::SIGSTOP);
    }

    /// Lets a stopped daemon go on.
    pub fn resume(&self) {
        let pid = i32::try_from(self.pid()).expect("a process ID fits");
        kill(Pid::from_raw(pid), Signal::SIGCONT).expect("the daemon is there");
    }
}
