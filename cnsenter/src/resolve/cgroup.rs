//! Containers by nothing but the names of their processes' cgroups: what is left when no runtime
//! left any state.
//!
//! Names are the kernel's only where we see them from the host's cgroup namespace: from another,
//! every group outside it reads `/../x` (cgroup_namespaces(7)).

use std::collections::BTreeMap;

use nix::unistd::Pid;

use crate::hostproc::{self, HostProc, Process};
use crate::request::Lookup;

use super::known;
use super::{Container, Runtime, Source, State, Witness};

/// Which container a process is in.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Named {
    /// Whose container.
    pub runtime: Runtime,
    /// Its full ID.
    pub id: String,
    /// containerd's namespace, where the name has it.
    pub namespace: Option<String>,
}

impl Named {
    /// Whether `--runtime` and `--runtime-namespace` let it through.
    pub(super) fn is_wanted(&self, lookup: &Lookup) -> bool {
        let namespace = lookup.runtime_namespace.as_ref();
        known::wants(lookup, self.runtime)
            && namespace.is_none_or(|wanted| self.namespace.as_ref() == Some(wanted))
    }
}

/// Reads a /proc/PID/cgroup (cgroups(7)). None if the process is in no container's group, or the
/// names are not the host's.
#[must_use]
pub fn container_of(cgroup_file: &[u8]) -> Option<Named> {
    let mut found = None;
    for line in cgroup_file.split(|b| *b == b'\n') {
        let Some(path) = line.splitn(3, |b| *b == b':').nth(2) else {
            continue;
        };
        let Ok(path) = std::str::from_utf8(path) else {
            continue;
        };
        if is_foreign(path) {
            return None;
        }
        // Every hierarchy that names one must name the same: a process may be moved in one alone.
        match (named(path), &found) {
            (Some(one), None) => found = Some(one),
            (Some(one), Some(other)) if one != *other => return None,
            _ => {}
        }
    }
    found
}

/// Whether names were read from another cgroup namespace than the process's own or its ancestors'.
#[must_use]
fn is_foreign(path: &str) -> bool {
    path.split('/').any(|part| part == "..")
}

/// The container's group is the **first** one from the top that has a runtime's exact form: what
/// is below was made inside the container, and may imitate anything.
fn named(path: &str) -> Option<Named> {
    let parts: Vec<&str> = path.split('/').skip(1).collect();
    (0..parts.len()).find_map(|i| {
        let (above, part) = (&parts[..i], parts[i]);
        by_scope(above, part).or_else(|| by_folder(above, part))
    })
}

/// systemd's driver: `<prefix>-<id>.scope`, in slices of the system alone. (A user may make scopes
/// of any name in user.slice, and a service in the group that was delegated to it.)
fn by_scope(above: &[&str], part: &str) -> Option<Named> {
    let unit = part.strip_suffix(".scope")?;
    if above.first() == Some(&"user.slice") || !above.iter().all(|a| a.ends_with(".slice")) {
        return None;
    }
    let (runtime, id) = [
        (Runtime::Containerd, "cri-containerd-"),
        (Runtime::Containerd, "nerdctl-"),
        (Runtime::Docker, "docker-"),
        (Runtime::CriO, "crio-"),
        (Runtime::Podman, "libpod-"),
    ]
    .into_iter()
    .find_map(|(runtime, prefix)| Some((runtime, unit.strip_prefix(prefix)?)))?;
    // Helpers are `crio-conmon-ID` and `libpod-conmon-ID`: their ID is no ID.
    is_id(id).then(|| new(runtime, id, None))
}

/// cgroupfs's driver: by the folders above.
fn by_folder(above: &[&str], part: &str) -> Option<Named> {
    match *above {
        ["kubepods", "besteffort" | "burstable", pod] | ["kubepods", pod] if is_pod(pod) => {
            crio(part).or_else(|| is_id(part).then(|| new(Runtime::Containerd, part, None)))
        }
        ["docker"] if is_id(part) => Some(new(Runtime::Docker, part, None)),
        ["libpod_parent"] => podman(part),
        ["libpod_parent", pod] if pod.starts_with("libpod_pod_") || is_id(pod) => {
            podman(part).or_else(|| is_id(part).then(|| new(Runtime::Podman, part, None)))
        }
        // `ctr run` and nerdctl: /<namespace>/<id>.
        [namespace @ ("default" | "k8s.io" | "moby" | "buildkit")] if !part.is_empty() => {
            let runtime = match namespace {
                "moby" => Runtime::Docker,
                _ => Runtime::Containerd,
            };
            plain(part).then(|| new(runtime, part, Some(namespace)))
        }
        _ => None,
    }
}

fn crio(part: &str) -> Option<Named> {
    let id = part.strip_prefix("crio-")?;
    is_id(id).then(|| new(Runtime::CriO, id, None))
}

fn podman(part: &str) -> Option<Named> {
    let id = part.strip_prefix("libpod-")?;
    is_id(id).then(|| new(Runtime::Podman, id, None))
}

fn new(runtime: Runtime, id: &str, namespace: Option<&str>) -> Named {
    Named {
        runtime,
        id: id.to_owned(),
        namespace: namespace.map(str::to_owned),
    }
}

fn is_id(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
}

fn is_pod(text: &str) -> bool {
    text.strip_prefix("pod")
        .is_some_and(|uid| !uid.is_empty() && plain(uid))
}

fn plain(text: &str) -> bool {
    let ok = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-');
    !text.is_empty() && text.len() <= 255 && text.bytes().all(ok)
}

/// Whether a process's cgroups name container `id`.
pub(super) fn names(process: &Process, id: &str) -> Result<bool, hostproc::Error> {
    Ok(container_of(&process.read("cgroup")?).is_some_and(|n| n.id == id))
}

/// What a look through all processes found.
#[derive(Default)]
pub(super) struct Scan {
    pub(super) containers: Vec<Container>,
    /// Groups are named from another cgroup namespace: nothing can be said.
    pub(super) foreign: bool,
}

/// Looks through every process.
pub(super) fn scan(
    proc: &HostProc,
    wanted: impl Fn(&Named) -> bool,
) -> Result<Scan, hostproc::Error> {
    let mut scan = Scan::default();
    let first = proc
        .process(Pid::from_raw(1))
        .and_then(|p| p.read("cgroup"));
    let first = first.unwrap_or_default();
    if first.split(|b| *b == b'\n').any(|line| {
        let path = line.splitn(3, |b| *b == b':').nth(2).unwrap_or_default();
        is_foreign(&String::from_utf8_lossy(path))
    }) {
        scan.foreign = true;
        return Ok(scan);
    }
    let mut members: BTreeMap<Named, Vec<Pid>> = BTreeMap::new();
    for pid in proc.pids()? {
        let Ok(cgroup) = proc.process(pid).and_then(|p| p.read("cgroup")) else {
            continue;
        };
        if let Some(named) = container_of(&cgroup).filter(&wanted) {
            members.entry(named).or_default().push(pid);
        }
    }
    for (named, pids) in members {
        let Some(pid) = init_of(proc, &pids) else {
            continue;
        };
        let mut container = Container::new(&named.id, named.runtime);
        container.runtime_namespace = named.namespace;
        container.state = State::Running(pid);
        container.source = Source::Cgroup;
        container.witness = Witness::Cgroup;
        scan.containers.push(container);
    }
    Ok(scan)
}

/// The init among a container's processes: the one whose parent is outside; of several (a command
/// that was run in it), the one that is PID 1 of its PID namespace, else the oldest.
fn init_of(proc: &HostProc, pids: &[Pid]) -> Option<Pid> {
    let mut best: Option<(bool, u64, Pid)> = None;
    for pid in pids {
        let Ok(process) = proc.process(*pid) else {
            continue;
        };
        let (Ok(status), Ok(start)) = (process.read("status"), process.start_time()) else {
            continue;
        };
        if !process.is_alive() {
            continue;
        }
        let Some((parent, innermost)) = parse_status(&status) else {
            continue;
        };
        if pids.contains(&parent) {
            continue;
        }
        let candidate = (innermost != 1, start, *pid);
        if best.is_none_or(|b| candidate < b) {
            best = Some(candidate);
        }
    }
    best.map(|(_, _, pid)| pid)
}

/// PPid, and the last of NSpid: the process's PID in its own PID namespace.
fn parse_status(status: &[u8]) -> Option<(Pid, i32)> {
    let text = String::from_utf8_lossy(status);
    let field = |name: &str| text.lines().find_map(|l| l.strip_prefix(name));
    let parent: i32 = field("PPid:")?.trim().parse().ok()?;
    let innermost = field("NSpid:").and_then(|f| f.split_ascii_whitespace().next_back());
    let innermost = innermost.and_then(|n| n.parse().ok()).unwrap_or(0);
    Some((Pid::from_raw(parent), innermost))
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: &str = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
    const B: &str = "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb";

    fn of(path: &str) -> Option<(Runtime, String)> {
        let file = format!("0::{}\n", path.replace("$A", A).replace("$B", B));
        container_of(file.as_bytes()).map(|n| (n.runtime, n.id))
    }

    #[test]
    fn knows_each_runtimes_form() {
        for (path, runtime) in [
            ("/kubepods/besteffort/pod1-2/$A", Runtime::Containerd),
            ("/kubepods/pod1-2/$A", Runtime::Containerd),
            ("/kubepods/burstable/pod1-2/crio-$A", Runtime::CriO),
            (
                "/kubepods.slice/kubepods-pod1.slice/cri-containerd-$A.scope",
                Runtime::Containerd,
            ),
            (
                "/kubepods.slice/kubepods-pod1.slice/crio-$A.scope",
                Runtime::CriO,
            ),
            ("/system.slice/docker-$A.scope", Runtime::Docker),
            ("/docker/$A", Runtime::Docker),
            ("/machine.slice/libpod-$A.scope/container", Runtime::Podman),
            (
                "/machine.slice/libpod_pod_$B.slice/libpod-$A.scope",
                Runtime::Podman,
            ),
            ("/libpod_parent/libpod-$A", Runtime::Podman),
            (
                "/system.slice/nerdctl-$A.scope/init.scope",
                Runtime::Containerd,
            ),
        ] {
            assert_eq!(of(path), Some((runtime, A.to_owned())), "{path}");
        }
        let ctr = container_of(b"3:pids:/default/web\n").unwrap();
        assert_eq!(
            (ctr.id.as_str(), ctr.namespace.as_deref()),
            ("web", Some("default"))
        );
    }

    #[test]
    fn helpers_and_pods_are_no_containers() {
        for path in [
            "/machine.slice/libpod-conmon-$A.scope",
            "/system.slice/crio-conmon-$A.scope",
            "/machine.slice/libpod_pod_$A.slice",
            "/kubepods/besteffort/pod1-2",
            "/kubepods/x/y/pod1/$A",
            "/user.slice/$A",
            "/user.slice/user-1000.slice/user@1000.service/docker-$A.scope",
            "/user.slice/docker-$A.scope",
            "/system.slice/theirs.service/docker-$A.scope",
            "/docker/short",
            "/docker",
            "/",
        ] {
            assert_eq!(of(path), None, "{path}");
        }
    }

    #[test]
    fn what_is_nested_in_a_container_cannot_pose_as_another() {
        for below in [
            "docker-$B.scope",
            "kubepods/pod1/$B",
            "docker/$B",
            "x/libpod-$B.scope",
        ] {
            let path = format!("/system.slice/docker-$A.scope/{below}");
            assert_eq!(of(&path), Some((Runtime::Docker, A.to_owned())), "{path}");
        }
    }

    #[test]
    fn names_from_another_cgroup_namespace_are_refused() {
        assert_eq!(of("/../docker/$A"), None);
        let mixed = format!("4:pids:/docker/{A}\n0::/../x\n");
        assert_eq!(container_of(mixed.as_bytes()), None);
        assert_eq!(of("/../../system.slice/docker-$A.scope"), None);
    }

    #[test]
    fn hierarchies_that_disagree_name_nothing() {
        let file = format!("4:pids:/docker/{A}\n3:cpu:/docker/{B}\n");
        assert_eq!(container_of(file.as_bytes()), None);
        let file = format!("4:pids:/docker/{A}\n1:name=x:/\n0::/\n");
        assert_eq!(container_of(file.as_bytes()).unwrap().id, A);
        // A ":" in the name, and a line cut short.
        assert_eq!(container_of(b"0::/a:b\n4:pids"), None);
    }

    #[test]
    fn reads_parent_and_innermost_pid() {
        let status = b"Name:\tx\nPPid:\t7\nNSpid:\t40\t1\n";
        assert_eq!(parse_status(status), Some((Pid::from_raw(7), 1)));
    }
}
