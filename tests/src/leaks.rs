//! What there is on a node, to see what a command left behind.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::Node;

/// How long something that is on its way out may take.
const GRACE: Duration = Duration::from_secs(5);

/// All that could leak on a node, each thing as a line of text.
///
/// Open files are not among them, because a daemon opens and closes files as it likes; see
/// [`open_files`] for those of one process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    processes: BTreeSet<String>,
    mounts: Vec<String>,
    networks: BTreeSet<String>,
    cgroups: BTreeSet<String>,
    terminals: BTreeSet<String>,
}

impl Snapshot {
    pub(crate) fn take(node: &Node) -> Self {
        let processes = processes(node);
        Self {
            networks: networks(node, &processes),
            processes: processes
                .iter()
                .filter_map(|pid| describe(node, pid))
                .collect(),
            mounts: mounts(node),
            cgroups: node
                .groups()
                .below()
                .iter()
                .map(|path| path.display().to_string())
                .collect(),
            terminals: names(&node.path("/dev/pts")).collect(),
        }
    }

    /// Fails unless the node is again as it was, now or after a short while.
    ///
    /// # Panics
    /// With what has come since.
    pub fn assert_same(&self, node: &Node) {
        let until = Instant::now() + GRACE;
        loop {
            let now = Self::take(node);
            let leaked = now.leaked_since(self);
            if leaked.is_empty() {
                return;
            }
            assert!(
                Instant::now() < until,
                "left behind on {}:\n{}",
                node.name(),
                leaked.join("\n")
            );
            sleep(Duration::from_millis(10));
        }
    }

    /// What is there that was not there before.
    pub fn leaked_since(&self, before: &Self) -> Vec<String> {
        let mut mounts = self.mounts.clone();
        for mount in &before.mounts {
            if let Some(index) = mounts.iter().position(|other| other == mount) {
                mounts.remove(index);
            }
        }
        let named = |kind: &'static str, new: Vec<String>| {
            new.into_iter().map(move |line| format!("  {kind}: {line}"))
        };
        let new = |now: &BTreeSet<String>, before: &BTreeSet<String>| {
            now.difference(before).cloned().collect()
        };
        named("process", new(&self.processes, &before.processes))
            .chain(named("mount", mounts))
            .chain(named(
                "network namespace",
                new(&self.networks, &before.networks),
            ))
            .chain(named("cgroup", new(&self.cgroups, &before.cgroups)))
            .chain(named("terminal", new(&self.terminals, &before.terminals)))
            .collect()
    }
}

/// The files that a process of the host has open, as `fd -> target`.
pub fn open_files(pid: u32) -> BTreeSet<String> {
    let folder = format!("/proc/{pid}/fd");
    let describe = |fd: String| {
        let target = fs::read_link(format!("{folder}/{fd}")).ok()?;
        Some(format!("{fd} -> {}", target.display()))
    };
    names(Path::new(&folder)).filter_map(describe).collect()
}

/// The process IDs on the node, as it counts them.
fn processes(node: &Node) -> Vec<String> {
    names(&node.path("/proc"))
        .filter(|name| name.bytes().all(|byte| byte.is_ascii_digit()))
        .collect()
}

/// `PID command line`, or nothing for a process that has just ended.
fn describe(node: &Node, pid: &str) -> Option<String> {
    let folder = node.path("/proc").join(pid);
    let words = fs::read(folder.join("cmdline")).ok()?;
    let words = String::from_utf8_lossy(&words).replace('\0', " ");
    let name = fs::read_to_string(folder.join("comm")).ok()?;
    Some(format!("{pid} {} {}", name.trim(), words.trim()))
}

/// Podman binds this folder to itself, and undoes that when it likes.
const PODMANS: &str = "/var/lib/containers/storage/overlay";

/// The mount points on the node; IDs and ages do not matter.
fn mounts(node: &Node) -> Vec<String> {
    let text = fs::read_to_string(format!("/proc/{}/mountinfo", node.init())).unwrap_or_default();
    let brief = |line: &str| {
        let (place, source) = line.split_once(" - ")?;
        let place = place.split(' ').nth(4).filter(|&place| place != PODMANS)?;
        Some(format!("{place} {}", source.split(' ').next()?))
    };
    text.lines().filter_map(brief).collect()
}

/// The network namespaces that processes of the node are in.
fn networks(node: &Node, processes: &[String]) -> BTreeSet<String> {
    let link = |pid: &String| fs::read_link(node.path("/proc").join(pid).join("ns/net")).ok();
    processes
        .iter()
        .filter_map(link)
        .map(|link| link.display().to_string())
        .collect()
}

fn names(folder: &Path) -> impl Iterator<Item = String> + use<> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries.map(|entry| entry.file_name().to_string_lossy().into_owned())
}
