//! Makes the node's namespaces and mounts, and starts its init.

use std::fs;
use std::io::{self, Read, Write};
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Command, Stdio};

use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sched::{CloneFlags, unshare};
use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::{SigSet, Signal};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::sethostname;

use super::cgroups::{Groups, Hierarchy};
use super::janitor::Folder;

/// Folders of the host that the node may write to without the host seeing it.
const OVERLAID: [&str; 5] = ["/etc", "/home", "/root", "/usr/local", "/var"];

/// Where the node's mounts keep what they show.
const BELOW: &str = "/run/kpexec-node";

/// Folders of the node that are on the host's disk, where overlayfs and mounts with mapped users work.
const ON_DISK: [&str; 5] = [
    "/var/lib/containerd",
    "/var/lib/docker",
    "/var/lib/containers",
    "/var/lib/kubelet",
    super::SCRATCH,
];

/// Becomes the node's first process, as the host sees it; ends with the node.
pub(super) fn boot(name: &str) -> io::Result<()> {
    set_pdeathsig(Signal::SIGKILL)?;
    let folder = Folder::of(name);
    let groups = Groups::load(&folder.groups())?;

    groups.join_top()?;
    unshare(CloneFlags::CLONE_NEWCGROUP)?;
    groups.join()?;
    groups.delegate();
    unshare(
        CloneFlags::CLONE_NEWNS
            | CloneFlags::CLONE_NEWUTS
            | CloneFlags::CLONE_NEWIPC
            | CloneFlags::CLONE_NEWNET,
    )?;
    sethostname(name)?;
    mount_all(&folder)?;
    run("ip", &["link", "set", "lo", "up"])?;

    // From here on, the next child is PID 1.
    unshare(CloneFlags::CLONE_NEWPID)?;
    let mut init = super::ourselves()
        .arg("init")
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()?;
    if let Some(ready) = init.stdout.take() {
        ready.take(1).read_exact(&mut [0])?;
    }
    writeln!(io::stdout(), "{}", init.id())?;
    init.wait()?;
    Ok(())
}

/// PID 1 of the node: mounts its /proc, and reaps whatever is left to it.
pub(super) fn init() -> io::Result<()> {
    set_pdeathsig(Signal::SIGKILL)?;
    filesystem("proc", "/proc", "")?;
    let children = SigSet::from(Signal::SIGCHLD);
    children.thread_block()?;
    io::stdout().write_all(b"\n")?;
    loop {
        children.wait()?;
        while waitpid(None, Some(WaitPidFlag::WNOHANG)).is_ok_and(|it| it != WaitStatus::StillAlive)
        {
        }
    }
}

fn mount_all(folder: &Folder) -> io::Result<()> {
    let none = None::<&str>;
    mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none)?;

    for (path, options) in [
        ("/run", "mode=755"),
        ("/tmp", "mode=1777"),
        ("/dev/shm", "mode=1777"),
    ] {
        filesystem("tmpfs", path, options)?;
    }
    fs::create_dir("/run/lock")?;
    // The disk is bound first, because an overlay may hide the way to it.
    let disk = Path::new(BELOW).join("disk");
    fs::create_dir_all(&disk)?;
    bind(&folder.disk(), &disk)?;
    for path in OVERLAID {
        overlay(path)?;
    }
    for path in ON_DISK {
        let source = disk.join(path.trim_start_matches("/var/lib/"));
        fs::create_dir_all(&source)?;
        fs::create_dir_all(path)?;
        bind(&source, Path::new(path))?;
    }

    filesystem(
        "devpts",
        "/dev/pts",
        "newinstance,ptmxmode=0666,mode=620,gid=5",
    )?;
    mount_cgroups()?;
    // As systemd has it on real nodes; runtimes and kubelets rely on it.
    mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_SHARED, none)?;
    Ok(())
}

/// Mounts the cgroups anew, for the node to see its own groups as the root.
fn mount_cgroups() -> io::Result<()> {
    let hierarchies = Hierarchy::all()?;
    umount2("/sys", MntFlags::MNT_DETACH)?;
    filesystem("sysfs", "/sys", "")?;
    let hybrid = hierarchies.iter().any(|hierarchy| !hierarchy.is_v2());
    if hybrid {
        filesystem("tmpfs", "/sys/fs/cgroup", "mode=755")?;
    }
    for Hierarchy {
        mount, controllers, ..
    } in &hierarchies
    {
        fs::create_dir_all(mount)?;
        let kind = if controllers.is_empty() {
            "cgroup2"
        } else {
            "cgroup"
        };
        let options = controllers
            .strip_prefix("name=")
            .map_or_else(|| controllers.clone(), |name| format!("none,name={name}"));
        filesystem(kind, mount, &options)?;
        // cpu,cpuacct is found as cpu and as cpuacct, too.
        for one in controllers.split(',').filter(|_| controllers.contains(',')) {
            symlink(controllers, mount.with_file_name(one))?;
        }
    }
    Ok(())
}

fn overlay(path: &str) -> io::Result<()> {
    let layer = Path::new(BELOW).join(path.trim_start_matches('/').replace('/', "-"));
    let (upper, work) = (layer.join("upper"), layer.join("work"));
    fs::create_dir_all(&upper)?;
    fs::create_dir_all(&work)?;
    let (upper, work) = (upper.display(), work.display());
    filesystem(
        "overlay",
        path,
        &format!("lowerdir={path},upperdir={upper},workdir={work}"),
    )
}

fn bind(source: &Path, target: &Path) -> io::Result<()> {
    mount(
        Some(source),
        target,
        None::<&str>,
        MsFlags::MS_BIND,
        None::<&str>,
    )
    .map_err(|error| failed("bind", target, error))
}

fn filesystem(kind: &str, target: impl AsRef<Path>, options: &str) -> io::Result<()> {
    let target = target.as_ref();
    let options = Some(options).filter(|options| !options.is_empty());
    mount(Some(kind), target, Some(kind), MsFlags::empty(), options)
        .map_err(|error| failed(kind, target, error))
}

fn failed(what: &str, target: &Path, error: nix::Error) -> io::Error {
    io::Error::other(format!("mount {what} on {}: {error}", target.display()))
}

fn run(program: &str, arguments: &[&str]) -> io::Result<()> {
    let status = Command::new(program).args(arguments).status()?;
    if status.success() {
        Ok(())
    } else {
        Err(io::Error::other(format!("{program}: {status}")))
    }
}
