//! Where a process's cgroups are in the file system (cgroups(7)).

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use nix::sys::statfs::{CGROUP_SUPER_MAGIC, CGROUP2_SUPER_MAGIC, FsType, statfs};

/// Below a root.
const MOUNT: &str = "sys/fs/cgroup";

/// One line of /proc/PID/cgroup.
pub(super) struct Membership<'a> {
    /// Empty for v2, else the hierarchy's controllers or `name=...`.
    controllers: &'a OsStr,
    path: &'a Path,
}

/// The path may hold ":", so there are exactly three fields (cgroups(7)).
pub(super) fn memberships(file: &[u8]) -> impl Iterator<Item = Membership<'_>> {
    file.split(|b| *b == b'\n').filter_map(|line| {
        let mut fields = line.splitn(3, |b| *b == b':');
        let controllers = OsStr::from_bytes(fields.nth(1)?);
        Some(Membership {
            controllers,
            path: Path::new(OsStr::from_bytes(fields.next()?)),
        })
    })
}

impl Membership<'_> {
    pub(super) fn is_v2(&self) -> bool {
        self.controllers.is_empty()
    }

    /// Whether it is the top of what can be seen.
    pub(super) fn is_root(&self) -> bool {
        self.path == Path::new("/")
    }

    pub(super) fn has(&self, controller: &str) -> bool {
        self.controllers
            .as_bytes()
            .split(|b| *b == b',')
            .any(|c| c == controller.as_bytes())
    }

    /// Its directory below `root`, if the hierarchy is mounted where it usually is and our own
    /// cgroup namespace reaches it (a path outside starts with "/..").
    fn below(&self, root: &Path) -> Option<PathBuf> {
        let mount = if self.is_v2() {
            [root.to_owned(), root.join("unified")]
                .into_iter()
                .find(|p| is_a(p, CGROUP2_SUPER_MAGIC))?
        } else {
            let name = self.controllers.as_bytes();
            let name = name.strip_prefix(b"name=").unwrap_or(name);
            let path = root.join(OsStr::from_bytes(name));
            is_a(&path, CGROUP_SUPER_MAGIC).then_some(path)?
        };
        let below = self.path.strip_prefix("/").ok()?;
        let plain = below
            .components()
            .all(|c| matches!(c, std::path::Component::Normal(_)));
        plain.then(|| mount.join(below))
    }
}

fn is_a(path: &Path, magic: FsType) -> bool {
    statfs(path).is_ok_and(|s| s.filesystem_type() == magic)
}

/// Where cgroups are mounted, as we see it.
pub(super) struct Mounts {
    /// Our own, then the node's: a pod may see itself alone in its own.
    roots: Vec<PathBuf>,
}

impl Mounts {
    pub(super) fn new(host_root: &Path) -> Self {
        let own = Path::new("/").join(MOUNT);
        let nodes = host_root.join(MOUNT);
        let roots = if nodes == own {
            vec![own]
        } else {
            vec![own, nodes]
        };
        Self { roots }
    }

    /// The directory of a group; where it is nowhere, the last place that it could be in.
    pub(super) fn directory(&self, group: &Membership<'_>) -> Option<PathBuf> {
        let mut places: Vec<_> = self.roots.iter().filter_map(|r| group.below(r)).collect();
        let last = places.pop()?;
        Some(places.into_iter().find(|p| p.is_dir()).unwrap_or(last))
    }

    /// Where v2 alone is mounted, the node's if that can be had.
    pub(super) fn unified(&self) -> Option<&Path> {
        let mut roots = self.roots.iter().rev();
        roots
            .find(|root| is_a(root, CGROUP2_SUPER_MAGIC))
            .map(PathBuf::as_path)
    }

    /// Whether processes of these memberships are frozen, or about to be.
    pub(super) fn is_frozen(&self, cgroup_file: &[u8]) -> bool {
        memberships(cgroup_file).any(|m| {
            let read = |name| std::fs::read_to_string(self.directory(&m)?.join(name)).ok();
            if m.is_v2() {
                read("cgroup.events").is_some_and(|e| e.lines().any(|l| l == "frozen 1"))
            } else {
                m.has("freezer") && read("freezer.state").is_some_and(|s| s.trim() != "THAWED")
            }
        })
    }
}
