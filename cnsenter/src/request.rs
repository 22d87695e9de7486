//! What is asked of cnsenter, validated, and complete: nothing is read from the environment later.
//!
//! The request crosses the re-exec into the sealed image (see [`crate::seal`]) as bytes, so that
//! neither the command line is parsed twice nor the caller's environment kept.

use std::ffi::OsString;
use std::os::fd::RawFd;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// How long one daemon may take to answer before it is left out.
pub const DAEMON_TIMEOUT: Duration = Duration::from_secs(2);

/// One run of a command in a container.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Request {
    /// Which container.
    pub target: Query,
    /// Where containers are looked up.
    pub lookup: Lookup,
    /// The command and its arguments; never empty.
    pub command: Vec<OsString>,
    /// The command's standard streams.
    pub io: Io,
    /// `-u`: None is root of the container's user namespace.
    pub user: Option<UserSpec>,
    /// `--group-add`.
    pub extra_groups: Vec<IdOrName>,
    /// `-w`: None is the container's own working directory.
    pub workdir: Option<PathBuf>,
    /// `-e`, on top of the container's own environment.
    pub env: Vec<(OsString, OsString)>,
    /// The caller's whole environment, only where the mount namespace is not entered.
    pub caller_env: Vec<(OsString, OsString)>,
    /// `--clear-env`: start from nothing but `env`.
    pub clear_env: bool,
    /// `--namespaces` and `--no-<ns>`: which of the differing namespaces are entered.
    pub namespaces: Vec<Namespace>,
    /// `--cgroup`.
    pub cgroup: CgroupChoice,
    /// `--memory`: how much the command may have, in bytes; only in a cgroup of its own.
    pub memory: Option<u64>,
    /// `--timeout`.
    pub timeout: Option<Duration>,
    /// `--kill-on-exit`.
    pub kill_on_exit: bool,
    /// `-v`.
    pub verbose: bool,
    /// What the target must be for the request to hold; None where an admin has named it.
    pub expected: Option<Expected>,
    /// The descriptor of the session that this run belongs to (see [`crate::session`]).
    pub link: Option<RawFd>,
}

/// Whose container a request from elsewhere means, however it was found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Expected {
    /// Kubernetes namespace.
    pub namespace: String,
    /// Pod name.
    pub pod: String,
    /// Pod UID.
    pub uid: Option<String>,
    /// Container name.
    pub container: Option<String>,
    /// The full ID.
    pub id: Option<String>,
}

/// A target as the admin spelled it (cli.md, "TARGET").
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Query {
    /// `pid:N`: a process, whatever made its namespaces.
    Pid(i32),
    /// `containerd://ID` and its like, as a pod's status spells it: a full ID or unique prefix.
    Id {
        /// Whose container.
        scheme: Scheme,
        /// Full ID, or a prefix of at least [`Query::MIN_PREFIX`] characters.
        id: String,
    },
    /// `NS/POD[/CONTAINER]`.
    Pod {
        /// Kubernetes namespace.
        namespace: String,
        /// Pod name.
        pod: String,
        /// Container name; None where the pod has only one.
        container: Option<String>,
    },
    /// A bare word: full ID, unique prefix of one, or a runtime's name for a container.
    Word(String),
}

/// The scheme of a container ID in a pod's status.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Scheme {
    /// `containerd://`
    Containerd,
    /// `cri-o://`
    CriO,
    /// `docker://`
    Docker,
    /// `podman://`, for symmetry.
    Podman,
}

/// Where and how containers are looked up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lookup {
    /// `--runtime`.
    pub runtime: RuntimeChoice,
    /// `--runtime-endpoint`: a socket's path; asked alone if given.
    pub endpoint: Option<PathBuf>,
    /// `--runtime-namespace`: containerd's namespace; all if None.
    pub runtime_namespace: Option<String>,
    /// `--host-root`: where the node's root file system is seen; `/` on the node itself.
    pub host_root: PathBuf,
    /// DOCKER_HOST of the caller, if it names a unix socket.
    pub docker_host: Option<PathBuf>,
    /// How long one daemon may take to answer.
    pub timeout: Duration,
}

impl Default for Lookup {
    fn default() -> Self {
        Self {
            runtime: RuntimeChoice::Auto,
            endpoint: None,
            runtime_namespace: None,
            host_root: PathBuf::from("/"),
            docker_host: None,
            timeout: DAEMON_TIMEOUT,
        }
    }
}

/// `--runtime`: which sources are asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
pub enum RuntimeChoice {
    /// State directories first, then whatever daemon is there, then /proc.
    Auto,
    /// containerd's state directories and API.
    Containerd,
    /// A CRI socket.
    Cri,
    /// Docker's state directories and API.
    Docker,
    /// No daemon: state directories and /proc.
    None,
}

/// The command's standard streams.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Io {
    /// Whether our stdin is the command's; else it reads /dev/null.
    pub stdin: bool,
    /// The command gets a terminal of its own, and this TERM.
    pub tty: Option<Tty>,
    /// A terminal was asked for, and there is none to pass on.
    pub tty_refused: bool,
}

/// The caller's terminal, as far as the command should know it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tty {
    /// TERM of the caller.
    pub term: Option<OsString>,
    /// Rows and columns, where no terminal of ours tells them.
    pub size: Option<(u16, u16)>,
}

/// `-u USER[:GROUP]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UserSpec {
    /// The user.
    pub user: IdOrName,
    /// The group; None is the user's own in the container's /etc/passwd.
    pub group: Option<IdOrName>,
}

/// A number where it looks like one (CVE-2024-40635: never the name of another), else a name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum IdOrName {
    /// A uid or gid in the container's user namespace.
    Id(u32),
    /// A name from the container's /etc/passwd or /etc/group.
    Name(String),
}

/// `--cgroup`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
pub enum CgroupChoice {
    /// A group of the command's own, below cnsenter's: the container's limits do not hold.
    Own,
    /// The container's: its limits hold, for better or worse.
    Target,
}

/// The kinds of namespaces (namespaces(7)), in the order in which setns(2) takes them one by one.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    clap::ValueEnum,
)]
#[value(rename_all = "lower")]
#[serde(rename_all = "lowercase")]
pub enum Namespace {
    /// user_namespaces(7)
    User,
    /// cgroup_namespaces(7)
    Cgroup,
    /// ipc_namespaces(7)
    Ipc,
    /// uts_namespaces(7)
    Uts,
    /// network_namespaces(7)
    Net,
    /// pid_namespaces(7)
    Pid,
    /// time_namespaces(7)
    Time,
    /// mount_namespaces(7)
    Mount,
}

impl Namespace {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::User,
        Self::Cgroup,
        Self::Ipc,
        Self::Uts,
        Self::Net,
        Self::Pid,
        Self::Time,
        Self::Mount,
    ];

    /// Its file below /proc/PID.
    #[must_use]
    pub fn proc_name(self) -> &'static str {
        match self {
            Self::User => "ns/user",
            Self::Cgroup => "ns/cgroup",
            Self::Ipc => "ns/ipc",
            Self::Uts => "ns/uts",
            Self::Net => "ns/net",
            Self::Pid => "ns/pid",
            Self::Time => "ns/time",
            Self::Mount => "ns/mnt",
        }
    }

    /// Its name on the command line and in `inspect`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Mount => "mount",
            other => &other.proc_name()["ns/".len()..],
        }
    }
}

/// What is wrong with a TARGET or another value of the command line.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum Error {
    /// TARGET is empty.
    #[error(
        "TARGET is empty; give a container's ID or name, NS/POD[/CONTAINER] or pid:N (cnsenter ls lists them)"
    )]
    EmptyTarget,
    /// `pid:` without a positive number.
    #[error("\"{0}\" is no process ID; write pid:1234")]
    BadPid(String),
    /// An unknown `scheme://`.
    #[error(
        "\"{0}://\" is no container runtime known here; use containerd://, cri-o://, docker:// or podman://"
    )]
    BadScheme(String),
    /// Not two or three parts.
    #[error("\"{0}\" is no pod; write NS/POD or NS/POD/CONTAINER")]
    BadPod(String),
    /// An ID or name with characters that none has.
    #[error("\"{0}\" is no container ID: only letters, digits, \"_\", \".\", \"-\" occur there")]
    BadId(String),
    /// A user or group that is neither a number in range nor a name.
    #[error(
        "\"{0}\" is no user or group; write UID[:GID] or NAME[:GROUP], numbers from 0 to 4294967294"
    )]
    BadUser(String),
    /// `--namespaces` and `--no-*` leave nothing over.
    #[error(
        "no namespace is left to enter: the command would run on the node itself; leave a --no-* out"
    )]
    NoNamespace,
    /// Two cgroups at once.
    #[error(
        "--memory bounds a cgroup of the command's own: leave out --cgroup=target, or --memory"
    )]
    MemoryOfTarget,
    /// `-e` without a name.
    #[error("\"{0}\" is no variable; write NAME=VALUE, or NAME to pass the caller's on")]
    BadEnv(String),
}

impl Query {
    /// The shortest prefix of an ID that is taken.
    pub const MIN_PREFIX: usize = 3;

    /// Reads a TARGET.
    ///
    /// # Errors
    /// When it has no form that cli.md knows.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let shown = || crate::escape::escaped(text).to_string();
        if text.is_empty() {
            return Err(Error::EmptyTarget);
        }
        if let Some(pid) = text.strip_prefix("pid:") {
            return match pid.parse() {
                Ok(pid) if pid > 0 => Ok(Self::Pid(pid)),
                _ => Err(Error::BadPid(shown())),
            };
        }
        if let Some((scheme, id)) = text.split_once("://") {
            let scheme = match scheme {
                "containerd" => Scheme::Containerd,
                "cri-o" => Scheme::CriO,
                "docker" => Scheme::Docker,
                "podman" => Scheme::Podman,
                other => return Err(Error::BadScheme(crate::escape::escaped(other).to_string())),
            };
            let id = Self::id(id).ok_or_else(|| Error::BadId(shown()))?;
            return Ok(Self::Id { scheme, id });
        }
        if text.contains('/') {
            let mut parts = text.split('/').map(str::to_owned);
            return match (parts.next(), parts.next(), parts.next(), parts.next()) {
                (Some(namespace), Some(pod), container, None)
                    if !namespace.is_empty()
                        && !pod.is_empty()
                        && container.as_deref() != Some("") =>
                {
                    Ok(Self::Pod {
                        namespace,
                        pod,
                        container,
                    })
                }
                _ => Err(Error::BadPod(shown())),
            };
        }
        Self::id(text)
            .map(Self::Word)
            .ok_or_else(|| Error::BadId(shown()))
    }

    /// IDs and names end in paths of state directories: nothing that could leave one is let through
    /// (containerd's identifiers.Validate and Docker's RestrictedNameChars).
    fn id(text: &str) -> Option<String> {
        let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-');
        (!text.is_empty() && text.len() <= 255 && text.bytes().all(plain) && !text.starts_with('.'))
            .then(|| text.to_owned())
    }
}

/// Reads `NS/POD`.
///
/// # Errors
/// [`Error::BadPod`].
pub fn parse_pod(text: &str) -> Result<(String, String), Error> {
    match Query::parse(text) {
        Ok(Query::Pod {
            namespace,
            pod,
            container: None,
        }) => Ok((namespace, pod)),
        _ => Err(Error::BadPod(crate::escape::escaped(text).to_string())),
    }
}

impl std::fmt::Display for Query {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        use crate::escape::escaped;
        match self {
            Self::Pid(pid) => write!(f, "pid:{pid}"),
            Self::Id { scheme, id } => write!(f, "{}://{}", scheme.name(), escaped(id)),
            Self::Pod {
                namespace,
                pod,
                container,
            } => {
                write!(f, "{}/{}", escaped(namespace), escaped(pod))?;
                container
                    .as_ref()
                    .map_or(Ok(()), |c| write!(f, "/{}", escaped(c)))
            }
            Self::Word(word) => write!(f, "{}", escaped(word)),
        }
    }
}

impl Scheme {
    /// As a pod's status spells it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Containerd => "containerd",
            Self::CriO => "cri-o",
            Self::Docker => "docker",
            Self::Podman => "podman",
        }
    }
}

impl IdOrName {
    /// Reads a uid, gid, user name or group name. A number always is an id, and one that is out
    /// of range an error: `4294967295` means "no change" to the kernel, and a larger one must not
    /// wrap around to 0 (CVE-2024-40635).
    ///
    /// # Errors
    /// [`Error::BadUser`].
    pub fn parse(text: &str) -> Result<Self, Error> {
        let bad = || Error::BadUser(crate::escape::escaped(text).to_string());
        let looks_numeric = |t: &str| {
            let digits = t.strip_prefix(['+', '-']).unwrap_or(t);
            !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit())
        };
        if looks_numeric(text) {
            return match text.parse::<u32>() {
                Ok(id) if id < u32::MAX && !text.starts_with('+') => Ok(Self::Id(id)),
                _ => Err(bad()),
            };
        }
        if text.is_empty() || text.contains([':', '\n', '\0', ',']) {
            return Err(bad());
        }
        Ok(Self::Name(text.to_owned()))
    }
}

impl std::fmt::Display for IdOrName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Id(id) => write!(f, "{id}"),
            Self::Name(name) => write!(f, "{}", crate::escape::escaped(name)),
        }
    }
}

impl UserSpec {
    /// Reads `UID[:GID]` or `NAME[:GROUP]`.
    ///
    /// # Errors
    /// [`Error::BadUser`].
    pub fn parse(text: &str) -> Result<Self, Error> {
        let (user, group) = match text.split_once(':') {
            Some((user, group)) => (user, Some(IdOrName::parse(group)?)),
            None => (text, None),
        };
        Ok(Self {
            user: IdOrName::parse(user)?,
            group,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_every_form_of_target() {
        let pod = |c: Option<&str>| Query::Pod {
            namespace: "ns".into(),
            pod: "web-0".into(),
            container: c.map(Into::into),
        };
        assert_eq!(Query::parse("pid:42"), Ok(Query::Pid(42)));
        assert_eq!(Query::parse("ns/web-0"), Ok(pod(None)));
        assert_eq!(Query::parse("ns/web-0/app"), Ok(pod(Some("app"))));
        assert_eq!(Query::parse("0123abc"), Ok(Query::Word("0123abc".into())));
        assert_eq!(
            Query::parse("cri-o://0123abc"),
            Ok(Query::Id {
                scheme: Scheme::CriO,
                id: "0123abc".into()
            })
        );
    }

    #[test]
    fn refuses_what_could_leave_a_state_directory() {
        for bad in [
            "",
            "..",
            ".x",
            "a b",
            "pid:0",
            "pid:-1",
            "pid:x",
            "ns/",
            "/a",
            "a/b/c/d",
            "x://y",
            "docker://../../etc",
            "a\u{1b}[0m",
            "ns/pod/",
        ] {
            assert!(Query::parse(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_number_is_never_a_name() {
        assert_eq!(IdOrName::parse("1000"), Ok(IdOrName::Id(1000)));
        for bad in [
            "4294967295",
            "4294967296",
            "-1",
            "+0",
            "18446744073709551616",
            "",
        ] {
            assert!(IdOrName::parse(bad).is_err(), "{bad:?}");
        }
        assert_eq!(
            UserSpec::parse("app:1"),
            Ok(UserSpec {
                user: IdOrName::Name("app".into()),
                group: Some(IdOrName::Id(1))
            })
        );
    }
}
