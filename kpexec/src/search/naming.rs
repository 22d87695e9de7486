//! Which pods belong to TYPE/NAME, by their names alone: controllers name pods after themselves.

use crate::request::Named;
use crate::target::Type;

/// The characters of what Kubernetes makes up: no vowels, so that no words come of it.
const MADE_UP: &str = "bcdfghjklmnpqrstvwxz2456789";

/// How long the end of a pod's name is, if a controller has made it up.
const POD: usize = 5;

/// The most characters that tell a deployment's replica sets apart.
const REVISION: usize = 10;

/// The fewest digits that tell a cron job's jobs apart: minutes since 1970.
const MINUTES: usize = 8;

/// How a controller names its pods.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    /// `NAME`
    Same,
    /// `NAME-x7k2p`
    MadeUp,
    /// `NAME-5d9c8b7f6d-x7k2p`
    Revision,
    /// `NAME-0`
    Ordinal,
    /// `NAME-29384716-x7k2p`
    Minutes,
}

/// Pods, by their name or by what they belong to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Names {
    form: Form,
    name: String,
}

impl Names {
    /// None if the pods of such an object may have any name.
    pub(super) fn of(named: &Named) -> Option<Self> {
        let Type::Known(kind) = &named.kind else {
            return None;
        };
        let form = match kind.singular {
            "pod" => Form::Same,
            "deployment" => Form::Revision,
            "replicaset" | "daemonset" | "job" | "replicationcontroller" => Form::MadeUp,
            "statefulset" => Form::Ordinal,
            "cronjob" => Form::Minutes,
            _ => return None,
        };
        let name = named.name.clone();
        Some(Self { form, name })
    }

    /// The pod of this name.
    pub(super) fn pod(name: &str) -> Self {
        Self {
            form: Form::Same,
            name: name.to_owned(),
        }
    }

    /// The name of the one pod that is meant, if it is one.
    pub(super) fn only(&self) -> Option<&str> {
        (self.form == Form::Same).then_some(&self.name)
    }

    /// Whether a pod of this name is meant.
    pub(super) fn include(&self, pod: &str) -> bool {
        let Some(rest) = pod.strip_prefix(&self.name) else {
            return false;
        };
        let parts: Vec<_> = rest.split('-').collect();
        match (self.form, &parts[..]) {
            (Form::Same, [""]) => true,
            (Form::MadeUp, ["", end]) => is_made_up(end, POD..=POD),
            (Form::Revision, ["", revision, end]) => {
                is_made_up(revision, 1..=REVISION) && is_made_up(end, POD..=POD)
            }
            (Form::Ordinal, ["", number]) => is_number(number),
            (Form::Minutes, ["", minutes, end]) => {
                minutes.len() >= MINUTES && is_number(minutes) && is_made_up(end, POD..=POD)
            }
            _ => false,
        }
    }
}

fn is_made_up(word: &str, length: std::ops::RangeInclusive<usize>) -> bool {
    length.contains(&word.len()) && word.chars().all(|c| MADE_UP.contains(c))
}

fn is_number(word: &str) -> bool {
    !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pods_are_known_by_their_names() {
        for (object, mine, others) in [
            ("web-0", &["web-0"][..], &["web-01", "web"][..]),
            (
                "deploy/web",
                &["web-5d9c8b7f6d-x7k2p", "web-66-24689"],
                &[
                    "web-x7k2p",
                    "web-api-x7k2p",
                    "web-api-5d9c8b7f6d-x7k2p",
                    "web",
                ],
            ),
            (
                "ds/web",
                &["web-x7k2p"],
                &["web-5d9c8b7f6d-x7k2p", "web-hello", "web-x7k2"],
            ),
            ("rs/web-5d9c8", &["web-5d9c8-x7k2p"], &["web-x7k2p"]),
            (
                "sts/web",
                &["web-0", "web-12"],
                &["web-a", "web-", "web-0-1", "web-12x"],
            ),
            ("job/sync", &["sync-x7k2p"], &["sync-29384716-x7k2p"]),
            (
                "cj/sync",
                &["sync-29384716-x7k2p"],
                &["sync-x7k2p", "sync-12-x7k2p"],
            ),
        ] {
            let names = Names::of(&Named::parse(object).unwrap()).unwrap();
            for pod in mine {
                assert!(names.include(pod), "{object}: {pod}");
            }
            for pod in others {
                assert!(!names.include(pod), "{object}: {pod}");
            }
        }
        for object in ["svc/web", "rollout/web"] {
            assert_eq!(Names::of(&Named::parse(object).unwrap()), None);
        }
    }
}
