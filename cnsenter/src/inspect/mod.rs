//! `cnsenter inspect`: what a container's init is made of and confined by, as the kernel has it.
//!
//! Everything is read through the node's /proc and cgroup mounts; nothing is attached to, stopped
//! or asked of the container.
//!
//! # JSON and YAML
//!
//! One object. Field names are stable; fields marked ? are left out where nothing is known. Text
//! that is not UTF-8 has U+FFFD in place of what is not.
//!
//! | field | what |
//! | --- | --- |
//! | `id` `runtime` `state` `pid` | as in `cnsenter ls`; `pid` is the init's, on the node |
//! | `name`? `pod`? `image`? `handler`? `runtimeNamespace`? | as in `cnsenter ls`; `pod` has `container`? too |
//! | `namespaces` | array of `kind`, `inode`, `sharedWithNode`?, `sharedWithUs` (namespaces(7)) |
//! | `identity` | `uid` and `gid` (`real`, `effective`, `saved`, `filesystem`; on the node), `groups`, `uidMap` and `gidMap` (arrays of `inside`, `outside`, `count`) |
//! | `capabilities` | `effective`, `permitted`, `inheritable`, `bounding`, `ambient`: arrays of names (capabilities(7)); `cap_41` and so on where there is no name yet |
//! | `noNewPrivs` | PR_SET_NO_NEW_PRIVS(2const) |
//! | `seccomp` | `mode` (`disabled`, `strict`, `filter`), `filters`?, and from the runtime's spec `defaultAction`?, `rules`? |
//! | `lsm` | `name` (`apparmor`, `selinux`, `other`, `none`), `label`? |
//! | `cgroups` | array of `hierarchy` (`v2`, else the controllers), `path`, `settings` (object: file name to text); no settings where the group cannot be seen from here |
//! | `frozen`? | whether a cgroup freezer holds it |
//! | `rootfs` | `path`, `readOnly`? |
//! | `mounts` | array of `target`, `source`, `root` (of the file system), `fstype`, `options`, `superOptions`, `propagation` (mount_namespaces(7)) |
//! | `rlimits` | array of `name` (`nofile` for RLIMIT_NOFILE), `soft`, `hard` (null: unlimited), `unit`? |
//! | `oomScoreAdj`? | proc_pid_oom_score_adj(5) |

pub mod cgroup;
pub mod credentials;
pub mod limits;
pub mod lsm;
pub mod mounts;
pub mod namespaces;
pub mod seccomp;
mod table;

use std::io::{self, Write};

use serde::Serialize;

use crate::hostproc::{self, HostProc, Process};
use crate::resolve::{Container, Pod, Runtime};

use cgroup::Membership;
use credentials::{Capabilities, Identity};
use limits::Rlimit;
use lsm::Lsm;
use mounts::Mount;
use namespaces::Entered;
use seccomp::Seccomp;

/// How a report is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// For people
    Table,
    /// JSON
    Json,
    /// YAML
    Yaml,
}

/// What a container is made of and confined by. Serialized as the module's table says.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs, reason = "the module's table says what each field is")]
pub struct Report {
    pub id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pod: Option<Pod>,
    pub runtime: Runtime,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub runtime_namespace: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub handler: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
    pub state: &'static str,
    pub pid: i32,
    pub namespaces: Vec<Entered>,
    pub identity: Identity,
    pub capabilities: Capabilities,
    pub no_new_privs: bool,
    pub seccomp: Seccomp,
    pub lsm: Lsm,
    pub cgroups: Vec<Membership>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub frozen: Option<bool>,
    pub rootfs: Rootfs,
    pub mounts: Vec<Mount>,
    pub rlimits: Vec<Rlimit>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub oom_score_adj: Option<i32>,
    /// How many capabilities this kernel has: what the table calls "all".
    #[serde(skip)]
    pub capability_count: u32,
}

/// The init's root directory.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Rootfs {
    /// As the node sees it; "/" where it is the root of a mount namespace of its own.
    pub path: String,
    /// Whether what is mounted there is mounted read-only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub read_only: Option<bool>,
}

/// Reads everything about a container's init.
///
/// # Errors
/// When the init ends meanwhile, or /proc hides it: no half of a report is made.
pub fn inspect(
    proc: &HostProc,
    container: &Container,
    process: &Process,
) -> Result<Report, hostproc::Error> {
    let status = process.status()?;
    let mounts = mounts::parse(&process.read("mountinfo")?);
    let node_mounts = mounts::parse(&proc.own()?.read("mountinfo")?);
    let cgroups = cgroup::memberships(&process.read("cgroup")?, &node_mounts);
    let report = Report {
        id: container.id.clone(),
        name: container.name.clone(),
        pod: container.pod.clone(),
        runtime: container.runtime,
        runtime_namespace: container.runtime_namespace.clone(),
        handler: container.handler.clone(),
        image: container.image.clone(),
        state: container.state.name(),
        pid: process.pid().as_raw(),
        namespaces: namespaces::read(proc, process)?,
        identity: Identity {
            uid: credentials::Ids::of(&status, "Uid"),
            gid: credentials::Ids::of(&status, "Gid"),
            groups: status.numbers("Groups"),
            uid_map: credentials::parse_map(&process.read("uid_map")?),
            gid_map: credentials::parse_map(&process.read("gid_map")?),
        },
        capabilities: Capabilities::of(&status),
        no_new_privs: status.field("NoNewPrivs") == Some("1"),
        seccomp: Seccomp::of(&status, container.spec.as_ref()),
        lsm: lsm::read(process),
        frozen: cgroup::is_frozen(&cgroups),
        cgroups,
        rootfs: Rootfs {
            path: process.read_link("root")?.to_string_lossy().into_owned(),
            read_only: mounts::is_root_read_only(&mounts),
        },
        mounts,
        rlimits: limits::parse(&process.read("limits")?),
        oom_score_adj: number(&process.read("oom_score_adj")?),
        capability_count: proc
            .read("sys/kernel/cap_last_cap")
            .ok()
            .and_then(|last| number(&last))
            .map_or(0, |last| last.unsigned_abs() + 1),
    };
    // What was missing along the way may have been missing because the process had ended.
    if !process.is_alive() {
        return Err(hostproc::Error::NoProcess(report.pid));
    }
    Ok(report)
}

impl Report {
    /// Writes the report to `out`.
    ///
    /// # Errors
    /// When `out` cannot be written to.
    pub fn write(&self, format: Format, out: &mut impl Write) -> io::Result<()> {
        match format {
            Format::Table => out.write_all(table::render(self).as_bytes())?,
            Format::Json => {
                serde_json::to_writer_pretty(&mut *out, self)?;
                writeln!(out)?;
            }
            Format::Yaml => {
                let text = serde_yaml_ng::to_string(self).map_err(io::Error::other)?;
                out.write_all(text.as_bytes())?;
            }
        }
        out.flush()
    }
}

fn number(file: &[u8]) -> Option<i32> {
    std::str::from_utf8(file).ok()?.trim().parse().ok()
}

#[cfg(test)]
mod tests;
