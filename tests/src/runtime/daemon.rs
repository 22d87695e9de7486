//! A daemon on a node: how it is started, waited for, and mistreated.

use std::fs;
use std::sync::{Mutex, MutexGuard, PoisonError};
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
    node: Node,
    what: String,
    log: String,
    command: Cmd,
    live: Mutex<Live>,
}

impl Daemon {
    /// Starts the daemon and waits until `probe` succeeds.
    pub(crate) fn start(node: &Node, argv: &[&str], path: &str, probe: &Cmd) -> Self {
        let name = argv[0].rsplit('/').next().unwrap_or("daemon");
        let daemon = Self::spawn(name, node, argv, path);
        daemon.answers(probe);
        daemon
    }

    /// Starts the daemon; its log is `/var/log/NAME.log`, its programs are found in `path` first.
    pub(crate) fn spawn(name: &str, node: &Node, argv: &[&str], path: &str) -> Self {
        let log = format!("/var/log/{name}.log");
        let script = format!("exec \"$0\" \"$@\" >{log} 2>&1 </dev/null");
        let words = ["sh", "-c", &script]
            .into_iter()
            .chain(argv.iter().copied());
        let command = node
            .command(words)
            .path_first(path)
            .deadline(Duration::MAX / 4);
        Self {
            node: node.clone(),
            what: argv.join(" "),
            log,
            live: Mutex::new(command.clone().spawn()),
            command,
        }
    }

    fn live(&self) -> MutexGuard<'_, Live> {
        self.live.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until `probe` succeeds.
    ///
    /// # Panics
    /// If that takes too long; with the end of the daemon's log.
    pub(crate) fn answers(&self, probe: &Cmd) {
        let begun = Instant::now();
        loop {
            let output = probe.clone().run();
            if output.code == 0 {
                return;
            }
            assert!(
                begun.elapsed() < PATIENCE,
                "{} does not answer {probe}: {output}; its log, last line first:\n{}",
                self.what,
                self.log_backwards(20)
            );
            sleep(Duration::from_millis(20));
        }
    }

    /// The last lines of the log, the newest first.
    pub(crate) fn log_backwards(&self, lines: usize) -> String {
        let text = fs::read_to_string(self.node.path(&self.log)).unwrap_or_default();
        let lines: Vec<_> = text.lines().rev().take(lines).collect();
        lines.join("\n")
    }

    /// The host's process ID of the daemon.
    pub fn pid(&self) -> u32 {
        self.live().pid()
    }

    /// Kills the daemon; containers go on.
    pub fn kill(&self) {
        let pid = self.pid();
        self.live().signal(Signal::SIGKILL);
        // Until it is reaped, its sockets may still take connections.
        while fs::exists(format!("/proc/{pid}")).unwrap_or(false) {
            sleep(Duration::from_millis(1));
        }
    }

    /// Kills the daemon and starts it anew; its log begins anew as well.
    pub fn restart(&self) {
        self.kill();
        *self.live() = self.command.clone().spawn();
    }

    /// Stops the daemon: it accepts connections and never answers.
    pub fn stop(&self) {
        self.live().signal(Signal::SIGSTOP);
    }

    /// Lets a stopped daemon go on.
    pub fn resume(&self) {
        let pid = i32::try_from(self.pid()).expect("a process ID fits");
        kill(Pid::from_raw(pid), Signal::SIGCONT).expect("the daemon is there");
    }
}
