//! Seccomp (seccomp(2)).

use serde::Serialize;

use crate::hostproc::Status;
use crate::spec::Spec;

/// What filters the init's system calls.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Seccomp {
    /// In force now.
    pub mode: Mode,
    /// How many filters; None before Linux 5.9.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub filters: Option<u32>,
    /// What the runtime's profile does with a call that it does not name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub default_action: Option<String>,
    /// How many rules the runtime's profile has.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rules: Option<usize>,
}

/// Modes of seccomp.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// Every call is let through.
    Disabled,
    /// Only read, write, exit and sigreturn are.
    Strict,
    /// Filters decide.
    Filter,
}

impl Seccomp {
    /// What is in force, and what the runtime was told to load.
    #[must_use]
    pub fn of(status: &Status, spec: Option<&Spec>) -> Self {
        let profile = spec.and_then(|s| s.linux.as_ref()?.seccomp.as_ref());
        Self {
            mode: match status.field("Seccomp") {
                Some("1") => Mode::Strict,
                Some("2") => Mode::Filter,
                _ => Mode::Disabled,
            },
            filters: status.field("Seccomp_filters").and_then(|n| n.parse().ok()),
            default_action: profile.map(|p| p.default_action.clone()),
            rules: profile.map(|p| p.syscalls.len()),
        }
    }
}
