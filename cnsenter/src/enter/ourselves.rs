//! Whether we ourselves are able to enter anything: told before anything is looked for.

use std::io;

use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::sched::{CloneFlags, setns};

use super::{During, Error, NODES_INIT};
use crate::hostproc::{HostProc, Process, Status};
use crate::request::Lookup;
use crate::sys::process::{Fork, exit_now, fork, no_fd};

/// The capabilities without which a container cannot be entered (setns(2), chroot(2), setuid(2),
/// and ptrace access mode checks on the target's /proc files).
const NEEDED: [(u32, &str); 5] = [
    (21, "CAP_SYS_ADMIN"),
    (18, "CAP_SYS_CHROOT"),
    (19, "CAP_SYS_PTRACE"),
    (7, "CAP_SETUID"),
    (6, "CAP_SETGID"),
];

/// This process, found fit.
#[derive(Debug)]
pub struct Ourselves {
    /// Our directory in the node's /proc.
    pub process: Process,
    /// Our status there.
    pub status: Status,
}

impl Ourselves {
    /// Reads our own status and checks it; `lookup` says where the node's root is.
    ///
    /// # Errors
    /// When a capability is missing, a seccomp filter is in the way, or we have several threads.
    pub fn check(proc: &HostProc, lookup: &Lookup) -> Result<Self, Error> {
        let process = proc.own()?;
        let status = process.status()?;
        check_capabilities(status.mask("CapEff").unwrap_or(0))?;
        match status.field("Threads") {
            Some("1") => {}
            other => {
                return Err(Error::Threads(
                    other.unwrap_or("no known number of").to_owned(),
                ));
            }
        }
        if status.field("Seccomp").is_some_and(|mode| mode != "0") && setns_is_filtered()? {
            return Err(Error::OwnSeccomp("setns"));
        }
        if !lookup.is_on_node() {
            // Where it cannot be left, our pod's own groups are all there are.
            let _ = leave_cgroup_namespace(proc);
        }
        Ok(Self { process, status })
    }
}

fn check_capabilities(effective: u64) -> Result<(), Error> {
    let missing: Vec<_> = NEEDED
        .into_iter()
        .filter(|(bit, _)| effective & (1 << bit) == 0)
        .map(|(_, name)| name)
        .collect();
    if missing.is_empty() {
        Ok(())
    } else {
        Err(Error::MissingCapability(missing.join(", ")))
    }
}

/// In a pod we are most likely in a cgroup namespace of its own, from which no other group can be
/// named, let alone joined (cgroup_namespaces(7); `nsdelegate`, cgroups(7)): the node's init is in
/// the one that shows them all.
fn leave_cgroup_namespace(proc: &HostProc) -> io::Result<()> {
    let init = proc.process(NODES_INIT).map_err(io::Error::other)?;
    let flags = OFlag::O_RDONLY | OFlag::O_CLOEXEC;
    let namespace = init.open("ns/cgroup", flags).map_err(io::Error::other)?;
    Ok(setns(namespace, CloneFlags::CLONE_NEWCGROUP)?)
}

/// Asks for something harmless, in a child, since a filter may also kill: EBADF is the kernel's
/// own answer.
fn setns_is_filtered() -> Result<bool, Error> {
    match fork().during("fork")? {
        Fork::Child => {
            let answer = setns(no_fd(), CloneFlags::empty());
            exit_now(i32::from(answer != Err(Errno::EBADF)));
        }
        Fork::Parent(pid) => {
            let status = nix::sys::wait::waitpid(pid, None).during("wait for a child")?;
            Ok(status != nix::sys::wait::WaitStatus::Exited(pid, 0))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::check_capabilities;

    #[test]
    fn missing_capabilities_are_named() {
        assert!(check_capabilities(u64::MAX).is_ok());
        let error = check_capabilities(1 << 19).unwrap_err().to_string();
        assert!(
            error.contains("CAP_SYS_ADMIN, CAP_SYS_CHROOT, CAP_SETUID, CAP_SETGID"),
            "{error}"
        );
    }
}
