//! A virtual machine, for the kernels and kernel features that the host lacks: cgroup v2 alone,
//! AppArmor, Linux 6.1 and 6.12.
//!
//! It is a Debian kernel and an initramfs that is made anew for each run: busybox, containerd,
//! runc, the cnsenter under test, and whatever a test adds. A script, `/main`, does the work; what
//! it prints is what [`Vm::run`] gives. QEMU runs on a [`Node`], and so ends with the test.

mod files;

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::runtime::oci_config;
use crate::{Cache, ContainerSpec, Image, Node, cache};
use files::Files;

/// PID 1 of the machine; it runs `/main` and powers the machine off.
const INIT: &str = include_str!("../../vm/init.sh");

/// Enough for the initramfs twice, because its content is copied to a tmpfs.
const MEMORY: &str = "2048";

/// A kernel that `make setup` has unpacked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kernel {
    /// Debian 12's.
    Linux6_1,
    /// Debian 13's.
    Linux6_12,
}

impl Kernel {
    fn series(self) -> &'static str {
        match self {
            Self::Linux6_1 => "6.1",
            Self::Linux6_12 => "6.12",
        }
    }
}

/// A machine that has not been started yet.
#[derive(Debug)]
#[must_use = "a machine does nothing until it is run"]
pub struct Vm {
    node: Node,
    kernel: PathBuf,
    files: Files,
}

impl Vm {
    /// A machine with this kernel, runtimes, cnsenter and `nsenter` to compare it with.
    pub fn new(kernel: Kernel) -> Self {
        let node = Node::start();
        let folder = Cache::here().kernel(kernel.series());
        let files = Files::in_folder(node.scratch().join("initramfs"));
        Image::Busybox.unpack(files.root());
        Image::Busybox.unpack(&files.root().join("img/rootfs"));
        files.write("init", INIT, 0o755);
        files.copy(&folder.join("overlay.ko"), "lib/overlay.ko");
        files.copy(&Image::Busybox.archive(), "img/busybox.tar");
        files.program(&cache::cnsenter(), "usr/bin/cnsenter");
        files.strip("usr/bin/cnsenter");
        let containerd = Cache::here().part("containerd", "github.com/containerd/containerd/v2");
        for name in ["containerd", "containerd-shim-runc-v2", "ctr"] {
            files.program(&containerd.join(name), &format!("usr/bin/{name}"));
        }
        let runc = Cache::here().part("runc", "github.com/opencontainers/runc");
        files.program(&runc.join("runc"), "usr/bin/runc");
        for name in ["sbin/apparmor_parser", "bin/nsenter", "bin/script"] {
            let path = format!("usr/{name}");
            files.program(&Path::new("/").join(&path), &path);
        }
        let kernel = folder.join("vmlinuz");
        Self {
            node,
            kernel,
            files,
        }
    }

    /// Adds a program of the host, with the libraries that it needs.
    pub fn program(self, from: &Path, to: &str) -> Self {
        self.files.program(from, to.trim_start_matches('/'));
        self
    }

    /// Adds a script, or any other text.
    pub fn script(self, path: &str, text: &str) -> Self {
        self.files.write(path.trim_start_matches('/'), text, 0o755);
        self
    }

    /// Adds a bundle's configuration, `/img/NAME.json`, by the spec; `GROUP` and `PROFILE` in it
    /// stand for the container's cgroup and its AppArmor profile.
    pub fn bundle(self, spec: &ContainerSpec) -> Self {
        let mut config = oci_config(spec);
        config["linux"]["cgroupsPath"] = "GROUP".into();
        config["process"]["apparmorProfile"] = "PROFILE".into();
        let path = format!("img/{}.json", spec.name);
        self.files.write(&path, &config.to_string(), 0o644);
        self
    }

    /// Runs the machine until `/main` has ended, and gives all that it printed.
    ///
    /// # Panics
    /// If the deadline passes or the machine ends otherwise; with the end of its console.
    pub fn run(self, deadline: Duration) -> String {
        let initramfs = self.files.pack(&self.node);
        let log = self.node.scratch().join("console");
        let kernel = self.kernel.display().to_string();
        let console = format!("file:{}", log.display());
        // One processor: with several, about one start in thirty ends in an "int3" oops, because the
        // emulator does not see in time that the kernel has patched its code back.
        let words = [
            "qemu-system-x86_64",
            "-accel",
            "tcg",
            "-cpu",
            "max",
            "-m",
            MEMORY,
            "-display",
            "none",
            "-no-reboot",
            "-nodefaults",
            "-serial",
            &console,
            "-serial",
            "stdio",
            "-kernel",
            &kernel,
            "-initrd",
            &initramfs,
            "-append",
            "console=ttyS0 quiet panic=-1 apparmor=1 security=apparmor",
        ];
        let output = self.node.command(words).deadline(deadline).run();
        let text = output.out().replace('\r', "");
        match text.strip_suffix("machine: done\n") {
            Some(text) if output.code == 0 => text.to_owned(),
            _ => {
                let log = std::fs::read(&log).unwrap_or_default();
                let log = String::from_utf8_lossy(&log);
                let end: Vec<_> = log.lines().rev().take(40).collect();
                let end: Vec<_> = end.into_iter().rev().collect();
                panic!(
                    "the machine did not get to its end: {output}\nconsole: {}",
                    end.join("\n")
                )
            }
        }
    }
}
