//! Nothing runs with other rights than those that were planned: what is in force for the command
//! is read back through the node's /proc while it waits just before its exec.

use super::Error;
use crate::hostproc::{Process, Status};
use crate::plan::Plan;
use crate::request::Namespace;

/// Compares `command`, which waits, with the plan. `own` is our own status.
pub(super) fn verify(command: &Process, plan: &Plan, own: &Status) -> Result<(), Error> {
    for (ns, planned) in plan.join.iter().chain(&plan.join_node) {
        let found = command.namespace(ns.proc_name())?;
        if found != Some(*planned) {
            let show = found.map_or("none".to_owned(), |id| id.0.to_string());
            return Err(differs(namespace_name(*ns), show, planned.0.to_string()));
        }
    }
    let status = command.status()?;
    let id = &plan.identity;
    numbers("user IDs", &status.numbers("Uid"), &[id.host_uid; 4])?;
    numbers("group IDs", &status.numbers("Gid"), &[id.host_gid; 4])?;
    let mut groups = status.numbers("Groups");
    groups.sort_unstable();
    let mut planned = id.host_groups.clone();
    planned.sort_unstable();
    numbers("supplementary groups", &groups, &planned)?;
    // What exec makes of root's capabilities is decided by the bounding set and the inheritable
    // one; those of other users are gone already.
    mask(
        "permitted capabilities",
        status.mask("CapPrm"),
        plan.capabilities,
    )?;
    mask("bounding set", status.mask("CapBnd"), plan.bounding)?;
    mask("inheritable capabilities", status.mask("CapInh"), 0)?;
    mask("ambient capabilities", status.mask("CapAmb"), 0)?;
    for what in ["NoNewPrivs", "Seccomp"] {
        let show = |s: &Status| s.field(what).unwrap_or("unknown").to_owned();
        if show(&status) != show(own) {
            return Err(differs(what, show(&status), show(own)));
        }
    }
    // The LSM's label for exec is not among them: Linux 6.1 shows every reader its own (6.12 does
    // not), so the command reads it back itself.
    Ok(())
}

fn numbers(what: &'static str, found: &[u32], planned: &[u32]) -> Result<(), Error> {
    if found == planned {
        return Ok(());
    }
    Err(differs(what, format!("{found:?}"), format!("{planned:?}")))
}

fn mask(what: &'static str, found: Option<u64>, planned: u64) -> Result<(), Error> {
    if found == Some(planned) {
        return Ok(());
    }
    let show = found.map_or("unknown".to_owned(), |m| format!("{m:x}"));
    Err(differs(what, show, format!("{planned:x}")))
}

fn differs(what: &'static str, found: String, planned: String) -> Error {
    Error::NotAsPlanned {
        what,
        found,
        planned,
    }
}

fn namespace_name(ns: Namespace) -> &'static str {
    match ns {
        Namespace::User => "user namespace",
        Namespace::Cgroup => "cgroup namespace",
        Namespace::Ipc => "IPC namespace",
        Namespace::Uts => "UTS namespace",
        Namespace::Net => "network namespace",
        Namespace::Pid => "PID namespace",
        Namespace::Time => "time namespace",
        Namespace::Mount => "mount namespace",
    }
}
