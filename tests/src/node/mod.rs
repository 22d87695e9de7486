//! A node: a machine of its own, made of namespaces.
//!
//! Three small processes keep it, all of them played by the program `kpexec-node`:
//!
//! ```text
//! test ──pipe──► janitor      outside of the node; when the pipe closes, for whatever reason,
//!                │            it kills the node's cgroups and removes all that was made
//!                └► boot      makes the namespaces and the mounts; dies with the janitor
//!                   └► init   PID 1 of the node; when it dies, the kernel kills all the rest
//! ```
//!
//! Commands are not children of init: like an admin's over SSH, they enter from outside
//! (`kpexec-node enter`) and are moved to the node's cgroups. A fourth part is no node's: `relay`,
//! a long way from one port to another.

mod boot;
mod cgroups;
mod enter;
mod janitor;
mod relay;

use std::ffi::{OsStr, OsString};
use std::fs;
use std::io::{self, BufRead, BufReader};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, OnceLock};

pub(crate) use cgroups::Groups;
pub(crate) use enter::Request;

use crate::command::Cmd;
use crate::{Snapshot, cache};
use janitor::Folder;

/// A folder of the node on the host's disk, for bundles and other files of the tests.
pub const SCRATCH: &str = "/var/lib/kpexec-tests";

/// A machine of its own. Clones are the same node; it ends with the last of them.
///
/// A node in a `static` ends with the test process.
#[derive(Clone, Debug)]
pub struct Node(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    name: String,
    folder: PathBuf,
    init: u32,
    janitor: Child,
    groups: Groups,
    installed: OnceLock<()>,
}

impl Node {
    /// Makes a node, in a tenth of a second or so.
    ///
    /// # Panics
    /// If it cannot be made; what is in the way is on standard error.
    pub fn start() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        assert!(
            nix::unistd::geteuid().is_root(),
            "nodes need root: run the tests with sudo"
        );

        let name = format!(
            "n{}-{}",
            std::process::id(),
            COUNT.fetch_add(1, Ordering::Relaxed)
        );
        let mut janitor = Command::new(cache::helper())
            .args(["janitor", &name])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the janitor starts");
        let mut line = String::new();
        let output = janitor.stdout.take().expect("it was asked for");
        BufReader::new(output)
            .read_line(&mut line)
            .expect("the janitor can be read");
        let init = line
            .trim()
            .parse()
            .expect("the node starts (why not is said above)");

        let folder = Folder::of(&name);
        let groups = Groups::load(&folder.groups()).expect("the node's cgroups are written down");
        let (folder, installed) = (folder.0, OnceLock::new());
        Self(Arc::new(Inner {
            name,
            folder,
            init,
            janitor,
            groups,
            installed,
        }))
    }

    /// The node's host name.
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// The host's process ID of the node's init.
    pub fn init(&self) -> u32 {
        self.0.init
    }

    /// A path of the node as a path of the host. Absolute symbolic links on the way would lead out
    /// of the node: name what is behind them.
    pub fn path(&self, path: impl AsRef<Path>) -> PathBuf {
        let path = path.as_ref();
        let relative = path
            .strip_prefix("/")
            .expect("a path in a node is absolute");
        PathBuf::from(format!("/proc/{}/root", self.0.init)).join(relative)
    }

    /// Writes a file of the node, and the folders above it.
    pub fn write(&self, path: impl AsRef<Path>, content: impl AsRef<[u8]>) {
        let place = self.path(&path);
        let written = fs::create_dir_all(place.parent().expect("a file is in a folder"))
            .and_then(|()| fs::write(&place, content));
        written.unwrap_or_else(|error| panic!("write {}: {error}", path.as_ref().display()));
    }

    /// Reads a file of the node.
    pub fn read(&self, path: impl AsRef<Path>) -> String {
        let bytes = fs::read(self.path(&path));
        let bytes =
            bytes.unwrap_or_else(|error| panic!("read {}: {error}", path.as_ref().display()));
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// A command that root of the node runs.
    pub fn command<S: AsRef<OsStr>>(&self, argv: impl IntoIterator<Item = S>) -> Cmd {
        Cmd::new(
            self.clone(),
            argv.into_iter()
                .map(|word| word.as_ref().to_owned())
                .collect(),
        )
    }

    /// The cnsenter under test with these arguments; it is installed on the node's PATH.
    pub fn cnsenter<S: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = S>) -> Cmd {
        self.0.installed.get_or_init(|| {
            install(&cache::cnsenter(), &self.path("/usr/local/sbin/cnsenter"));
        });
        let name = [OsString::from("cnsenter")].into_iter();
        let arguments = arguments.into_iter().map(|word| word.as_ref().to_owned());
        Cmd::new(self.clone(), name.chain(arguments).collect())
    }

    /// A C program of `tests/programs`, static, at this path of the node; `path` may lead into a
    /// container by `/proc/PID/root`.
    pub fn program(&self, name: &str, path: impl AsRef<Path>) {
        install(&crate::program::build(name), &self.path(path));
    }

    /// As [`Node::program`], for a shared library.
    pub fn library(&self, name: &str, path: impl AsRef<Path>) {
        install(&crate::program::build_library(name), &self.path(path));
    }

    /// What there is on the node now; compare two to find what leaked between them.
    pub fn snapshot(&self) -> Snapshot {
        Snapshot::take(self)
    }

    /// The folder [`SCRATCH`] as a path of the host, for programs that resolve paths.
    pub fn scratch(&self) -> PathBuf {
        let name = Path::new(SCRATCH).file_name().expect("it has a name");
        Folder(self.0.folder.clone()).disk().join(name)
    }

    /// The node's process IDs of those that run exactly this command line.
    pub fn find(&self, argv: &[&str]) -> Vec<u32> {
        let wanted: String = argv.iter().flat_map(|word| [*word, "\0"]).collect();
        let entries = fs::read_dir(self.path("/proc")).expect("a node has a /proc");
        let pids = entries
            .flatten()
            .filter_map(|entry| entry.file_name().to_str()?.parse().ok());
        pids.filter(|pid: &u32| {
            let words = fs::read(self.path(format!("/proc/{pid}/cmdline")));
            words.is_ok_and(|words| words == wanted.as_bytes())
        })
        .collect()
    }

    /// The letter of proc(5) for the state of one of the node's processes; `X` if it is gone.
    pub fn state(&self, pid: u32) -> char {
        let stat = fs::read_to_string(self.path(format!("/proc/{pid}/stat"))).unwrap_or_default();
        let state = stat
            .rsplit_once(") ")
            .and_then(|(_, rest)| rest.chars().next());
        state.unwrap_or('X')
    }

    pub(crate) fn groups(&self) -> &Groups {
        &self.0.groups
    }

    /// The file that [`Request`] wants.
    pub(crate) fn groups_file(&self) -> PathBuf {
        Folder(self.0.folder.clone()).groups()
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        drop(self.janitor.stdin.take());
        let _ = self.janitor.wait();
    }
}

/// Copies a program. Another process does it, because a child that some other thread forks meanwhile
/// would hold the new file open for writing, and nobody could execute it. An old one may still run.
fn install(program: &Path, path: &Path) {
    let copied = Command::new("cp")
        .arg("--remove-destination")
        .args([program, path])
        .status();
    let copied = copied.expect("cp starts").success();
    assert!(copied, "cannot copy {} to the node", program.display());
}

/// This program again, also where its path leads elsewhere.
fn ourselves() -> Command {
    let mut command = Command::new("/proc/self/exe");
    command.arg0("kpexec-node");
    command
}

/// Plays the part that the first argument names: the program `kpexec-node`.
pub fn play(arguments: Vec<OsString>) -> ExitCode {
    let part = arguments
        .first()
        .and_then(|part| part.to_str())
        .unwrap_or_default();
    let name = arguments
        .get(1)
        .and_then(|name| name.to_str())
        .unwrap_or_default();
    let done = |outcome: io::Result<()>| outcome.map(|()| ExitCode::SUCCESS);
    let outcome = match part {
        "janitor" => done(janitor::keep(name)),
        "boot" => done(boot::boot(name)),
        "init" => done(boot::init()),
        "enter" => Request::from_arguments(&arguments[1..])
            .ok_or_else(|| io::Error::other("bad request"))
            .and_then(|request| enter::enter(&request)),
        "relay" => done(relay::relay(&arguments[1..])),
        _ => Err(io::Error::other("parts: janitor, boot, init, enter, relay")),
    };
    outcome.unwrap_or_else(|error| {
        eprintln!("kpexec-node {part}: {error}");
        ExitCode::from(127)
    })
}
