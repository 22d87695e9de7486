//! From what kpexec asks for to what a run needs.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;

use clap::ValueEnum;
use cnsenter_protocol::request::AGENTS_HOST_ROOT;
use cnsenter_protocol::{self as protocol, Profile, Target};

use super::Error;
use crate::request::{
    CgroupChoice, Error as BadRequest, Expected, IdOrName, Io, Lookup, Namespace, Query, Request,
    Tty, UserSpec,
};

/// The run of the request's command in one of its targets.
///
/// # Errors
/// When a value has no meaning, or asks for what is not to be had.
pub(super) fn run_of(request: &protocol::Request, target: &Target) -> Result<Request, Error> {
    if request.profile != Profile::Full {
        return Err(Error::Profile(request.profile.name()));
    }
    let namespaces = match &request.namespaces {
        None => Namespace::ALL.to_vec(),
        Some(names) => names
            .iter()
            .map(|n| namespace(n))
            .collect::<Result<_, _>>()?,
    };
    let in_target = request.cgroup == Some(protocol::CgroupChoice::Target);
    if in_target && request.memory.is_some() {
        return Err(BadRequest::from(cnsenter_options::Error::MemoryOfTarget).into());
    }
    let with_node_files = !namespaces.contains(&Namespace::Mount);
    let os = |bytes: &Vec<u8>| OsString::from_vec(bytes.clone());
    let groups = request.groups.iter().map(|group| IdOrName::parse(group));
    let user = request.user.as_deref().map(UserSpec::parse);
    let mut lookup = Lookup::default();
    if request.in_agent {
        lookup.host_root = PathBuf::from(AGENTS_HOST_ROOT);
    }
    Ok(Request {
        target: query(target)?,
        lookup,
        command: request.command.iter().map(os).collect(),
        io: Io {
            stdin: request.stdin,
            tty: request.tty.as_ref().map(|tty| Tty {
                term: tty.term.clone().map(OsString::from),
                size: tty.size.map(|size| (size.rows, size.columns)),
            }),
            tty_refused: false,
        },
        user: user.transpose()?,
        extra_groups: groups.collect::<Result<_, _>>()?,
        workdir: request.workdir.as_ref().map(os),
        env: request
            .env
            .iter()
            .map(|(name, value)| (os(name), os(value)))
            .collect(),
        // In the agent that is its image's, and not the node's.
        caller_env: if with_node_files && !request.in_agent {
            std::env::vars_os().collect()
        } else {
            Vec::new()
        },
        clear_env: request.clear_env,
        namespaces,
        cgroup: if in_target {
            CgroupChoice::Target
        } else {
            CgroupChoice::Own
        },
        memory: request.memory,
        timeout: request.timeout,
        kill_on_exit: request.kill_on_exit,
        verbose: request.verbose,
        expected: Some(expected(target)),
        link: None,
    })
}

/// By its ID where that is known, which needs no daemon.
fn query(target: &Target) -> Result<Query, Error> {
    Ok(match &target.container_id {
        Some(id) => Query::parse(id)?,
        None => Query::Pod {
            namespace: target.namespace.clone(),
            pod: target.pod.clone(),
            container: target.container.clone(),
        },
    })
}

fn expected(target: &Target) -> Expected {
    let id = target.container_id.as_ref();
    Expected {
        namespace: target.namespace.clone(),
        pod: target.pod.clone(),
        uid: target.uid.clone(),
        container: target.container.clone(),
        id: id.map(|id| {
            id.split_once("://")
                .map_or(id.as_str(), |(_, id)| id)
                .to_owned()
        }),
    }
}

fn namespace(name: &str) -> Result<Namespace, Error> {
    Namespace::from_str(name, false)
        .map_err(|_| Error::Namespace(crate::escape::escaped(name).to_string()))
}
