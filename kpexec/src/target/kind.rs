//! TYPE in TYPE/NAME.

use std::fmt;

/// TYPE, as far as it is known without asking the server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Type {
    /// One of those that every server has.
    Known(Kind),
    /// What perhaps the server knows by this word.
    Other(String),
}

impl Type {
    /// Reads TYPE.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        Kind::parse(text).map_or_else(|| Self::Other(text.to_owned()), Self::Known)
    }

    /// The one for a manifest's `kind` and `apiVersion`.
    #[must_use]
    pub fn of_manifest(kind: &str, api_version: &str) -> Self {
        if let Some(known) = Kind::of_manifest(kind, api_version) {
            return Self::Known(known);
        }
        let kind = kind.to_ascii_lowercase();
        Self::Other(match api_version.split_once('/') {
            Some((group, version)) => format!("{kind}.{version}.{group}"),
            None => format!("{kind}.{api_version}"),
        })
    }
}

impl fmt::Display for Type {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Known(kind) => kind.singular,
            Self::Other(word) => word,
        })
    }
}

/// What has pods.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Kind {
    /// Its name in the singular.
    pub singular: &'static str,
    /// Its name in a path.
    pub plural: &'static str,
    short: &'static [&'static str],
    /// Its API group; "" is the core's.
    pub group: &'static str,
    /// Where its pods' labels are told.
    pub pods: Pods,
}

/// How the pods of an object are found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pods {
    /// It is one.
    Itself,
    /// `spec.selector`, a LabelSelector.
    Selector,
    /// `spec.selector`, labels and values.
    Labels,
    /// By the jobs in `status.active`.
    ActiveJobs,
}

const fn kind(
    singular: &'static str,
    plural: &'static str,
    short: &'static [&'static str],
    group: &'static str,
    pods: Pods,
) -> Kind {
    Kind {
        singular,
        plural,
        short,
        group,
        pods,
    }
}

const KINDS: [Kind; 9] = [
    kind("pod", "pods", &["po"], "", Pods::Itself),
    kind(
        "deployment",
        "deployments",
        &["deploy"],
        "apps",
        Pods::Selector,
    ),
    kind("replicaset", "replicasets", &["rs"], "apps", Pods::Selector),
    kind(
        "statefulset",
        "statefulsets",
        &["sts"],
        "apps",
        Pods::Selector,
    ),
    kind("daemonset", "daemonsets", &["ds"], "apps", Pods::Selector),
    kind("job", "jobs", &[], "batch", Pods::Selector),
    kind("cronjob", "cronjobs", &["cj"], "batch", Pods::ActiveJobs),
    kind("service", "services", &["svc"], "", Pods::Labels),
    kind(
        "replicationcontroller",
        "replicationcontrollers",
        &["rc"],
        "",
        Pods::Labels,
    ),
];

impl Kind {
    /// Reads TYPE: singular, plural or short, in any case, alone or with its group
    /// (`deployments.apps`, `deployments.v1.apps`).
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.to_ascii_lowercase();
        let (name, rest) = text.split_once('.').unwrap_or((&text, ""));
        let group = rest
            .strip_prefix("v1.")
            .unwrap_or(if rest == "v1" { "" } else { rest });
        KINDS.into_iter().find(|kind| {
            let called = name == kind.singular || name == kind.plural || kind.short.contains(&name);
            called && (rest.is_empty() || group == kind.group)
        })
    }

    /// The one for a manifest's `kind` and `apiVersion`.
    #[must_use]
    pub fn of_manifest(kind: &str, api_version: &str) -> Option<Self> {
        let group = api_version.split_once('/').map_or("", |(group, _)| group);
        let name = kind.to_ascii_lowercase();
        KINDS
            .into_iter()
            .find(|k| k.singular == name && k.group == group)
    }

    /// All that there are.
    pub fn all() -> impl Iterator<Item = Self> {
        KINDS.into_iter()
    }

    /// The path of all objects of this kind in a namespace, whose name is encoded already.
    #[must_use]
    pub fn path(&self, namespace: &str) -> String {
        let Self { plural, group, .. } = self;
        match *group {
            "" => format!("/api/v1/namespaces/{namespace}/{plural}"),
            group => format!("/apis/{group}/v1/namespaces/{namespace}/{plural}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_spelling_is_known() {
        for (text, plural) in [
            ("po", "pods"),
            ("pods.v1", "pods"),
            ("Deployment", "deployments"),
            ("deploy.apps", "deployments"),
            ("deployments.v1.apps", "deployments"),
            ("sts", "statefulsets"),
            ("cj", "cronjobs"),
            ("svc", "services"),
            ("rc", "replicationcontrollers"),
        ] {
            assert_eq!(
                Kind::parse(text).map(|kind| kind.plural),
                Some(plural),
                "{text}"
            );
        }
        for text in [
            "",
            "node",
            "deployments.batch",
            "pods.apps",
            "deploy.v2.apps",
        ] {
            assert_eq!(Kind::parse(text), None, "{text}");
        }
    }

    #[test]
    fn paths_are_those_of_the_api() {
        let path = |text| Kind::parse(text).unwrap().path("shop");
        assert_eq!(path("svc"), "/api/v1/namespaces/shop/services");
        assert_eq!(path("deploy"), "/apis/apps/v1/namespaces/shop/deployments");
    }
}
