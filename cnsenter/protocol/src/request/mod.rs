//! What is asked of cnsenter, and how it is put on its command line.
//!
//! `session 1 NS/POD[,NS/POD...] PROFILE FLAGS -- COMMAND...`: the head has fixed places, each flag
//! one spelling, and nothing may be said twice. What a command line cannot or should not hold (what
//! is not UTF-8, what is long, the values of variables) follows in a Request frame; where a shell reads
//! the command line, that is all that means something to any shell.

mod argv;
mod error;
mod supplement;
#[cfg(test)]
mod tests;
mod words;

use std::time::Duration;

pub use argv::Argv;
pub use error::Error;

use crate::control::Size;

/// The most that a request's words may have, in bytes, as a URL spells them: proxies before the
/// API server take little more.
pub const MAX_ENCODED: usize = 8 << 10;

/// The most targets of a stream.
pub const MAX_TARGETS: usize = 1024;

/// One stream's request: the same command for each target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// Where the command runs; session N is the N-th. Never empty.
    pub targets: Vec<Target>,
    /// With which privileges.
    pub profile: Profile,
    /// The command and its arguments; never empty.
    pub command: Vec<Vec<u8>>,
    /// Whether it reads what the client sends, else /dev/null.
    pub stdin: bool,
    /// It gets a terminal.
    pub tty: Option<Tty>,
    /// `UID[:GID]` or `NAME[:GROUP]`.
    pub user: Option<String>,
    /// Further groups.
    pub groups: Vec<String>,
    /// The working directory.
    pub workdir: Option<Vec<u8>>,
    /// Variables to set, names and values.
    pub env: Vec<(Vec<u8>, Vec<u8>)>,
    /// Nothing of the container's environment.
    pub clear_env: bool,
    /// Which namespaces are entered, as `cnsenter --namespaces` names them; None is all.
    pub namespaces: Option<Vec<String>>,
    /// In which cgroup.
    pub cgroup: Option<CgroupChoice>,
    /// How much memory the command may have, in bytes.
    pub memory: Option<u64>,
    /// When it is ended.
    pub timeout: Option<Duration>,
    /// How long a silent client is waited for; None is [`crate::times::LEASE`].
    pub lease: Option<Duration>,
    /// What it left in the background ends with it.
    pub kill_on_exit: bool,
    /// cnsenter runs in the agent's pod, where the node's root is at [`AGENTS_HOST_ROOT`].
    pub in_agent: bool,
    /// Say each step on stderr.
    pub verbose: bool,
}

/// Where the agent's pod has the node's root. No other place can be asked for: files that a user
/// may write could pass there for the runtime's.
pub const AGENTS_HOST_ROOT: &str = "/host";

/// A container of a pod.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Target {
    /// The pod's namespace.
    pub namespace: String,
    /// The pod's name.
    pub pod: String,
    /// The pod's UID: that it is still the same one.
    pub uid: Option<String>,
    /// The container's name.
    pub container: Option<String>,
    /// The container's ID, as the pod's status spells it (`containerd://...`).
    pub container_id: Option<String>,
}

/// With which privileges a command runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Profile {
    /// All that cnsenter has.
    Full,
    /// What the runtime's own exec would give.
    Container,
    /// That, NET_ADMIN and NET_RAW.
    Netadmin,
    /// That, and SYS_PTRACE.
    General,
}

/// A command's terminal.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Tty {
    /// The client's TERM.
    pub term: Option<String>,
    /// The size of its terminal.
    pub size: Option<Size>,
}

/// In which cgroup a command runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CgroupChoice {
    /// One of its own.
    Own,
    /// The container's, whose limits hold for it.
    Target,
}

/// Who reads a request's words before cnsenter does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Reader {
    /// Nobody that takes them for anything else: they may be whatever UTF-8 can spell.
    None,
    /// A shell that nobody knows: they are made of [`is_plain`] characters alone.
    Shell,
}

/// Whether a word is the same to every shell, and needs no quotes.
#[must_use]
pub fn is_plain(word: &str) -> bool {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"_@%+=:,./-".contains(&b);
    // zsh looks for a program after an equals sign, fish for a job after a percent sign.
    !word.is_empty() && word.bytes().all(plain) && !word.starts_with(['=', '%'])
}

/// A request, ready to be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Encoded {
    /// The words after cnsenter's own name, `session` first.
    pub words: Vec<String>,
    /// The payload of the first session's Request frame; None if the words say all and there is
    /// one target: then it starts by itself.
    pub supplement: Option<Vec<u8>>,
}

impl Request {
    /// The plainest request of all: everything else as cnsenter has it by default.
    #[must_use]
    pub fn new(target: Target, profile: Profile, command: Vec<Vec<u8>>) -> Self {
        Self {
            targets: vec![target],
            profile,
            command,
            stdin: false,
            tty: None,
            user: None,
            groups: Vec::new(),
            workdir: None,
            env: Vec::new(),
            clear_env: false,
            namespaces: None,
            cgroup: None,
            memory: None,
            timeout: None,
            lease: None,
            kill_on_exit: false,
            in_agent: false,
            verbose: false,
        }
    }
}

impl Target {
    /// A pod's only container.
    #[must_use]
    pub fn pod(namespace: &str, pod: &str) -> Self {
        Self {
            namespace: namespace.to_owned(),
            pod: pod.to_owned(),
            uid: None,
            container: None,
            container_id: None,
        }
    }
}

const PROFILES: [(Profile, &str); 4] = [
    (Profile::Full, "full"),
    (Profile::Container, "container"),
    (Profile::Netadmin, "netadmin"),
    (Profile::General, "general"),
];

impl Profile {
    /// As `--privileges` spells it.
    #[must_use]
    pub fn name(self) -> &'static str {
        PROFILES
            .iter()
            .find(|(p, _)| *p == self)
            .map_or("", |(_, n)| n)
    }

    /// The names of all.
    #[must_use]
    pub fn names() -> [&'static str; PROFILES.len()] {
        PROFILES.map(|(_, name)| name)
    }

    /// Reads what [`Profile::name`] gives.
    #[must_use]
    pub fn of_name(name: &str) -> Option<Self> {
        PROFILES.iter().find(|(_, n)| *n == name).map(|(p, _)| *p)
    }
}
