//! The least that a test of running commands needs: a node with runc and one container on it.

use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::{Cmd, Container, ContainerSpec, Kind, Node, Runtime};

/// How long [`eventually`] waits; other builds may run on this machine.
const PATIENCE: Duration = Duration::from_secs(20);

/// A node, a runtime on it, and a container that sleeps.
#[derive(Debug)]
pub struct Stage {
    /// The node.
    pub node: Node,
    /// Its runtime.
    pub runtime: Box<dyn Runtime>,
    /// Its container, which is named by [`Stage::target`].
    pub container: Container,
}

impl Stage {
    /// A locked-down container of runc's.
    pub fn new() -> Self {
        Self::of(Kind::Runc11, &Self::spec())
    }

    /// The container of [`Stage::new`]. Its init buries what is orphaned in it: under one that
    /// does not, whatever outlived its parent would be there as a zombie for ever.
    pub fn spec() -> ContainerSpec {
        let argv = ["sh", "-c", "sleep 1000000 & wait"];
        ContainerSpec::new("stage", argv).uid(1000).drop_all_caps()
    }

    /// A container of any kind.
    pub fn of(kind: Kind, spec: &ContainerSpec) -> Self {
        let node = Node::start();
        let runtime = kind.start(&node);
        let container = runtime.run(spec);
        node.cnsenter(["--version"]).ok();
        Self {
            node,
            runtime,
            container,
        }
    }

    /// The container's name that needs no runtime to be found: `pid:N`.
    pub fn target(&self) -> String {
        format!("pid:{}", self.container.pid)
    }

    /// cnsenter with these flags, for this command in the container.
    pub fn cnsenter(&self, flags: &[&str], argv: &[&str]) -> Cmd {
        let target = self.target();
        let words = flags.iter().copied().chain([target.as_str(), "--"]);
        self.node.cnsenter(words.chain(argv.iter().copied()))
    }

    /// As [`Stage::cnsenter`], for a script.
    pub fn sh(&self, flags: &[&str], script: &str) -> Cmd {
        self.cnsenter(flags, &["sh", "-c", script])
    }

    /// Kills the guard process of the only cnsenter that runs, and waits for the one that takes its
    /// place.
    ///
    /// # Panics
    /// If none does.
    pub fn replace_guard(&self) {
        let guards = || self.node.command(["pgrep", "-x", "cnsenter-guard"]).run();
        let first = guards().out();
        self.node.command(["kill", "-KILL", first.trim()]).ok();
        eventually("another guard has taken its place", || {
            let now = guards();
            now.code == 0 && now.out() != first
        });
    }

    /// The reference: nsenter(1) into all of the container's namespaces.
    pub fn nsenter(&self, argv: &[&str]) -> Cmd {
        let pid = self.container.pid.to_string();
        let words = ["nsenter", "-t", &pid, "-a"];
        self.node.command(words.iter().chain(argv))
    }

    /// A script of Bash on the node. `$T` is the container for cnsenter, `$P` its process ID.
    pub fn bash(&self, script: &str) -> Cmd {
        let words = ["bash", "--norc", "-c", script];
        self.with_target(self.node.command(words))
    }

    /// An interactive Bash on the node, with the same variables; to be run on a terminal.
    pub fn shell(&self) -> Cmd {
        let command = self.node.command(["bash", "--norc", "--noprofile", "-i"]);
        // A terminal that can do nothing: the output has no control sequences then.
        let command = command.env("PS1", "node> ").env("TERM", "dumb");
        self.with_target(command)
    }

    fn with_target(&self, command: Cmd) -> Cmd {
        let pid = self.container.pid.to_string();
        command.env("T", self.target()).env("P", pid)
    }
}

impl Default for Stage {
    fn default() -> Self {
        Self::new()
    }
}

/// Waits until the condition holds.
///
/// # Panics
/// If it does not within 20 seconds.
pub fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    let until = Instant::now() + PATIENCE;
    while !condition() {
        assert!(Instant::now() < until, "it never came to this: {what}");
        sleep(Duration::from_millis(5));
    }
}
