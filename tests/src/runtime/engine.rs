//! Docker and Podman, which have one command line.

use super::spec::{USERNS_BASE, USERNS_SIZE};
use super::{Container, ContainerSpec, Daemon, Oci, Runtime, oci};
use crate::command::Cmd;
use crate::{Image, Node};

/// The user whose rootless containers are run.
const USER: u32 = 1500;

const DOCKERD: [&str; 5] = [
    "/usr/sbin/dockerd",
    "--iptables=false",
    "--ip6tables=false",
    "--bridge=none",
    "--userland-proxy=false",
];

/// There is no systemd on a node, neither for cgroups nor for the journal.
const CONTAINERS: &str = "[engine]\ncgroup_manager = \"cgroupfs\"\nevents_logger = \"file\"\n\
    runtime = \"crun\"\n[containers]\nlog_driver = \"k8s-file\"\n";

const STORAGE: &str = "[storage]\ndriver = \"overlay\"\nrunroot = \"/run/containers/storage\"\n\
    graphroot = \"/var/lib/containers/storage\"\n";

const USER_STORAGE: &str = "[storage]\ndriver = \"vfs\"\n";

/// What makes a container a machine with the node's own programs.
const MACHINE: [&str; 6] = [
    "--volume=/usr:/usr",
    "--volume=/bin:/bin",
    "--volume=/lib:/lib",
    "--volume=/lib64:/lib64",
    "--volume=/sys/fs/cgroup:/sys/fs/cgroup",
    "--volume=/var/lib/kpexec-tests:/var/lib/kpexec-tests",
];

/// Docker or Podman on a node.
#[derive(Debug)]
pub struct Engine {
    node: Node,
    program: &'static str,
    user: u32,
    daemon: Option<Daemon>,
}

impl Engine {
    /// Docker, without networks.
    pub fn docker(node: &Node) -> Self {
        let program = "/usr/bin/docker";
        let probe = node.command([program, "version"]);
        let daemon = Daemon::start(node, &DOCKERD, "/usr/sbin", &probe);
        Self::load(Self {
            node: node.clone(),
            program,
            user: 0,
            daemon: Some(daemon),
        })
    }

    /// Podman of root.
    pub fn podman(node: &Node) -> Self {
        node.write("/etc/containers/containers.conf", CONTAINERS);
        node.write("/etc/containers/storage.conf", STORAGE);
        Self::load(Self {
            node: node.clone(),
            program: "/usr/bin/podman",
            user: 0,
            daemon: None,
        })
    }

    /// Podman of the user `tester`.
    pub fn podman_rootless(node: &Node) -> Self {
        node.write("/etc/containers/containers.conf", CONTAINERS);
        let script = format!(
            "echo tester:x:{USER}:{USER}::/home/tester:/bin/sh >>/etc/passwd
            echo tester:x:{USER}: >>/etc/group
            echo tester:300000:65536 | tee /etc/subuid >/etc/subgid
            mkdir -p /home/tester/.config/containers /run/user/{USER}
            printf '{}' >/home/tester/.config/containers/storage.conf
            chown -R {USER}:{USER} /home/tester /run/user/{USER}
            chmod 700 /run/user/{USER}",
            USER_STORAGE.replace('\n', "\\n")
        );
        node.command(["sh", "-ec", &script]).ok();
        Self::load(Self {
            node: node.clone(),
            program: "/usr/bin/podman",
            user: USER,
            daemon: None,
        })
    }

    fn load(self) -> Self {
        for image in Image::ALL {
            self.command(["load", "--input", &oci::on_node(&self.node, image)])
                .ok();
        }
        self
    }

    /// The client with these arguments.
    pub fn command<S: AsRef<str>>(&self, arguments: impl IntoIterator<Item = S>) -> Cmd {
        let words = arguments.into_iter().map(|word| word.as_ref().to_owned());
        let command = self
            .node
            .command([self.program.to_owned()].into_iter().chain(words));
        if self.user == 0 {
            return command;
        }
        command
            .user(self.user, self.user)
            .env("HOME", "/home/tester")
            .env("USER", "tester")
            .env("XDG_RUNTIME_DIR", format!("/run/user/{}", self.user))
    }

    /// A container that is a machine, as kind's nodes are: privileged, with the node's programs, and with
    /// containers of its own; and what runs those.
    pub fn machine(&self, name: &str) -> (Container, Oci) {
        let spec = ContainerSpec::sleeper(name).privileged();
        let machine = self.run_with(&spec, &MACHINE);
        let enter = [self.program, "exec", &machine.id];
        let runtime = Oci::within(&self.node, &enter, "/usr/bin/crun");
        (machine, runtime)
    }

    fn run_with(&self, spec: &ContainerSpec, flags: &[&str]) -> Container {
        let mut words = self.flags(spec);
        words.extend(flags.iter().map(|flag| (*flag).to_owned()));
        words.push(spec.image.name().to_owned());
        words.extend(spec.argv.iter().cloned());
        let id = self.command(words).ok();
        let pid = self
            .command(["inspect", "--format={{.State.Pid}}", &id])
            .ok();
        let pid = pid
            .parse()
            .unwrap_or_else(|_| panic!("{pid:?} is no process ID"));
        Container {
            id,
            pid,
            spec: spec.clone(),
        }
    }

    fn is_docker(&self) -> bool {
        self.daemon.is_some()
    }

    fn flags(&self, spec: &ContainerSpec) -> Vec<String> {
        assert!(!spec.no_pivot, "{} always pivots", self.name());
        assert!(
            !(spec.userns && self.is_docker()),
            "Docker has one user namespace for all"
        );
        let mut flags = vec![
            "run".to_owned(),
            "--detach".to_owned(),
            format!("--name={}", spec.name),
        ];
        let mut add = |wanted: bool, flag: &str| {
            if wanted {
                flags.push(flag.to_owned());
            }
        };
        if spec.privileged && self.is_docker() && !may_give_everything() {
            add(true, "--cap-add=ALL");
            add(true, "--cap-drop=SYS_RESOURCE");
            add(true, "--security-opt=seccomp=unconfined");
            add(true, "--device-cgroup-rule=a *:* rwm");
        } else {
            add(spec.privileged, "--privileged");
        }
        add(spec.no_caps, "--cap-drop=ALL");
        add(spec.read_only, "--read-only");
        add(
            true,
            if spec.host_network {
                "--network=host"
            } else {
                "--network=none"
            },
        );
        add(spec.host_pid, "--pid=host");
        if spec.userns && self.user == 0 {
            add(true, &format!("--uidmap=0:{USERNS_BASE}:{USERNS_SIZE}"));
            add(true, &format!("--gidmap=0:{USERNS_BASE}:{USERNS_SIZE}"));
        }
        spec.env
            .iter()
            .for_each(|(name, value)| add(true, &format!("--env={name}={value}")));
        spec.labels
            .iter()
            .for_each(|(name, value)| add(true, &format!("--label={name}={value}")));
        add(spec.uid != 0, &format!("--user={0}:{0}", spec.uid));
        if let Some(cwd) = &spec.cwd {
            add(true, &format!("--workdir={cwd}"));
        }
        if let Some(bytes) = spec.memory {
            add(true, &format!("--memory={bytes}"));
        }
        if let Some(count) = spec.pids {
            add(true, &format!("--pids-limit={count}"));
        }
        flags
    }
}

impl Runtime for Engine {
    fn name(&self) -> String {
        let whose = if self.user == 0 { "" } else { " of a user" };
        format!("{}{whose}", self.program)
    }

    fn node(&self) -> &Node {
        &self.node
    }

    fn run(&self, spec: &ContainerSpec) -> Container {
        self.run_with(spec, &[])
    }

    fn exec(&self, container: &Container, argv: &[&str]) -> Cmd {
        self.command(["exec", container.id.as_str()].iter().chain(argv))
    }

    fn exec_stdin(&self, container: &Container, argv: &[&str]) -> Cmd {
        let fixed = ["exec", "--interactive", container.id.as_str()];
        self.command(fixed.iter().chain(argv))
    }

    fn pause(&self, container: &Container) {
        self.command(["pause", &container.id]).ok();
    }

    fn unpause(&self, container: &Container) {
        self.command(["unpause", &container.id]).ok();
    }

    fn stop(&self, container: &Container) {
        self.command(["kill", &container.id]).ok();
    }

    fn remove(&self, container: &Container) {
        // Podman would give an init that ignores TERM ten seconds.
        let no_wait = (!self.is_docker()).then_some("--time=0");
        let words = ["rm", "--force", "--volumes"].into_iter().chain(no_wait);
        self.command(words.chain([container.id.as_str()])).ok();
    }

    fn daemon(&self) -> Option<&Daemon> {
        self.daemon.as_ref()
    }
}

/// Whether root of this machine has CAP_SYS_RESOURCE, which `docker run --privileged` insists on.
fn may_give_everything() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let bounding = status
        .lines()
        .find_map(|line| line.strip_prefix("CapBnd:\t"));
    let bounding = bounding.and_then(|mask| u64::from_str_radix(mask, 16).ok());
    bounding.is_some_and(|mask| mask & (1 << 24) != 0)
}
