//! The part of an OCI runtime config.json that cnsenter needs.
//!
//! A container's own spec (<https://github.com/opencontainers/runtime-spec>, config.md) is read on
//! every run, so only a few fields are named and the rest is skipped unparsed.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde::de::IgnoredAny;

/// The largest config.json that is read, in bytes: a generous multiple of any real one.
pub const LIMIT: u64 = 16 << 20;

/// A container's runtime spec, as far as it is needed.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Spec {
    /// How the container's own process runs.
    pub process: Option<Process>,
    /// Labels of the runtime above: CRI's say which pod and container this is.
    pub annotations: BTreeMap<String, String>,
    /// The Linux part.
    pub linux: Option<Linux>,
}

/// `process` of the spec.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Process {
    /// `K=V` each.
    pub env: Vec<String>,
    /// Working directory.
    pub cwd: String,
}

/// `linux` of the spec.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Linux {
    /// Which namespaces the container has of its own.
    pub namespaces: Vec<SpecNamespace>,
    /// Where its cgroup is.
    pub cgroups_path: String,
    /// Which system calls it may make.
    pub seccomp: Option<Seccomp>,
}

/// `linux.seccomp` of the spec: as much as says how strict it is.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Seccomp {
    /// What becomes of a call that no rule names: `SCMP_ACT_ERRNO`.
    pub default_action: String,
    /// The rules, counted but not read.
    pub syscalls: Vec<IgnoredAny>,
}

/// One entry of `linux.namespaces`.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct SpecNamespace {
    /// `mount`, `pid`, `network`, `uts`, `ipc`, `user`, `cgroup`, `time`.
    #[serde(rename = "type")]
    pub kind: String,
    /// The namespace that is joined; a new one is made if None.
    pub path: Option<String>,
}

impl Spec {
    /// Reads a config.json.
    ///
    /// # Errors
    /// When it is not JSON, or a named field has another type.
    pub fn parse(json: &[u8]) -> serde_json::Result<Self> {
        serde_json::from_slice(json)
    }
}
