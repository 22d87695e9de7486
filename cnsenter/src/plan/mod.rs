//! What will be done, decided from facts alone: no I/O, so everything here is tested without root.

pub mod accounts;
mod identity;
mod idmap;
mod namespaces;
mod process;

use std::ffi::OsString;
use std::path::PathBuf;

use crate::hostproc::NsId;
use crate::request::{Namespace, Request};

pub use identity::{AccountFile, Identity};
pub use idmap::IdMap;
pub use namespaces::NamespaceIds;

/// Everything that a plan depends on besides the request.
#[derive(Debug)]
pub struct Facts {
    /// Our own namespaces.
    pub own: NamespaceIds,
    /// The target's.
    pub target: NamespaceIds,
    /// The node's, if we may be in others.
    pub node: Option<NamespaceIds>,
    /// The target's user namespace, as seen from ours.
    pub uid_map: IdMap,
    /// As `uid_map`.
    pub gid_map: IdMap,
    /// Whether setgroups(2) is allowed in the target's user namespace.
    pub setgroups_allowed: bool,
    /// The container's environment, `K=V` each.
    pub container_env: Vec<Vec<u8>>,
    /// The container's working directory.
    pub container_cwd: PathBuf,
    /// /etc/passwd of the root that the command will see.
    pub passwd: AccountFile,
    /// /etc/group of the same.
    pub group: AccountFile,
    /// Our own permitted capabilities, as the kernel's mask.
    pub own_capabilities: u64,
    /// Our own bounding set.
    pub own_bounding: u64,
    /// Every capability that this kernel knows.
    pub all_capabilities: u64,
    /// Our own oom_score_adj (proc(5)).
    pub own_oom_score_adj: i32,
    /// The target's.
    pub target_oom_score_adj: i32,
    /// Whether AppArmor confines processes on this node.
    pub apparmor: bool,
    /// Whether the target has a devpts at /dev/pts.
    pub target_devpts: bool,
}

/// What will be done.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// The target's namespaces that are joined, and which they must be afterwards.
    pub join: Vec<(Namespace, NsId)>,
    /// The node's that are joined instead, where we are in a pod's.
    pub join_node: Vec<(Namespace, NsId)>,
    /// Who the command is.
    pub identity: Identity,
    /// The capabilities it has (permitted and effective), as the kernel's mask.
    pub capabilities: u64,
    /// Its bounding set.
    pub bounding: u64,
    /// The command and its arguments.
    pub argv: Vec<OsString>,
    /// Its environment, `K=V` each.
    pub env: Vec<Vec<u8>>,
    /// Where a command without a slash is looked for.
    pub search_path: Vec<u8>,
    /// Its working directory; None keeps ours.
    pub cwd: Option<Cwd>,
    /// Its oom_score_adj, if that is not ours.
    pub oom_score_adj: Option<i32>,
    /// Whether AppArmor is told to leave it unconfined.
    pub unconfined: bool,
    /// Its terminal.
    pub terminal: TerminalKind,
}

impl Plan {
    /// What will be done, in a line for `-v`.
    #[must_use]
    pub fn summary(&self) -> String {
        let names: Vec<_> = self.join.iter().map(|(ns, _)| ns.name()).collect();
        let joins = if names.is_empty() {
            "no namespace".to_owned()
        } else {
            names.join(", ")
        };
        let (uid, gid) = (self.identity.uid, self.identity.gid);
        format!(
            "will join {joins}; run as {uid}:{gid} with capabilities {:x}",
            self.capabilities
        )
    }

    /// Whether this namespace of the target is joined.
    #[must_use]
    pub fn joins(&self, ns: Namespace) -> bool {
        self.join.iter().any(|(joined, _)| *joined == ns)
    }

    /// Whether this namespace of the node is joined.
    #[must_use]
    pub fn joins_node(&self, ns: Namespace) -> bool {
        self.join_node.iter().any(|(joined, _)| *joined == ns)
    }
}

/// A working directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cwd {
    /// The directory.
    pub path: PathBuf,
    /// Whether the admin asked for it: else / serves where it is missing.
    pub required: bool,
}

/// Where the command's terminal comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TerminalKind {
    /// It has none.
    None,
    /// The devpts that it sees, so that tty(1) knows it.
    Target,
    /// The node's: the target has no devpts.
    Host,
}

/// Why there is no plan.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum Error {
    /// `-u NAME` with no such user.
    #[error("no user \"{name}\" in {whose} /etc/passwd{why}; give a number: -u UID[:GID]")]
    UnknownUser {
        /// The name.
        name: String,
        /// `the container's`, or `the node's` if its files are not entered.
        whose: &'static str,
        /// Why the file did not serve, if it did not.
        why: String,
    },
    /// `-u :NAME` or `--group-add NAME` with no such group.
    #[error("no group \"{name}\" in {whose} /etc/group{why}; give a number")]
    UnknownGroup {
        /// The name.
        name: String,
        /// As with users.
        whose: &'static str,
        /// Why the file did not serve, if it did not.
        why: String,
    },
    /// More groups than a process can have.
    #[error("the user is in {0} groups, and a process can have {max} at most; give numbers: -u UID:GID", max = MAX_GROUPS)]
    TooManyGroups(usize),
    /// The user namespace does not have this ID.
    #[error("{kind} {id} does not exist in the container's user namespace; it has {map}")]
    NotMapped {
        /// `uid` or `gid`.
        kind: &'static str,
        /// The ID.
        id: u32,
        /// What is mapped.
        map: String,
    },
    /// setgroups(2) is denied there.
    #[error(
        "the container's user namespace denies setgroups, so --group-add has no effect; leave it out"
    )]
    SetgroupsDenied,
}

/// NGROUPS_MAX (getgroups(2)).
const MAX_GROUPS: usize = 65_536;

/// Decides.
///
/// # Errors
/// When the request cannot be met on these facts.
pub fn plan(request: &Request, facts: &Facts) -> Result<Plan, Error> {
    let join = namespaces::to_join(request, facts);
    let enters = |ns| join.iter().any(|(joined, _)| *joined == ns);
    let identity = identity::of(request, facts, enters(Namespace::User))?;
    let (capabilities, bounding) = capabilities(&identity, facts, enters(Namespace::User));
    let env = process::environment(request, facts, &identity);
    let search_path = process::search_path(&env);
    let terminal = match request.io.tty {
        None => TerminalKind::None,
        Some(_) if facts.target_devpts || !enters(Namespace::Mount) => TerminalKind::Target,
        Some(_) => TerminalKind::Host,
    };
    let adj = facts
        .own_oom_score_adj
        .max(facts.target_oom_score_adj)
        .max(0);
    Ok(Plan {
        identity,
        capabilities,
        bounding,
        argv: request.command.clone(),
        search_path,
        cwd: process::cwd(request, facts, enters(Namespace::Mount)),
        env,
        // The kernel should take the debug command before the application (and never spare it
        // because cnsenter came from a protected service).
        oom_score_adj: (adj != facts.own_oom_score_adj).then_some(adj),
        unconfined: facts.apparmor,
        terminal,
        join,
        join_node: namespaces::to_join_of_node(request, facts),
    })
}

/// What the kernel gives at exec (capabilities(7)): root gets its bounding set, which is ours, or
/// everything after joining a user namespace; others get nothing, as `docker exec -u` has it.
fn capabilities(identity: &Identity, facts: &Facts, in_user_ns: bool) -> (u64, u64) {
    let (full, bounding) = if in_user_ns {
        (facts.all_capabilities, facts.all_capabilities)
    } else {
        (facts.own_capabilities, facts.own_bounding)
    };
    (if identity.uid == 0 { full } else { 0 }, bounding)
}

#[cfg(test)]
mod tests;
