//! A node's cgroups: one subtree in each hierarchy of the host, and all that is in it.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// Where the node's own processes are, next to the containers' groups; cgroup v2 wants processes
/// in leaves only.
const SYSTEM: &str = "system";

/// How long processes may take to die and groups to empty.
const PATIENCE: Duration = Duration::from_secs(10);

/// The node's group in each hierarchy, as paths on the host.
#[derive(Clone, Debug)]
pub(crate) struct Groups(Vec<PathBuf>);

impl Groups {
    /// Makes the groups: below our own on cgroup v1, at the top on v2, where a group with
    /// processes can have no children with controllers.
    pub(super) fn make(name: &str) -> io::Result<Self> {
        let mut groups = Vec::new();
        for hierarchy in Hierarchy::all()? {
            let parent = if hierarchy.is_v2() {
                hierarchy.mount
            } else {
                hierarchy.own
            };
            let group = parent.join(format!("kpexec-{name}"));
            fs::create_dir(&group)?;
            fs::create_dir(group.join(SYSTEM))?;
            for file in ["cpuset.cpus", "cpuset.mems"] {
                // A v1 group without these takes no process.
                if hierarchy.controllers.contains("cpuset") {
                    let value = fs::read_to_string(parent.join(file))?;
                    fs::write(group.join(file), &value)?;
                    fs::write(group.join(SYSTEM).join(file), &value)?;
                }
            }
            groups.push(group);
        }
        Ok(Self(groups))
    }

    /// As [`Groups::save`] wrote them.
    pub(super) fn load(file: &Path) -> io::Result<Self> {
        Ok(Self(
            fs::read_to_string(file)?
                .lines()
                .map(PathBuf::from)
                .collect(),
        ))
    }

    /// Writes down where the groups are, for whoever cleans up after a janitor that was killed.
    pub(super) fn save(&self, file: &Path) -> io::Result<()> {
        let lines: Vec<_> = self.0.iter().map(|group| group.to_string_lossy()).collect();
        fs::write(file, lines.join("\n"))
    }

    /// Moves this process to the top of the groups, for a cgroup namespace to begin there.
    pub(super) fn join_top(&self) -> io::Result<()> {
        self.0
            .iter()
            .try_for_each(|group| fs::write(group.join("cgroup.procs"), "0"))
    }

    /// Moves this process to where the node's processes are.
    pub(super) fn join(&self) -> io::Result<()> {
        self.0
            .iter()
            .try_for_each(|group| fs::write(group.join(SYSTEM).join("cgroup.procs"), "0"))
    }

    /// Lets children of the v2 group have the controllers that it has itself.
    pub(super) fn delegate(&self) {
        for group in &self.0 {
            let Ok(controllers) = fs::read_to_string(group.join("cgroup.controllers")) else {
                continue;
            };
            for controller in controllers.split_whitespace() {
                let _ = fs::write(
                    group.join("cgroup.subtree_control"),
                    format!("+{controller}"),
                );
            }
        }
    }

    /// All groups below the node's, with the hierarchy's mount point left out.
    pub(crate) fn below(&self) -> Vec<PathBuf> {
        self.0.iter().flat_map(|group| tree(group)).collect()
    }

    /// Kills every process in the groups, and removes the groups.
    pub(super) fn destroy(&self) {
        let deadline = Instant::now() + PATIENCE;
        while self.0.iter().any(|group| group.exists()) && Instant::now() < deadline {
            for group in self.0.iter().flat_map(|group| tree(group)) {
                // A frozen v1 group would hold its processes alive.
                let _ = fs::write(group.join("freezer.state"), "THAWED");
                kill_all(&group);
                let _ = fs::remove_dir(&group);
            }
            sleep(Duration::from_millis(2));
        }
    }
}

/// A mounted cgroup hierarchy.
pub(super) struct Hierarchy {
    pub(super) mount: PathBuf,
    /// `cpu,cpuacct` or `name=systemd`; empty for v2.
    pub(super) controllers: String,
    /// The group that this process is in.
    own: PathBuf,
}

impl Hierarchy {
    /// The hierarchies of this machine, by `/proc/self/cgroup` and mountinfo (cgroups(7)).
    pub(super) fn all() -> io::Result<Vec<Self>> {
        let mounts = fs::read_to_string("/proc/self/mountinfo")?;
        let groups = fs::read_to_string("/proc/self/cgroup")?;
        let all = groups.lines().filter_map(|line| {
            let mut fields = line.splitn(3, ':').skip(1);
            let controllers = fields.next()?.to_owned();
            let mount = mounts
                .lines()
                .find_map(|line| mount_point(line, &controllers))?;
            let own = mount.join(fields.next()?.trim_start_matches('/'));
            Some(Self {
                mount,
                controllers,
                own,
            })
        });
        Ok(all.collect())
    }

    pub(super) fn is_v2(&self) -> bool {
        self.controllers.is_empty()
    }
}

/// The mount point of a mountinfo line, if it is the hierarchy with these controllers.
fn mount_point(line: &str, controllers: &str) -> Option<PathBuf> {
    let (place, source) = line.split_once(" - ")?;
    let mut source = source.split(' ');
    let (kind, options) = (source.next()?, source.nth(1)?);
    let same = match kind {
        "cgroup2" => controllers.is_empty(),
        "cgroup" => {
            !controllers.is_empty()
                && controllers
                    .split(',')
                    .all(|one| options.split(',').any(|option| option == one))
        }
        _ => false,
    };
    same.then(|| PathBuf::from(place.split(' ').nth(4).unwrap_or_default()))
}

/// The groups of a subtree, children before their parents.
fn tree(group: &Path) -> Vec<PathBuf> {
    let mut found: Vec<_> = fs::read_dir(group)
        .into_iter()
        .flatten()
        .flatten()
        .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
        .flat_map(|entry| tree(&entry.path()))
        .collect();
    if group.exists() {
        found.push(group.to_path_buf());
    }
    found
}

fn kill_all(group: &Path) {
    use nix::sys::signal::{Signal, kill};
    let processes = fs::read_to_string(group.join("cgroup.procs")).unwrap_or_default();
    // 0 is a process that we cannot see; it would be ourselves to kill(2).
    for process in processes
        .lines()
        .filter_map(|line| line.parse().ok())
        .filter(|&pid| pid > 1)
    {
        let _ = kill(nix::unistd::Pid::from_raw(process), Signal::SIGKILL);
    }
}
