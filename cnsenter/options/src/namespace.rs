//! The kinds of namespaces (namespaces(7)).

use serde::{Deserialize, Serialize};

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
    #[value(alias = "mnt")]
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
