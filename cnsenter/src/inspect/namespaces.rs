//! Which namespaces the init is in, and who else is.

use nix::unistd::Pid;
use serde::Serialize;

use crate::hostproc::{Error, HostProc, Process};
use crate::request::Namespace;

/// One namespace of the init.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Entered {
    /// Its kind.
    pub kind: Namespace,
    /// Its inode number, as `readlink /proc/PID/ns/*` and lsns(8) show it.
    pub inode: u64,
    /// Whether the node's own init is in it: then the container has none of its own. None where we
    /// may not look at PID 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shared_with_node: Option<bool>,
    /// Whether cnsenter is in it.
    pub shared_with_us: bool,
}

/// The namespaces of each kind that this kernel has.
///
/// # Errors
/// When the process has ended, or our own cannot be read.
pub fn read(proc: &HostProc, process: &Process) -> Result<Vec<Entered>, Error> {
    let (node, own) = (proc.process(Pid::from_raw(1)), proc.own()?);
    let mut all = Vec::with_capacity(Namespace::ALL.len());
    for kind in Namespace::ALL {
        let name = kind.proc_name();
        if let Some(id) = process.namespace(name)? {
            let nodes = node.as_ref().ok().and_then(|n| n.namespace(name).ok()?);
            all.push(Entered {
                kind,
                inode: id.0,
                shared_with_node: nodes.map(|n| n == id),
                shared_with_us: own.namespace(name)? == Some(id),
            });
        }
    }
    Ok(all)
}
