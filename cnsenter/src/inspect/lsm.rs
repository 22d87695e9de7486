//! The label of a Linux security module (proc_pid_attr(5), apparmor(7), selinux(8)).

use serde::Serialize;

use crate::hostproc::Process;

/// Which module confines the init, and how.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Lsm {
    /// The module.
    pub name: Module,
    /// Its label: a profile with its mode, or a context.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
}

/// Modules that label processes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Module {
    /// AppArmor: `cri-containerd.apparmor.d (enforce)`, `unconfined`.
    Apparmor,
    /// SELinux: `system_u:system_r:container_t:s0:c1,c2`.
    Selinux,
    /// Another one (Smack).
    Other,
    /// None labels processes on this node.
    None,
}

/// Reads the label. A file that is missing or refused means that its module is not there.
pub(super) fn read(process: &Process) -> Lsm {
    let own = process.read("attr/apparmor/current").unwrap_or_default();
    if !own.is_empty() {
        return labelled(Module::Apparmor, &own);
    }
    parse(&process.read("attr/current").unwrap_or_default())
}

/// Reads attr/current, which every module shares.
#[must_use]
pub fn parse(current: &[u8]) -> Lsm {
    let text = text(current);
    let module = match text.as_str() {
        "" => {
            return Lsm {
                name: Module::None,
                label: None,
            };
        }
        "unconfined" => Module::Apparmor,
        t if t.ends_with(" (enforce)") || t.ends_with(" (complain)") => Module::Apparmor,
        // user:role:type and a level.
        t if t.matches(':').count() >= 2 => Module::Selinux,
        _ => Module::Other,
    };
    labelled(module, current)
}

fn labelled(name: Module, current: &[u8]) -> Lsm {
    Lsm {
        name,
        label: Some(text(current)),
    }
}

fn text(current: &[u8]) -> String {
    let text = String::from_utf8_lossy(current);
    text.trim_end_matches(['\0', '\n']).to_owned()
}
