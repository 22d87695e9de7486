//! The files that a virtual machine starts with.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::Node;
use crate::node::SCRATCH;

/// A folder of the host that becomes the initramfs.
#[derive(Debug)]
pub(super) struct Files(PathBuf);

impl Files {
    pub(super) fn in_folder(path: PathBuf) -> Self {
        fs::create_dir_all(path.join("img/rootfs")).expect("a folder can be made");
        Self(path)
    }

    pub(super) fn root(&self) -> &Path {
        &self.0
    }

    pub(super) fn write(&self, path: &str, text: &str, mode: u32) {
        let place = self.place(path);
        fs::write(&place, text)
            .and_then(|()| fs::set_permissions(&place, fs::Permissions::from_mode(mode)))
            .unwrap_or_else(|error| panic!("write {path}: {error}"));
    }

    pub(super) fn copy(&self, from: &Path, to: &str) {
        fs::copy(from, self.place(to))
            .unwrap_or_else(|error| panic!("copy {}: {error}", from.display()));
    }

    /// Copies a program and, where the host has them, the libraries that it needs.
    pub(super) fn program(&self, from: &Path, to: &str) {
        self.copy(from, to);
        let libraries = Command::new("ldd").arg(from).output().expect("ldd runs");
        let libraries = String::from_utf8_lossy(&libraries.stdout).into_owned();
        let paths = libraries
            .split_whitespace()
            .filter(|word| word.starts_with('/'));
        for path in paths {
            let inside = path.trim_start_matches('/');
            if !self.0.join(inside).exists() {
                self.copy(Path::new(path), inside);
            }
        }
    }

    /// Debugging information is of no use in there.
    pub(super) fn strip(&self, path: &str) {
        let done = Command::new("strip").arg(self.0.join(path)).status();
        assert!(done.expect("strip runs").success(), "strip {path}");
    }

    /// The archive that the kernel unpacks; gives its path on the node.
    pub(super) fn pack(&self, node: &Node) -> String {
        let archive = format!("{SCRATCH}/initramfs.cpio");
        let script = "cd \"$0\" && find . | cpio -o -H newc >\"$1\"";
        let folder = format!("{SCRATCH}/initramfs");
        node.command(["sh", "-c", script, &folder, &archive]).ok();
        archive
    }

    fn place(&self, path: &str) -> PathBuf {
        let place = self.0.join(path);
        let folder = place.parent().expect("a file is in a folder");
        fs::create_dir_all(folder).expect("a folder can be made");
        place
    }
}
