//! runc and crun on their own, with bundles that the harness writes.

use std::fs;
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};

use super::spec::{DEFAULT_CAPS, USERNS_BASE, USERNS_SIZE};
use super::{Container, ContainerSpec, Runtime};
use crate::command::Cmd;
use crate::node::SCRATCH;
use crate::{Cache, Image, Node};

/// An OCI runtime on a node, without a daemon.
#[derive(Debug)]
pub struct Oci {
    node: Node,
    /// What leads into the container of the node that it is in.
    enter: Vec<String>,
    program: String,
}

impl Oci {
    /// The runtime at this path.
    pub fn new(node: &Node, program: &str) -> Self {
        Self::within(node, &[], program)
    }

    /// The same in one of the node's containers, into which these words lead, and which shares the
    /// harness' folder.
    pub fn within(node: &Node, enter: &[&str], program: &str) -> Self {
        Self {
            node: node.clone(),
            enter: enter.iter().map(|word| (*word).to_owned()).collect(),
            program: program.to_owned(),
        }
    }

    /// A command where the runtime is.
    fn there<'a>(&'a self, words: impl IntoIterator<Item = &'a str>) -> Cmd {
        let enter = self.enter.iter().map(String::as_str);
        self.node.command(enter.chain(words))
    }

    fn command<S: AsRef<str>>(&self, arguments: impl IntoIterator<Item = S>) -> Cmd {
        let words: Vec<_> = arguments.into_iter().collect();
        let words = words.iter().map(AsRef::as_ref);
        self.there([self.program.as_str()].into_iter().chain(words))
    }

    fn bundle(id: &str) -> String {
        format!("{SCRATCH}/bundles/{id}")
    }
}

impl Runtime for Oci {
    fn name(&self) -> String {
        self.program.clone()
    }

    fn node(&self) -> &Node {
        &self.node
    }

    fn run(&self, spec: &ContainerSpec) -> Container {
        assert!(
            !spec.seccomp,
            "{} has no filter of its own; use a runtime that has",
            self.program
        );
        let (id, bundle) = (spec.name.clone(), Self::bundle(&spec.name));
        let root = format!("{bundle}/rootfs");
        let files = self.node.scratch().join(format!("bundles/{id}/rootfs"));
        fs::create_dir_all(&files).expect("a bundle can be made");
        spec.image.unpack(&files);
        for folder in ["proc", "dev", "sys"] {
            fs::create_dir_all(files.join(folder)).expect("so can its folders");
        }
        if spec.userns {
            self.node
                .command([
                    "chown",
                    "-R",
                    &format!("{USERNS_BASE}:{USERNS_BASE}"),
                    &root,
                ])
                .ok();
        }
        self.node
            .write(format!("{bundle}/config.json"), config(spec).to_string());

        // The container has our output as its own; a pipe would stay open with it.
        let script = format!("exec \"$0\" \"$@\" </dev/null >{bundle}/log 2>&1");
        let pivot = spec.no_pivot.then_some("--no-pivot");
        let words = [
            "sh",
            "-c",
            &script,
            &self.program,
            "run",
            "--detach",
            "--bundle",
            &bundle,
        ];
        let output = self
            .there(words.into_iter().chain(pivot).chain([id.as_str()]))
            .run();
        let log = self.node.read(format!("{bundle}/log"));
        assert_eq!(output.code, 0, "{} run {id}: {log}", self.program);

        let state: Value = serde_json::from_str(&self.command(["state", &id]).ok()).expect("JSON");
        let pid = state["pid"]
            .as_u64()
            .and_then(|pid| u32::try_from(pid).ok());
        let pid = pid.expect("a running container has a process");
        // runc does not wait for its last part to become the container's program.
        while comm(&self.node, pid).starts_with("runc:") {
            thread::sleep(Duration::from_millis(1));
        }
        Container {
            id,
            pid,
            spec: spec.clone(),
        }
    }

    fn exec(&self, container: &Container, argv: &[&str]) -> Cmd {
        // crun has root and / as the default, not what the container has.
        let uid = format!("--user={0}:{0}", container.spec.uid);
        let cwd = format!("--cwd={}", container.spec.cwd.as_deref().unwrap_or("/"));
        self.command(["exec", &uid, &cwd, &container.id].iter().chain(argv))
    }

    fn pause(&self, container: &Container) {
        self.command(["pause", &container.id]).ok();
    }

    fn unpause(&self, container: &Container) {
        self.command(["resume", &container.id]).ok();
    }

    fn stop(&self, container: &Container) {
        self.command(["kill", &container.id, "KILL"]).ok();
    }

    fn remove(&self, container: &Container) {
        self.command(["delete", "--force", &container.id]).ok();
        let removed = fs::remove_dir_all(self.node.path(Self::bundle(&container.id)));
        removed.expect("a bundle can be removed");
    }
}

/// A process's name; nothing once it has ended.
fn comm(node: &Node, pid: u32) -> String {
    fs::read_to_string(node.path(format!("/proc/{pid}/comm"))).unwrap_or_default()
}

/// The path of the runc that setup built.
pub(super) fn new_runc() -> String {
    let folder = Cache::here().part("runc", "github.com/opencontainers/runc");
    folder.join("runc").display().to_string()
}

/// Copies an image's archive to the node, where any user can read it; gives its path there.
pub(super) fn on_node(node: &Node, image: Image) -> String {
    let path = format!("{SCRATCH}/{image:?}.tar");
    if !node.path(&path).exists() {
        fs::copy(image.archive(), node.path(&path)).expect("an archive can be copied");
    }
    path
}

/// Limits the number of processes of a container that has been started.
pub(super) fn limit_processes(node: &Node, pid: u32, count: u32) {
    // Read on the node, whose root is not the host's.
    let groups = node.command(["cat", &format!("/proc/{pid}/cgroup")]).ok();
    let group = |name: &str| {
        groups
            .lines()
            .find_map(|line| line.split_once(name)?.1.to_owned().into())
    };
    let file: String = match group(":pids:") {
        Some(group) => format!("/sys/fs/cgroup/pids{group}/pids.max"),
        None => format!(
            "/sys/fs/cgroup{}/pids.max",
            group("0::").unwrap_or_default()
        ),
    };
    let script = format!("echo {count} >{file}");
    node.command(["sh", "-c", &script]).ok();
}

/// The bundle's config.json, by the OCI runtime specification.
pub(crate) fn config(spec: &ContainerSpec) -> Value {
    let caps: Vec<&str> = match (spec.no_caps, spec.privileged) {
        (true, _) => vec![],
        (false, true) => [
            &DEFAULT_CAPS[..],
            &["CAP_SYS_ADMIN", "CAP_NET_ADMIN", "CAP_SYS_PTRACE"],
        ]
        .concat(),
        (false, false) => DEFAULT_CAPS.to_vec(),
    };
    let path = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin".to_owned();
    let env = spec
        .env
        .iter()
        .map(|(name, value)| format!("{name}={value}"));
    let env: Vec<String> = [path].into_iter().chain(env).collect();
    let mut spaces = vec!["mount", "ipc", "uts", "cgroup"];
    spaces.extend((!spec.host_network).then_some("network"));
    spaces.extend((!spec.host_pid).then_some("pid"));
    spaces.extend(spec.userns.then_some("user"));
    let spaces: Vec<Value> = spaces
        .into_iter()
        .map(|kind| json!({ "type": kind }))
        .collect();
    let ids = if spec.userns {
        json!([{ "containerID": 0, "hostID": USERNS_BASE, "size": USERNS_SIZE }])
    } else {
        json!([])
    };
    let hidden: &[&str] = if spec.privileged {
        &[]
    } else {
        &["/proc/kcore", "/proc/keys", "/sys/firmware"]
    };
    let fixed: &[&str] = if spec.privileged {
        &[]
    } else {
        &["/proc/sys", "/proc/sysrq-trigger"]
    };
    let mut config = json!({
        "ociVersion": "1.0.2",
        "hostname": spec.name,
        "annotations": spec.labels,
        "root": { "path": "rootfs", "readonly": spec.read_only },
        "process": {
            "args": spec.argv,
            "env": env,
            "cwd": spec.cwd.as_deref().unwrap_or("/"),
            "user": { "uid": spec.uid, "gid": spec.uid },
            "noNewPrivileges": !spec.privileged,
            "capabilities": { "bounding": caps, "effective": caps, "permitted": caps },
        },
        "mounts": [
            { "destination": "/proc", "type": "proc", "source": "proc" },
            { "destination": "/dev", "type": "tmpfs", "source": "tmpfs",
              "options": ["nosuid", "strictatime", "mode=755", "size=65536k"] },
            { "destination": "/dev/pts", "type": "devpts", "source": "devpts",
              "options": ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620"] },
            { "destination": "/dev/shm", "type": "tmpfs", "source": "shm",
              "options": ["nosuid", "noexec", "nodev", "mode=1777", "size=65536k"] },
            if spec.host_network {
                json!({ "destination": "/sys", "type": "none", "source": "/sys",
                        "options": ["rbind", "nosuid", "noexec", "nodev", "ro"] })
            } else {
                json!({ "destination": "/sys", "type": "sysfs", "source": "sysfs",
                        "options": ["nosuid", "noexec", "nodev", "ro"] })
            },
        ],
        "linux": {
            "namespaces": spaces,
            "uidMappings": ids,
            "gidMappings": ids,
            "maskedPaths": hidden,
            "readonlyPaths": fixed,
            "resources": {
                "devices": [{ "allow": spec.privileged, "access": "rwm" }],
                "memory": spec.memory.map(|bytes| json!({ "limit": bytes })).unwrap_or(json!({})),
            },
        },
    });
    // No other word for "unlimited" is understood by every runtime.
    if let Some(count) = spec.pids {
        config["linux"]["resources"]["pids"] = json!({ "limit": count });
    }
    config
}
