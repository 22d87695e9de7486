//! Where the command is, and with it everything it starts: a leaf of its own, its memory's bound,
//! and whatever else it joins.

use std::io;
use std::os::fd::{AsFd, OwnedFd};

use nix::errno::Errno;
use nix::fcntl::open;
use nix::sys::stat::Mode;
use nix::unistd::Pid;

use super::cgroup_bound::Bound;
use super::cgroup_leaf::{DIRECTORY, Leaf, Site, WRITE, write_pid};
use super::cgroup_mounts::{Membership, Mounts, memberships};

/// Where the command's leaf is made, and what else it joins.
#[derive(Debug)]
pub(super) struct Placement {
    /// Where a leaf may be made, the best place first.
    sites: Vec<Site>,
    /// Whether it is an error if none can be made.
    needs_leaf: bool,
    /// None where no cgroup can be had: then only PR_SET_PDEATHSIG is left.
    pub(super) leaf: Option<Leaf>,
    /// How much memory the command may have, and how that is seen to.
    bound: Option<Bound>,
    /// The `cgroup.procs` of the target's groups to be joined.
    pub(super) join: Vec<OwnedFd>,
    /// A cgroup outside both ours and the target's, for the guard.
    pub(super) outside: Option<OwnedFd>,
}

impl Placement {
    /// A group of our own: the container's limits do not hold, but this bound on memory may.
    ///
    /// # Errors
    /// When memory cannot be bounded.
    pub(super) fn own(mounts: &Mounts, own_cgroup: &[u8], memory: Option<u64>) -> io::Result<Self> {
        let bound = memory.map(|bytes| Bound::new(mounts, own_cgroup, bytes));
        let bound = bound.transpose()?;
        let beside = bound.as_ref().is_some_and(Bound::is_on_leaf);
        let place = |m: &Membership<'_>| {
            let group = mounts.directory(m)?;
            let place = match group.parent() {
                Some(above) if beside && m.is_v2() && !m.is_root() => above,
                _ => &group,
            };
            Site::below(place, m.is_v2()).ok()
        };
        let sites = memberships(own_cgroup)
            .filter(|m| m.is_v2())
            .chain(memberships(own_cgroup).filter(|m| m.has("freezer")))
            .filter_map(|m| place(&m))
            .collect();
        Ok(Self {
            sites,
            needs_leaf: beside,
            leaf: None,
            bound,
            join: Vec::new(),
            outside: None,
        })
    }

    /// The target's groups. With v2 a leaf below it, so that its limits hold and the leaf can
    /// still be killed alone. With v1 every group but the freezer's, which is our own: so a
    /// command can be killed while the container is paused (KILL does nothing in a frozen group).
    ///
    /// # Errors
    /// When one of the target's groups cannot be opened.
    pub(super) fn target(
        mounts: &Mounts,
        own_cgroup: &[u8],
        target_cgroup: &[u8],
    ) -> io::Result<Self> {
        let unified = mounts.unified();
        let sites = if unified.is_some() {
            let below = memberships(target_cgroup)
                .find(Membership::is_v2)
                .and_then(|m| mounts.directory(&m))
                .ok_or(Errno::ENOENT)?;
            vec![Site::below(&below, true)?]
        } else {
            Self::own(mounts, own_cgroup, None)?.sites
        };
        let join = memberships(target_cgroup)
            .filter(|m| !m.is_v2() && !m.has("freezer"))
            .filter_map(|m| mounts.directory(&m))
            .map(|dir| Ok(open(&dir.join("cgroup.procs"), WRITE, Mode::empty())?))
            .collect::<io::Result<_>>()?;
        let outside = unified.and_then(|root| open(root, DIRECTORY, Mode::empty()).ok());
        Ok(Self {
            sites,
            needs_leaf: unified.is_some(),
            leaf: None,
            bound: None,
            join,
            outside,
        })
    }

    /// Where the leaf may be once [`Placement::settle`] has made it: what a guard watches.
    pub(super) fn sites(&self) -> Vec<&Site> {
        let bound = self.bound.as_ref().and_then(Bound::site);
        self.sites.iter().chain(bound).collect()
    }

    /// Makes the leaf. To be called when the guard is posted: whoever is killed right after this
    /// leaves nothing behind.
    ///
    /// # Errors
    /// As mkdir(2), where there has to be one; EMFILE anywhere.
    pub(super) fn settle(&mut self) -> io::Result<()> {
        let mut refusal = io::Error::from(Errno::ENOENT);
        for site in &self.sites {
            match site.make() {
                Ok(leaf) => {
                    self.leaf = Some(leaf);
                    break;
                }
                Err(e) => refusal = e,
            }
        }
        // Where too few files may be open a group could be made, and is needed as anywhere.
        let needed = self.needs_leaf || refusal.raw_os_error() == Some(Errno::EMFILE as i32);
        if needed && self.leaf.is_none() {
            return Err(refusal);
        }
        match &mut self.bound {
            Some(bound) => bound.put_in_force(self.leaf.as_ref()),
            None => Ok(()),
        }
    }

    /// Whether something was killed for wanting more memory than the bound.
    pub(super) fn has_killed_for_memory(&self) -> bool {
        let leaf = self.leaf.as_ref();
        self.bound
            .as_ref()
            .is_some_and(|bound| bound.has_killed(leaf))
    }

    /// Removes what was made.
    ///
    /// # Errors
    /// As [`Leaf::remove`].
    pub(super) fn remove(&mut self) -> io::Result<()> {
        let bound = self.bound.as_mut().and_then(Bound::take_group);
        let removed = [self.leaf.take(), bound].into_iter().flatten();
        removed
            .map(|leaf| leaf.remove())
            .fold(Ok(()), io::Result::and)
    }

    /// Moves `pid` into the target's groups, and into the leaf unless it was born there.
    ///
    /// # Errors
    /// As write(2) to `cgroup.procs` (cgroups(7)).
    pub(super) fn admit(&self, pid: Pid, born_in_leaf: bool) -> io::Result<()> {
        for procs in &self.join {
            write_pid(procs.as_fd(), pid)?;
        }
        if let Some(bound) = &self.bound {
            bound.admit(pid)?;
        }
        match &self.leaf {
            Some(leaf) if !born_in_leaf => leaf.admit(pid),
            _ => Ok(()),
        }
    }
}
