//! Control groups and their limits (cgroups(7)), as the node's mounts show them.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Component, Path, PathBuf};

use serde::Serialize;

use super::mounts::Mount;

/// The most that is read of one setting, in bytes.
const LIMIT: u64 = 4096;

/// What is told of a v2 group: limits, and use where a limit is judged by it.
const V2: &[&str] = &[
    "cgroup.events",
    "cpu.max",
    "cpu.weight",
    "cpuset.cpus.effective",
    "memory.current",
    "memory.high",
    "memory.max",
    "memory.oom.group",
    "memory.swap.max",
    "pids.current",
    "pids.max",
];

/// The same of v1, whichever controllers a hierarchy has.
const V1: &[&str] = &[
    "cpu.cfs_period_us",
    "cpu.cfs_quota_us",
    "cpu.shares",
    "cpuset.cpus",
    "freezer.state",
    "memory.limit_in_bytes",
    "memory.memsw.limit_in_bytes",
    "memory.usage_in_bytes",
    "pids.current",
    "pids.max",
];

/// A process's group in one hierarchy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Membership {
    /// `v2`, else the controllers or `name=...` of a v1 hierarchy.
    pub hierarchy: String,
    /// The group, from the root that we see.
    pub path: String,
    /// What its files say, by name: those above that there are.
    pub settings: BTreeMap<&'static str, String>,
}

/// The groups that a /proc/PID/cgroup names, with their settings as `node_mounts` show them.
#[must_use]
pub fn memberships(file: &[u8], node_mounts: &[Mount]) -> Vec<Membership> {
    let mut groups = parse(file);
    for group in &mut groups {
        let Some(directory) = directory(group, node_mounts) else {
            continue;
        };
        let names = if group.hierarchy == "v2" { V2 } else { V1 };
        group.settings = names
            .iter()
            .filter_map(|name| Some((*name, read(&directory.join(name))?)))
            .collect();
    }
    groups
}

/// Reads a /proc/PID/cgroup, without settings. A group's name may hold ":"; lines of another form
/// are passed over.
#[must_use]
pub fn parse(file: &[u8]) -> Vec<Membership> {
    let membership = |line: &[u8]| {
        let line = String::from_utf8_lossy(line);
        let mut fields = line.splitn(3, ':');
        let (_, controllers, path) = (fields.next()?, fields.next()?, fields.next()?);
        Some(Membership {
            hierarchy: match controllers {
                "" => "v2".to_owned(),
                v1 => v1.to_owned(),
            },
            path: path.to_owned(),
            settings: BTreeMap::new(),
        })
    };
    file.split(|b| *b == b'\n').filter_map(membership).collect()
}

/// Where we see a group: below the mount of its hierarchy. None if it is not mounted here, or our
/// cgroup namespace does not reach it ("/../x", cgroup_namespaces(7)).
fn directory(group: &Membership, mounts: &[Mount]) -> Option<PathBuf> {
    let below = Path::new(&group.path).strip_prefix("/").ok()?;
    if !below
        .components()
        .all(|c| matches!(c, Component::Normal(_)))
    {
        return None;
    }
    let is_its = |mount: &&Mount| match group.hierarchy.as_str() {
        "v2" => mount.fstype == "cgroup2",
        v1 => {
            let has = |controller: &str| mount.super_options.iter().any(|o| o == controller);
            mount.fstype == "cgroup" && v1.split(',').all(has)
        }
    };
    let mount = mounts.iter().filter(|m| m.root == "/").find(is_its)?;
    Some(Path::new(&mount.target).join(below))
}

fn read(path: &Path) -> Option<String> {
    let mut text = String::new();
    let file = std::fs::File::open(path).ok()?;
    file.take(LIMIT).read_to_string(&mut text).ok()?;
    Some(text.trim_end().to_owned())
}

/// Whether a freezer holds the process, of its own group or of one above. None if no hierarchy
/// says so.
#[must_use]
pub fn is_frozen(groups: &[Membership]) -> Option<bool> {
    let of = |group: &Membership| {
        let events = group.settings.get("cgroup.events");
        let state = group.settings.get("freezer.state");
        events
            .map(|e| e.lines().any(|l| l == "frozen 1"))
            .or_else(|| state.map(|s| s != "THAWED"))
    };
    groups.iter().filter_map(of).reduce(|a, b| a || b)
}
