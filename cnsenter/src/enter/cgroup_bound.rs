//! `--memory`: a bound on what the command, and all that it starts, may have.

use std::io;

use nix::errno::Errno;
use nix::unistd::Pid;

use super::cgroup_leaf::{Leaf, Site};
use super::cgroup_mounts::{Mounts, memberships};

/// How much, in bytes, and where that is seen to.
#[derive(Debug)]
pub(super) enum Bound {
    /// v2: on the command's leaf, which has to be beside our own group. That one has processes, so
    /// it gives out no memory ("no internal processes", cgroups(7)); the one above it does.
    OnLeaf { bytes: u64 },
    /// v1: by a group of its own in the hierarchy of the memory controller.
    ByGroup {
        bytes: u64,
        site: Site,
        group: Option<Leaf>,
    },
}

impl Bound {
    /// # Errors
    /// ENOENT where there is no memory controller.
    pub(super) fn new(mounts: &Mounts, own_cgroup: &[u8], bytes: u64) -> io::Result<Self> {
        let memory = memberships(own_cgroup).find(|m| m.has("memory"));
        match memory.and_then(|m| mounts.directory(&m)) {
            Some(group) => Ok(Self::ByGroup {
                bytes,
                site: Site::below(&group, false)?,
                group: None,
            }),
            None if mounts.unified().is_some() => Ok(Self::OnLeaf { bytes }),
            None => Err(Errno::ENOENT.into()),
        }
    }

    pub(super) fn is_on_leaf(&self) -> bool {
        matches!(self, Self::OnLeaf { .. })
    }

    /// Where a group is made besides the leaf.
    pub(super) fn site(&self) -> Option<&Site> {
        match self {
            Self::OnLeaf { .. } => None,
            Self::ByGroup { site, .. } => Some(site),
        }
    }

    /// That group, for its removal.
    pub(super) fn take_group(&mut self) -> Option<Leaf> {
        match self {
            Self::OnLeaf { .. } => None,
            Self::ByGroup { group, .. } => group.take(),
        }
    }

    /// Sets the bound. A command that swaps instead would have none: where swap is counted it gets
    /// none of it.
    ///
    /// # Errors
    /// As mkdir(2) and write(2).
    pub(super) fn put_in_force(&mut self, leaf: Option<&Leaf>) -> io::Result<()> {
        match self {
            Self::OnLeaf { bytes } => {
                let leaf = leaf.ok_or(Errno::ENOENT)?;
                leaf.write("memory.max", &bytes.to_string())?;
                let _ = leaf.write("memory.swap.max", "0");
            }
            Self::ByGroup { bytes, site, group } => {
                let made = group.insert(site.make()?);
                made.write("memory.limit_in_bytes", &bytes.to_string())?;
                let _ = made.write("memory.memsw.limit_in_bytes", &bytes.to_string());
            }
        }
        Ok(())
    }

    /// Whether something was killed for wanting more.
    pub(super) fn has_killed(&self, leaf: Option<&Leaf>) -> bool {
        let told = match self {
            Self::OnLeaf { .. } => leaf.map(|leaf| leaf.read("memory.events")),
            Self::ByGroup { group, .. } => group.as_ref().map(|g| g.read("memory.oom_control")),
        };
        let Some(Ok(told)) = told else {
            return false;
        };
        let mut counts = told.lines().filter_map(|l| l.strip_prefix("oom_kill "));
        counts.any(|count| count.trim() != "0")
    }

    /// Moves the command into the group, if there is one.
    ///
    /// # Errors
    /// As write(2) to `cgroup.procs`.
    pub(super) fn admit(&self, pid: Pid) -> io::Result<()> {
        match self {
            Self::ByGroup {
                group: Some(group), ..
            } => group.admit(pid),
            _ => Ok(()),
        }
    }
}
