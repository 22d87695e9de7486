//! Checks a runtime's word about a process against the process itself.

use std::io::Read;
use std::os::fd::AsFd;
use std::path::Path;

use nix::fcntl::OFlag;
use nix::time::{ClockId, clock_gettime};
use nix::unistd::Pid;

use crate::hostproc::{self, HostProc, Process};
use crate::spec::Spec;
use crate::sys;

use super::error::{Error, OtherKernel};
use super::{Container, State};

/// Clock ticks of /proc/PID/stat in a second: USER_HZ, 100 on every architecture of Linux today.
const TICKS: i64 = 100;

/// How far the file that names a process may lie before the process's start, in seconds: the node's
/// clock may have been set meanwhile.
const CLOCK_SLACK: i64 = 5;

/// What a state file claims of a container's init.
pub(super) struct Claim<'a> {
    pub(super) pid: Pid,
    /// `linux.cgroupsPath` of the spec; empty if unknown.
    pub(super) cgroups_path: &'a str,
    /// When the claim was written, in seconds since the epoch.
    pub(super) written: Option<i64>,
    /// The process's start time, in ticks since boot, if the runtime wrote it down.
    pub(super) start: Option<u64>,
}

/// Whether `process` still is the one that the claim meant, and not a later one of the same PID.
pub(super) fn is_meant(process: &Process, claim: &Claim<'_>, cgroup: &[u8]) -> bool {
    if let Some(start) = claim.start.filter(|s| *s > 0) {
        return process.start_time().is_ok_and(|s| s == start);
    }
    if is_in_cgroup(cgroup, claim.cgroups_path) {
        return true;
    }
    let Some(written) = claim.written else {
        return false;
    };
    process
        .start_time()
        .is_ok_and(|ticks| started_before(ticks, written))
}

fn started_before(ticks: u64, written: i64) -> bool {
    let (Ok(now), Ok(up)) = (
        clock_gettime(ClockId::CLOCK_REALTIME),
        clock_gettime(ClockId::CLOCK_BOOTTIME),
    ) else {
        return false;
    };
    let started = now.tv_sec() - up.tv_sec() + i64::try_from(ticks).unwrap_or(i64::MAX) / TICKS;
    started <= written.saturating_add(CLOCK_SLACK)
}

/// Whether one of a process's cgroups is, or is below, the one that a spec names (its last part:
/// the parts above depend on where we look from).
fn is_in_cgroup(cgroup: &[u8], cgroups_path: &str) -> bool {
    let leaf = match cgroups_path.rsplit_once(':') {
        // systemd's form, slice:prefix:name.
        Some((before, name)) => match before.rsplit_once(':').map_or("", |(_, prefix)| prefix) {
            "" => format!("{name}.scope"),
            prefix => format!("{prefix}-{name}.scope"),
        },
        None => match cgroups_path.rsplit('/').find(|part| !part.is_empty()) {
            Some(part) => part.to_owned(),
            None => return false,
        },
    };
    cgroup
        .split(|b| *b == b'\n')
        .filter_map(|line| line.splitn(3, |b| *b == b':').nth(2))
        .any(|path| {
            path.split(|b| *b == b'/')
                .any(|part| part == leaf.as_bytes())
        })
}

/// What the claim's process is doing; [`State::Exited`] where it is gone or another one by now.
pub(super) fn state(
    proc: &HostProc,
    host_root: &Path,
    claim: &Claim<'_>,
) -> Result<State, hostproc::Error> {
    let gone = State::Exited {
        code: None,
        at: None,
    };
    let process = match proc.process(claim.pid) {
        Ok(process) => process,
        Err(hostproc::Error::NoProcess(_)) => return Ok(gone),
        Err(e) => return Err(e),
    };
    let cgroup = match process.read("cgroup") {
        Ok(cgroup) => cgroup,
        Err(hostproc::Error::NoProcess(_)) => return Ok(gone),
        Err(e) => return Err(e),
    };
    // A zombie has no program any more; asking that is cheaper than reading its stat.
    let ended = matches!(process.read_link("exe"), Err(hostproc::Error::NoProcess(_)));
    if ended || !is_meant(&process, claim, &cgroup) {
        return Ok(gone);
    }
    if is_frozen(host_root, &cgroup) {
        return Ok(State::Paused(claim.pid));
    }
    Ok(State::Running(claim.pid))
}

/// Whether a process's cgroup is frozen, by itself or from above (cgroup-v1/freezer-subsystem,
/// cgroup-v2 "cgroup.events"). Where that cannot be seen, no.
fn is_frozen(host_root: &Path, cgroup: &[u8]) -> bool {
    let mut unified = None;
    for line in cgroup.split(|b| *b == b'\n') {
        let mut fields = line.splitn(3, |b| *b == b':');
        let (_, controllers, path) = (fields.next(), fields.next(), fields.next());
        let Some(path) = path.and_then(|p| std::str::from_utf8(p).ok()) else {
            continue;
        };
        match controllers {
            Some(b"freezer") => {
                return read_cgroup(host_root, "sys/fs/cgroup/freezer", path, "freezer.state")
                    .is_some_and(|state| state.starts_with("FR"));
            }
            Some(b"") => unified = Some(path),
            _ => {}
        }
    }
    unified
        .and_then(|path| read_cgroup(host_root, "sys/fs/cgroup", path, "cgroup.events"))
        .is_some_and(|events| events.lines().any(|l| l == "frozen 1"))
}

fn read_cgroup(host_root: &Path, mount: &str, group: &str, file: &str) -> Option<String> {
    let group = group.trim_start_matches('/');
    if group.split('/').any(|part| part == "..") {
        return None;
    }
    let path = host_root.join(mount).join(group).join(file);
    let mut text = [0; 256];
    let n = std::fs::File::open(path).ok()?.read(&mut text).ok()?;
    std::str::from_utf8(&text[..n]).ok().map(str::to_owned)
}

/// Refuses a container whose processes are not this kernel's: the PID that its runtime names is a
/// hypervisor or a sandbox, and a command would run on the node as root.
pub(super) fn same_kernel(
    proc: &HostProc,
    container: &Container,
    process: &Process,
) -> Result<(), Error> {
    let refuse = |kind| {
        Err(Error::OtherKernel {
            id: container.id.clone(),
            kind,
            pid: process.pid().as_raw(),
        })
    };
    if let Some(kind) = container.handler.as_deref().and_then(by_handler) {
        return refuse(kind);
    }
    if let Some(kind) = process.read_link("exe").ok().and_then(|exe| by_exe(&exe)) {
        return refuse(kind);
    }
    // The node's own namespaces are its init's: ours may be a pod's, even those of this container.
    let nodes_own = |name| {
        let init = proc.process(Pid::from_raw(1));
        let of_init = init.and_then(|init| init.namespace(name));
        of_init.or_else(|_| proc.own()?.namespace(name))
    };
    for (kind, name) in [("mount", "ns/mnt"), ("pid", "ns/pid")] {
        if !wants_new(container.spec.as_ref(), kind) {
            continue;
        }
        let its = process.namespace(name)?;
        let same = its.is_some() && its == nodes_own(name)?;
        if same {
            return refuse(OtherKernel::Unknown);
        }
    }
    Ok(())
}

/// Whether the name of its runtime alone says so.
pub(super) fn is_of_another_kernel(container: &Container) -> bool {
    container.handler.as_deref().and_then(by_handler).is_some()
}

/// Whether a spec wants a namespace of its own; where there is no spec, at least for mounts.
fn wants_new(spec: Option<&Spec>, kind: &str) -> bool {
    let Some(linux) = spec.and_then(|s| s.linux.as_ref()) else {
        return kind == "mount";
    };
    linux
        .namespaces
        .iter()
        .any(|n| n.kind == kind && n.path.as_deref().is_none_or(str::is_empty))
}

/// By the runtime's name: `io.containerd.kata.v2`, `kata-qemu`, `/usr/bin/runsc` ...
fn by_handler(handler: &str) -> Option<OtherKernel> {
    let name = handler.rsplit('/').next().unwrap_or(handler);
    let has = |word: &str| name.split(['.', '-', '_']).any(|part| part == word);
    if has("kata") || name.starts_with("kata") {
        Some(OtherKernel::Kata)
    } else if has("runsc") || has("gvisor") {
        Some(OtherKernel::Gvisor)
    } else {
        None
    }
}

/// By the program that runs: gVisor's sandbox has namespaces of its own. (A hypervisor's name says
/// nothing: containers run them too.)
fn by_exe(exe: &std::ffi::OsStr) -> Option<OtherKernel> {
    let name = Path::new(exe).file_name()?;
    (name == "runsc" || name == "runsc-sandbox").then_some(OtherKernel::Gvisor)
}

/// A user's own runtime is believed only about that user's containers: the process must be in a
/// user namespace that the user made, and that is not the node's.
pub(super) fn theirs(
    proc: &HostProc,
    process: &Process,
    owner: u32,
    state: &Path,
) -> Result<(), Error> {
    if owner == 0 {
        return Ok(());
    }
    let refuse = |found: String| {
        Err(Error::NotTheirs {
            path: state.to_owned(),
            owner,
            pid: process.pid().as_raw(),
            found,
        })
    };
    let its = process.namespace("ns/user")?;
    let node = proc
        .process(Pid::from_raw(1))
        .and_then(|p| p.namespace("ns/user"));
    if its.is_none() || its == proc.own()?.namespace("ns/user")? || node.is_ok_and(|n| n == its) {
        return refuse("in the node's own user namespace".into());
    }
    let ns = process.open("ns/user", OFlag::O_RDONLY)?;
    match sys::ns::owner_uid(ns.as_fd()) {
        Ok(uid) if uid == owner => Ok(()),
        Ok(uid) => refuse(format!("in a user namespace of uid {uid}")),
        Err(e) => refuse(format!("in a user namespace whose owner is unknown: {e}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cgroup_is_matched_by_its_whole_last_part() {
        let cgroup = b"5:pids:/kubepods/podu1/0abc\n0::/x/cri-containerd-0abc.scope\n";
        assert!(is_in_cgroup(cgroup, "/kubepods/podu1/0abc"));
        assert!(is_in_cgroup(cgroup, "x.slice:cri-containerd:0abc"));
        assert!(!is_in_cgroup(cgroup, "/kubepods/podu1/0ab"));
        assert!(!is_in_cgroup(cgroup, "x.slice:crio:0abc"));
        assert!(!is_in_cgroup(cgroup, ""));
        // A ":" in a group's name does not make a field.
        assert!(is_in_cgroup(b"0::/a:b/0abc", "/y/0abc"));
    }

    #[test]
    fn a_reused_pid_is_not_meant() {
        let proc = HostProc::open().unwrap();
        let own = proc.own().unwrap();
        let mut claim = Claim {
            pid: own.pid(),
            cgroups_path: "",
            written: Some(1),
            start: None,
        };
        assert!(
            !is_meant(&own, &claim, b"0::/"),
            "claimed long before it began"
        );
        claim.written = Some(i64::from(u32::MAX));
        assert!(is_meant(&own, &claim, b"0::/"));
        claim.start = own.start_time().ok();
        assert!(is_meant(&own, &claim, b"0::/"));
        claim.start = claim.start.map(|s| s + 1);
        assert!(!is_meant(&own, &claim, b"0::/"), "another start time");
    }

    #[test]
    fn handlers_of_other_kernels_are_known() {
        for (name, kind) in [
            ("io.containerd.kata.v2", Some(OtherKernel::Kata)),
            ("kata-qemu", Some(OtherKernel::Kata)),
            ("io.containerd.kata-fc.v2", Some(OtherKernel::Kata)),
            (
                "/opt/kata/bin/containerd-shim-kata-v2",
                Some(OtherKernel::Kata),
            ),
            ("io.containerd.runsc.v1", Some(OtherKernel::Gvisor)),
            ("/usr/local/bin/runsc", Some(OtherKernel::Gvisor)),
            ("io.containerd.runc.v2", None),
            ("crun", None),
        ] {
            assert_eq!(by_handler(name), kind, "{name}");
        }
    }

    #[test]
    fn a_process_in_the_nodes_user_namespace_is_nobodys_container() {
        let proc = HostProc::open().unwrap();
        let e = theirs(&proc, &proc.own().unwrap(), 1000, Path::new("/x")).unwrap_err();
        assert!(
            e.to_string().ends_with("the node's own user namespace"),
            "{e}"
        );
    }

    #[test]
    fn frozen_is_read_from_both_hierarchies() {
        let dir = tempfile::tempdir().unwrap();
        let v1 = dir.path().join("sys/fs/cgroup/freezer/a");
        let v2 = dir.path().join("sys/fs/cgroup/b");
        std::fs::create_dir_all(&v1).unwrap();
        std::fs::create_dir_all(&v2).unwrap();
        std::fs::write(v1.join("freezer.state"), "FROZEN\n").unwrap();
        std::fs::write(v2.join("cgroup.events"), "populated 1\nfrozen 1\n").unwrap();
        assert!(is_frozen(dir.path(), b"7:freezer:/a\n0::/b"));
        assert!(is_frozen(dir.path(), b"0::/b\n"));
        std::fs::write(v1.join("freezer.state"), "THAWED\n").unwrap();
        assert!(!is_frozen(dir.path(), b"7:freezer:/a\n"));
        assert!(!is_frozen(dir.path(), b"0::/../b\n"));
    }
}
