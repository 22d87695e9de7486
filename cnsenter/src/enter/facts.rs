//! Gathering what the plan depends on.

use std::os::fd::AsFd;
use std::path::PathBuf;

use nix::sys::statfs::{DEVPTS_SUPER_MAGIC, fstatfs};

use super::account_file::{self, open_below};
use super::cgroup_mounts::Mounts;
use super::{During, Error, NODES_INIT, Ourselves, Target};
use crate::escape::escaped;
use crate::hostproc::{HostProc, NsId};
use crate::plan::{AccountFile, Facts, IdMap, NamespaceIds};
use crate::request::{IdOrName, Namespace, Request};

/// Reads the facts about the target and ourselves, all of them through the node's /proc.
///
/// # Errors
/// When the target has ended or is paused.
pub fn gather(
    proc: &HostProc,
    own: &Ourselves,
    target: &Target,
    request: &Request,
) -> Result<Facts, Error> {
    let mounts = Mounts::new(&request.lookup.host_root);
    if mounts.is_frozen(&target.process.read("cgroup")?) {
        return Err(Error::Paused(escaped(&target.container.id).to_string()));
    }

    let process = &target.process;
    let namespaces = NamespaceIds::read(|ns| process.namespace(ns.proc_name()))?;
    let (uid_map, gid_map, setgroups_allowed) =
        if namespaces.get(Namespace::User) == Some(NsId::NODE_USER) {
            (IdMap::identity(), IdMap::identity(), true)
        } else {
            (
                IdMap::parse(&process.read("uid_map")?),
                IdMap::parse(&process.read("gid_map")?),
                !process.read("setgroups")?.starts_with(b"deny"),
            )
        };
    let (container_env, container_cwd) = environment(target)?;
    let (passwd, group) = accounts(proc, target, request, &container_env)?;
    Ok(Facts {
        own: NamespaceIds::read(|ns| own.process.namespace(ns.proc_name()))?,
        target: namespaces,
        node: nodes_namespaces(proc, request)?,
        uid_map,
        gid_map,
        setgroups_allowed,
        container_env,
        container_cwd,
        passwd,
        group,
        own_capabilities: own.status.mask("CapPrm").unwrap_or(0),
        own_bounding: own.status.mask("CapBnd").unwrap_or(0),
        all_capabilities: all_capabilities(proc),
        own_oom_score_adj: number(&own.process.read("oom_score_adj")?),
        target_oom_score_adj: number(&process.read("oom_score_adj")?),
        // Where AppArmor is off, this file is missing or says EINVAL.
        apparmor: own.process.read("attr/apparmor/current").is_ok(),
        target_devpts: request.io.tty.is_some() && has_devpts(target),
    })
}

/// In a pod we are in other namespaces than the node's init, of which we share the PID namespace.
/// They matter where not all of the container's are wanted.
fn nodes_namespaces(proc: &HostProc, request: &Request) -> Result<Option<NamespaceIds>, Error> {
    let wants = |ns| request.namespaces.contains(&ns);
    if request.lookup.is_on_node() || Namespace::ALL.into_iter().all(wants) {
        return Ok(None);
    }
    let init = proc.process(NODES_INIT)?;
    Ok(Some(NamespaceIds::read(|ns| {
        init.namespace(ns.proc_name())
    })?))
}

/// The container's environment and working directory: from its spec, else from its init.
fn environment(target: &Target) -> Result<(Vec<Vec<u8>>, PathBuf), Error> {
    let spec = target
        .container
        .spec
        .as_ref()
        .and_then(|s| s.process.as_ref());
    if let Some(process) = spec {
        let env = process.env.iter().map(|e| e.clone().into_bytes()).collect();
        return Ok((env, PathBuf::from(&process.cwd)));
    }
    let environ = target.process.read("environ").unwrap_or_default();
    // The runtime has added the home of the container's own user, who need not be the command's.
    let env = environ.split(|b| *b == 0);
    let env = env.filter(|e| !e.starts_with(b"HOME=")).map(<[u8]>::to_vec);
    let env = env.collect();
    Ok((
        env,
        target
            .process
            .read_link("cwd")
            .map(PathBuf::from)
            .unwrap_or_default(),
    ))
}

/// The account files, if anything depends on them: reading them costs time on every run.
fn accounts(
    proc: &HostProc,
    target: &Target,
    request: &Request,
    env: &[Vec<u8>],
) -> Result<(AccountFile, AccountFile), Error> {
    let names_group = |g: &IdOrName| matches!(g, IdOrName::Name(_));
    let user = request.user.as_ref();
    let wants_home = !request.clear_env && !env.iter().any(|e| e.starts_with(b"HOME="));
    let wants_passwd = user.is_some() || wants_home;
    let wants_group = user.is_some_and(|u| u.group.as_ref().is_none_or(names_group))
        || request.extra_groups.iter().any(names_group);
    if !wants_passwd && !wants_group {
        return Ok((AccountFile::NotRead, AccountFile::NotRead));
    }
    // The files that the command will see.
    let host_root;
    let root = if request.namespaces.contains(&Namespace::Mount) {
        target.root.as_fd()
    } else {
        let opened = std::fs::File::open(&request.lookup.host_root);
        host_root = opened.during("open the node's root directory")?;
        host_root.as_fd()
    };
    let read = |wanted: bool, name| {
        if wanted {
            account_file::read(proc, root, name)
        } else {
            AccountFile::NotRead
        }
    };
    Ok((read(wants_passwd, "passwd"), read(wants_group, "group")))
}

fn has_devpts(target: &Target) -> bool {
    open_below(target.root.as_fd(), "dev/pts")
        .and_then(|dir| fstatfs(&dir))
        .is_ok_and(|s| s.filesystem_type() == DEVPTS_SUPER_MAGIC)
}

fn all_capabilities(proc: &HostProc) -> u64 {
    let last = proc
        .read("sys/kernel/cap_last_cap")
        .map_or(40, |b| number(&b));
    u64::MAX >> (63 - last.clamp(0, 63))
}

fn number(file: &[u8]) -> i32 {
    std::str::from_utf8(file)
        .ok()
        .and_then(|t| t.trim().parse().ok())
        .unwrap_or(0)
}
