//! From what the admin typed to a container: state directories first, then daemons, then /proc.

mod cgroup;
mod container;
mod daemon;
mod error;
mod everything;
mod known;
mod labels;
mod matching;
mod place;
mod process;
mod search;
mod state_dir;
mod trust;

pub use cgroup::container_of;
pub use container::{Container, Pod, Runtime, Source, State, Witness};
pub use daemon::{
    CriInfo, DockerInspected, parse_cri_info, parse_docker_inspect, parse_docker_list,
};
pub(crate) use error::rfc3339;
pub use error::{EndpointError, Error, OtherKernel, Warning};
pub use place::check_place;
pub use state_dir::{
    Names, OciState, parse_containers, parse_crun_status, parse_docker_config, parse_runc_state,
};
pub use trust::Error as TrustError;

use std::collections::HashMap;

use nix::unistd::Pid;

use crate::hostproc::{self, HostProc};
use crate::request::{Lookup, Query};
use crate::trace::Trace;

use search::Search;

/// The container that was meant.
#[derive(Debug)]
pub struct Found {
    /// Running or paused, its spec read where it has one.
    pub container: Container,
    /// What was left out of the search; one line each.
    pub warnings: Vec<Warning>,
}

/// Every container that any source knows.
#[derive(Debug)]
pub struct Listing {
    /// Each once, sorted by pod, name and ID.
    pub containers: Vec<Container>,
    /// What was left out; one line each.
    pub warnings: Vec<Warning>,
}

/// What every source needs.
struct Context<'a> {
    proc: &'a HostProc,
    lookup: &'a Lookup,
    root: trust::Root,
}

impl<'a> Context<'a> {
    fn new(proc: &'a HostProc, lookup: &'a Lookup) -> Result<Self, Error> {
        let root = trust::Root::open(&lookup.host_root).map_err(Error::HostRoot)?;
        Ok(Self { proc, lookup, root })
    }
}

/// Finds the one running (or paused) container that `query` means: no sandbox, its state files
/// believed; of a pod's several, the one that the pod's annotation names. For [`confirm`] to check.
/// When it returns, the process has no thread but ours.
///
/// # Errors
/// When there is none, or more than one, or it must not be entered; nothing was changed.
pub fn resolve(
    proc: &HostProc,
    query: &Query,
    lookup: &Lookup,
    trace: &Trace,
) -> Result<Found, Error> {
    if let Query::Pid(pid) = query {
        return given(proc, Pid::from_raw(*pid));
    }
    let ctx = Context::new(proc, lookup)?;
    let mut search = Search::new(&ctx, query);
    if lookup.endpoint.is_none() {
        search.state_dirs();
        trace.step(|| format!("state directories: {}", search.progress()));
    }
    if search.wants_daemons() {
        search.daemons()?;
        trace.step(|| format!("daemons: {}", search.progress()));
    }
    if !search.is_settled() && lookup.endpoint.is_none() {
        search.cgroups()?;
        trace.step(|| format!("cgroups in /proc: {}", search.progress()));
    }
    let found = match search.choose() {
        Err(ambiguous @ Error::Ambiguous { .. }) => {
            let default = of_default(proc, query, lookup).ok_or(ambiguous)?;
            trace.step(|| format!("the pod's default container is meant: {default}"));
            return resolve(proc, &default, lookup, trace);
        }
        other => other?,
    };
    trace.step(|| format!("found {}", found.container.summary()));
    Ok(found)
}

/// The pod's container that its annotation names, where the query names none.
fn of_default(proc: &HostProc, query: &Query, lookup: &Lookup) -> Option<Query> {
    let Query::Pod {
        namespace,
        pod,
        container: None,
    } = query
    else {
        return None;
    };
    let listing = list(proc, lookup, false).ok()?;
    let of_pod = |c: &&Container| matching::is_of_pod(c, namespace, pod, None);
    let mut defaults = listing.containers.iter().filter(of_pod);
    let default = defaults.next()?.pod_default.clone()?;
    // Two pods of one name, the one on its way out, may disagree.
    let agreed = defaults.all(|c| c.pod_default.as_ref() == Some(&default));
    agreed.then(|| Query::Pod {
        namespace: namespace.clone(),
        pod: pod.clone(),
        container: Some(default),
    })
}

/// Reads the container's witness again and checks the process: fails closed if its runtime no
/// longer names this very one as its init, or it is not of this kernel. For the caller to call once
/// it has pinned the process (pidfd and /proc directory), since its PID may have been reused until
/// then.
///
/// # Errors
/// [`Error::Vanished`], [`Error::OtherKernel`], or why the witness cannot be read.
pub fn confirm(
    proc: &HostProc,
    container: &Container,
    pinned: &hostproc::Process,
    lookup: &Lookup,
) -> Result<(), Error> {
    let vanished = || Error::Vanished {
        id: container.id.clone(),
        pid: pinned.pid().as_raw(),
    };
    let checked = is_still_named(proc, container, pinned, lookup).and_then(|is_named| {
        if !is_named || !pinned.is_alive() {
            return Err(vanished());
        }
        check(proc, container, pinned)
    });
    checked.map_err(|error| match error {
        // It was there a moment ago.
        Error::Proc(hostproc::Error::NoProcess(_)) => vanished(),
        other => other,
    })
}

fn is_still_named(
    proc: &HostProc,
    container: &Container,
    pinned: &hostproc::Process,
    lookup: &Lookup,
) -> Result<bool, Error> {
    let ctx = Context::new(proc, lookup)?;
    match &container.witness {
        Witness::Given => Ok(true),
        Witness::Cgroup => cgroup::names(pinned, &container.id).map_err(Error::from),
        Witness::PidFile(_) | Witness::StateFile { .. } => {
            state_dir::still_names(&ctx, container, pinned)
        }
        Witness::Daemon => search::daemon_still_names(&ctx, container, pinned.pid()),
    }
}

/// Checks the process that a source named; not one that the admin did.
fn check(proc: &HostProc, container: &Container, process: &hostproc::Process) -> Result<(), Error> {
    match &container.source {
        Source::Given => return Ok(()),
        Source::Daemon(socket) => process::theirs(proc, process, container.owner, socket)?,
        Source::StateDir(_) | Source::Cgroup => {}
    }
    process::same_kernel(proc, container, process)
}

/// Everything that every source knows, each container once; those that do not run, and sandboxes,
/// only if `all`.
///
/// # Errors
/// When /proc or the node's root cannot be read, or `--runtime-endpoint` does not answer.
pub fn list(proc: &HostProc, lookup: &Lookup, all: bool) -> Result<Listing, Error> {
    let ctx = Context::new(proc, lookup)?;
    let mut listing = everything::everything(&ctx, all)?;
    tell_defaults(&mut listing.containers);
    listing
        .containers
        .retain(|c| all || !c.sandbox && !matches!(c.state, State::Exited { .. } | State::Unknown));
    listing
        .containers
        .sort_by(|a, b| (&a.pod, &a.name, &a.id).cmp(&(&b.pod, &b.name, &b.id)));
    Ok(listing)
}

/// What sandboxes know of their pods is told of each container in them.
fn tell_defaults(containers: &mut [Container]) {
    let place = |c: &Container| {
        let pod = c.pod.as_ref()?;
        Some((
            c.owner,
            pod.namespace.clone(),
            pod.name.clone(),
            pod.uid.clone(),
        ))
    };
    let of_sandboxes = containers.iter().filter(|c| c.sandbox);
    let known = of_sandboxes.filter_map(|c| Some((place(c)?, c.pod_default.clone()?)));
    let known: HashMap<_, _> = known.collect();
    for container in containers {
        let default = place(container).and_then(|place| known.get(&place));
        container.pod_default = default.cloned();
    }
}

/// `pid:N`: nothing is known but the process.
fn given(proc: &HostProc, pid: Pid) -> Result<Found, Error> {
    let process = proc.process(pid)?;
    if !process.is_alive() {
        return Err(Error::Zombie(pid.as_raw()));
    }
    let mut container = Container::new(&format!("pid:{pid}"), Runtime::None);
    container.state = State::Running(pid);
    container.source = Source::Given;
    container.witness = Witness::Given;
    Ok(Found {
        container,
        warnings: Vec::new(),
    })
}

/// A time as Go's JSON has it, in seconds since the epoch; None for Go's zero time.
fn seconds(rfc3339: &str) -> Option<i64> {
    let at: prost_types::Timestamp = rfc3339.parse().ok()?;
    (at.seconds > -62_000_000_000).then_some(at.seconds)
}

#[cfg(test)]
mod tests;
