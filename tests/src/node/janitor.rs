//! The process that outlives the test and removes what the test left.

use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Read};
use std::path::PathBuf;
use std::process::Stdio;

use nix::sys::prctl::set_child_subreaper;
use nix::sys::wait::wait;

use super::cgroups::Groups;
use crate::Cache;

/// A node's files on the host. Each file is removed with the folder when the node ends.
pub(super) struct Folder(pub(super) PathBuf);

impl Folder {
    pub(super) fn of(name: &str) -> Self {
        Self(Cache::here().folder("nodes").join(name))
    }

    /// Held by the janitor: a node whose lock is free has no janitor any more.
    fn lock(&self) -> PathBuf {
        self.0.join("lock")
    }

    /// Where the node's cgroups are, one path a line.
    pub(super) fn groups(&self) -> PathBuf {
        self.0.join("cgroups")
    }

    /// On the host's disk, because overlayfs cannot be stacked at will: runtimes' images and roots.
    pub(super) fn disk(&self) -> PathBuf {
        self.0.join("disk")
    }
}

/// Makes the node `name`, keeps it until standard input ends, and removes it.
///
/// A line on standard output says when the node is up: the process ID of its init.
pub(super) fn keep(name: &str) -> io::Result<()> {
    // Neither Ctrl-C nor a closed terminal may stop the cleaning.
    nix::unistd::setsid()?;
    // Boot may die before init does; no zombie is left to whoever is PID 1 here.
    set_child_subreaper(true)?;
    let folder = Folder::of(name);
    let _lock = claim(&folder)?;
    let groups = Groups::make(name)?;
    groups.save(&folder.groups())?;

    let boot = super::ourselves()
        .args(["boot", name])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()?;
    let mut init = String::new();
    if let Some(output) = boot.stdout {
        BufReader::new(output).read_line(&mut init)?;
    }
    println!("{}", init.trim());
    if !init.is_empty() {
        io::stdin().read_to_end(&mut Vec::new())?;
    }

    groups.destroy();
    while wait().is_ok() {}
    fs::remove_dir_all(&folder.0)
}

/// Makes the folder, which is the node's as long as the lock is held, after a sweep.
fn claim(folder: &Folder) -> io::Result<File> {
    // One at a time: a folder whose lock is not held yet looks like one whose janitor is dead.
    let turn = File::create(Cache::here().folder("nodes").join("turn"))?;
    turn.lock()?;
    sweep();
    fs::create_dir_all(folder.disk())?;
    let lock = File::create(folder.lock())?;
    lock.lock()?;
    Ok(lock)
}

/// Removes the nodes whose janitors were killed.
fn sweep() {
    let nodes = fs::read_dir(Cache::here().folder("nodes"));
    for entry in nodes.into_iter().flatten().flatten() {
        let folder = Folder(entry.path());
        let orphaned = File::open(folder.lock()).is_ok_and(|lock| lock.try_lock().is_ok());
        if orphaned {
            remove(&folder);
        }
    }
}

fn remove(folder: &Folder) {
    if let Ok(groups) = Groups::load(&folder.groups()) {
        groups.destroy();
    }
    let _ = fs::remove_dir_all(&folder.0);
}
