//! containerd, driven by its own client `ctr`.

use std::path::Path;

use super::spec::{DEFAULT_CAPS, USERNS_BASE, USERNS_SIZE};
use super::{Container, ContainerSpec, Daemon, Kind, Runtime, oci};
use crate::command::Cmd;
use crate::{Cache, Image, Node};

/// containerd on a node, with one OCI runtime.
#[derive(Debug)]
pub struct Containerd {
    node: Node,
    /// Where the daemon's and the client's programs are.
    bin: String,
    /// The OCI runtime's path.
    runtime: String,
    /// ctr 1.6 takes the user from the image only.
    has_user_flag: bool,
    socket: String,
    daemon: Daemon,
}

/// Where a containerd that nobody moved keeps its state.
const STATE: &str = "/run/containerd";

/// The namespace that the kubelet's images and containers are in.
pub(crate) const KUBERNETES: &str = "k8s.io";

const CONFIG: &str = "/etc/containerd/config.toml";

/// Root lacks CAP_SYS_RESOURCE on some test machines; hence restrict_oom_score_adj. Kata's shim is
/// there only where a test puts one.
const CONFIG_1: &str = r#"version = 2
[plugins."io.containerd.grpc.v1.cri"]
sandbox_image = "docker.io/kpexec/static:1"
restrict_oom_score_adj = true
[plugins."io.containerd.grpc.v1.cri".cni]
bin_dir = "/usr/lib/cni"
[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
runtime_type = "io.containerd.runc.v2"
[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
BinaryName = "RUNTIME"
[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.kata]
runtime_type = "io.containerd.kata.v2"
"#;

const CONFIG_2: &str = r#"version = 3
[plugins."io.containerd.cri.v1.images".pinned_images]
sandbox = "docker.io/kpexec/static:1"
[plugins."io.containerd.cri.v1.runtime"]
restrict_oom_score_adj = true
[plugins."io.containerd.cri.v1.runtime".cni]
bin_dirs = ["/usr/lib/cni"]
[plugins."io.containerd.cri.v1.runtime".containerd.runtimes.runc]
runtime_type = "io.containerd.runc.v2"
[plugins."io.containerd.cri.v1.runtime".containerd.runtimes.runc.options]
BinaryName = "RUNTIME"
[plugins."io.containerd.cri.v1.runtime".containerd.runtimes.kata]
runtime_type = "io.containerd.kata.v2"
"#;

/// A bridge for pods that have a network of their own.
const NETWORK: &str = r#"{"cniVersion": "0.4.0", "name": "pods", "plugins": [{"type": "bridge",
"bridge": "cni0", "isGateway": true, "ipam": {"type": "host-local",
"ranges": [[{"subnet": "10.244.0.0/16"}]]}}]}"#;

impl Containerd {
    /// The containerd of this kind, with runc.
    ///
    /// # Panics
    /// If the kind is not one of containerd's.
    pub(crate) fn of(kind: Kind, node: &Node) -> Self {
        match kind {
            Kind::Containerd16 => Self::v1(node, "/usr/sbin/runc"),
            Kind::Containerd16Crun => Self::v1(node, "/usr/bin/crun"),
            Kind::Containerd22 => Self::v2(node, &oci::new_runc()),
            other => panic!("{other:?} is no containerd"),
        }
    }

    /// Debian's containerd.
    pub fn v1(node: &Node, runtime: &str) -> Self {
        let socket = format!("{STATE}/containerd.sock");
        Self::start(node, "/usr/bin", CONFIG_1, runtime, STATE, &socket)
    }

    /// The newest containerd.
    pub fn v2(node: &Node, runtime: &str) -> Self {
        Self::newest(node, runtime, STATE, &format!("{STATE}/containerd.sock"))
    }

    /// The newest containerd where a distribution of Kubernetes has put it: its state directory
    /// and its socket.
    pub fn v2_at(node: &Node, state: &str, socket: &str) -> Self {
        Self::newest(node, &oci::new_runc(), state, socket)
    }

    fn newest(node: &Node, runtime: &str, state: &str, socket: &str) -> Self {
        let bin = Cache::here().part("containerd", "github.com/containerd/containerd/v2");
        let bin = bin.display().to_string();
        Self::start(node, &bin, CONFIG_2, runtime, state, socket)
    }

    fn start(
        node: &Node,
        bin: &str,
        config: &str,
        runtime: &str,
        state: &str,
        socket: &str,
    ) -> Self {
        node.write(CONFIG, config.replace("RUNTIME", runtime));
        node.write("/etc/cni/net.d/10-pods.conflist", NETWORK);
        let folder = Path::new(runtime)
            .parent()
            .expect("a program is in a folder");
        let path = format!("{bin}:{}", folder.display());
        let probe = node.command([&format!("{bin}/ctr"), "--address", socket, "version"]);
        let program = format!("{bin}/containerd");
        let words = [
            &program,
            "--config",
            CONFIG,
            "--state",
            state,
            "--address",
            socket,
        ];
        let daemon = Daemon::start(node, &words, &path, &probe);
        let containerd = Self {
            node: node.clone(),
            bin: bin.to_owned(),
            runtime: runtime.to_owned(),
            has_user_flag: config == CONFIG_2,
            socket: socket.to_owned(),
            daemon,
        };
        for image in Image::ALL {
            let archive = oci::on_node(&containerd.node, image);
            for namespace in ["default", KUBERNETES] {
                containerd.import(namespace, &archive);
            }
        }
        containerd
    }

    /// Loads the images of an archive on the node.
    pub(crate) fn import(&self, namespace: &str, archive: &str) {
        self.ctr(["-n", namespace, "image", "import", archive]).ok();
    }

    /// Kills the daemon and starts it anew; containers go on.
    pub fn restart(&self) {
        self.daemon.restart();
    }

    /// Kills the daemon; containers go on.
    pub fn kill(&self) {
        self.daemon.kill();
    }

    /// `ctr` with these arguments.
    pub fn ctr<S: AsRef<str>>(&self, arguments: impl IntoIterator<Item = S>) -> Cmd {
        let words = arguments.into_iter().map(|word| word.as_ref().to_owned());
        let fixed = [
            format!("{}/ctr", self.bin),
            "--address".to_owned(),
            self.socket.clone(),
        ];
        self.node.command(fixed.into_iter().chain(words))
    }

    fn image(&self, spec: &ContainerSpec) -> Image {
        match (spec.uid, spec.image) {
            (1000, Image::Busybox) => Image::App,
            (0, image) => image,
            (_, image) => {
                assert!(
                    self.has_user_flag,
                    "containerd 1.6 has the users 0 and 1000 of busybox"
                );
                image
            }
        }
    }

    fn flags(&self, spec: &ContainerSpec) -> Vec<String> {
        let mut flags: Vec<String> = ["run", "-d", "--null-io", "--runc-binary", &self.runtime]
            .map(str::to_owned)
            .into();
        let mut add = |wanted: bool, flag: &str| {
            if wanted {
                flags.push(flag.to_owned());
            }
        };
        add(spec.privileged, "--privileged");
        add(spec.read_only, "--read-only");
        add(spec.seccomp, "--seccomp");
        add(spec.host_network, "--net-host");
        add(spec.host_pid, "--with-ns=pid:/proc/1/ns/pid");
        add(spec.no_pivot, "--no-pivot");
        if spec.userns {
            add(true, &format!("--uidmap=0:{USERNS_BASE}:{USERNS_SIZE}"));
            add(true, &format!("--gidmap=0:{USERNS_BASE}:{USERNS_SIZE}"));
        }
        if spec.no_caps {
            DEFAULT_CAPS
                .iter()
                .for_each(|cap| add(true, &format!("--cap-drop={cap}")));
        }
        spec.env
            .iter()
            .for_each(|(name, value)| add(true, &format!("--env={name}={value}")));
        spec.labels
            .iter()
            .for_each(|(name, value)| add(true, &format!("--label={name}={value}")));
        add(
            spec.uid != 0 && self.has_user_flag,
            &format!("--user={0}:{0}", spec.uid),
        );
        if let Some(cwd) = &spec.cwd {
            add(true, &format!("--cwd={cwd}"));
        }
        if let Some(bytes) = spec.memory {
            add(true, &format!("--memory-limit={bytes}"));
        }
        flags
    }
}

impl Runtime for Containerd {
    fn name(&self) -> String {
        format!("{}/containerd with {}", self.bin, self.runtime)
    }

    fn node(&self) -> &Node {
        &self.node
    }

    fn run(&self, spec: &ContainerSpec) -> Container {
        let mut words = self.flags(spec);
        words.extend([self.image(spec).name().to_owned(), spec.name.clone()]);
        words.extend(spec.argv.iter().cloned());
        self.ctr(words).ok();
        let tasks = self.ctr(["task", "ls"]).ok();
        let line = tasks
            .lines()
            .find(|line| line.split_whitespace().next() == Some(&spec.name));
        let pid = line.and_then(|line| line.split_whitespace().nth(1)?.parse().ok());
        let pid = pid.unwrap_or_else(|| panic!("{} is not in {tasks}", spec.name));
        if let Some(count) = spec.pids {
            oci::limit_processes(&self.node, pid, count);
        }
        Container {
            id: spec.name.clone(),
            pid,
            spec: spec.clone(),
        }
    }

    fn exec(&self, container: &Container, argv: &[&str]) -> Cmd {
        let fixed = [
            "task",
            "exec",
            "--exec-id",
            "reference",
            container.id.as_str(),
        ];
        self.ctr(fixed.iter().chain(argv))
    }

    fn pause(&self, container: &Container) {
        self.ctr(["task", "pause", &container.id]).ok();
    }

    fn unpause(&self, container: &Container) {
        self.ctr(["task", "resume", &container.id]).ok();
    }

    fn stop(&self, container: &Container) {
        self.ctr(["task", "kill", "-s", "KILL", &container.id]).ok();
    }

    fn remove(&self, container: &Container) {
        self.ctr(["task", "rm", "-f", &container.id]).run();
        self.ctr(["container", "rm", &container.id]).ok();
    }

    fn daemon(&self) -> Option<&Daemon> {
        Some(&self.daemon)
    }
}
