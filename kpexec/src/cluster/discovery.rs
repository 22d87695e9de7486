//! What resources the API server has besides those that everybody knows.

use serde::Deserialize;

use super::{Cluster, Error};

/// Aggregated discovery: one answer for all groups. A server before Kubernetes 1.27 gives the last
/// kind, in which no resource is named.
const ACCEPT: &str = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,\
    application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList,application/json";

/// A resource of a server's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resource {
    /// Its API group; "" is the core's.
    pub group: String,
    /// Its version.
    pub version: String,
    /// Its name in a path.
    pub plural: String,
    /// Whether it has a scale subresource, which tells the labels of its pods.
    pub has_scale: bool,
}

impl Resource {
    /// The path of all of them in a namespace, whose name is encoded already.
    #[must_use]
    pub fn path(&self, namespace: &str) -> String {
        let Self {
            group,
            version,
            plural,
            ..
        } = self;
        match group.as_str() {
            "" => format!("/api/{version}/namespaces/{namespace}/{plural}"),
            group => format!("/apis/{group}/{version}/namespaces/{namespace}/{plural}"),
        }
    }
}

impl Cluster {
    /// The resource that is called so in the plural, the singular or for short, alone, with its
    /// group (`rollouts.argoproj.io`), or with version and group.
    ///
    /// # Errors
    /// The server's.
    pub async fn resource(&self, word: &str) -> Result<Option<Resource>, Error> {
        for root in ["/apis", "/api"] {
            let groups: Groups = self.get_as(root, ACCEPT).await?;
            if let Some(resource) = groups.find(word) {
                return Ok(Some(resource));
            }
        }
        Ok(None)
    }
}

#[derive(Deserialize)]
struct Groups {
    #[serde(default)]
    items: Vec<Group>,
}

#[derive(Deserialize)]
struct Group {
    #[serde(default)]
    metadata: Metadata,
    #[serde(default)]
    versions: Vec<Version>,
}

#[derive(Deserialize, Default)]
struct Metadata {
    #[serde(default)]
    name: String,
}

#[derive(Deserialize)]
struct Version {
    version: String,
    #[serde(default)]
    resources: Vec<Entry>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Entry {
    resource: String,
    #[serde(default)]
    singular_resource: String,
    #[serde(default)]
    short_names: Vec<String>,
    #[serde(default)]
    response_kind: ResponseKind,
    scope: String,
    #[serde(default)]
    subresources: Vec<Subresource>,
}

#[derive(Deserialize, Default)]
struct ResponseKind {
    #[serde(default)]
    kind: String,
}

#[derive(Deserialize)]
struct Subresource {
    subresource: String,
}

impl Groups {
    /// The first in the server's own order; a name comes before somebody else's short name.
    fn find(&self, word: &str) -> Option<Resource> {
        let word = word.to_ascii_lowercase();
        let (name, place) = word.split_once('.').unwrap_or((&word, ""));
        let by_name = |entry: &Entry| {
            entry.resource == name
                || entry.singular_resource == name
                || entry.response_kind.kind.to_ascii_lowercase() == name
        };
        let by_short_name = |entry: &Entry| entry.short_names.iter().any(|short| short == name);
        self.first(place, by_name)
            .or_else(|| self.first(place, by_short_name))
    }

    fn first(&self, place: &str, is_meant: impl Fn(&Entry) -> bool) -> Option<Resource> {
        let versions = self.items.iter().flat_map(|group| {
            let name = &group.metadata.name;
            group.versions.iter().map(move |version| (name, version))
        });
        let mut versions = versions.filter(|(group, version)| {
            let full = format!("{}.{group}", version.version);
            place.is_empty() || place == group.as_str() || place == full.trim_end_matches('.')
        });
        versions.find_map(|(group, version)| {
            let mut all = version.resources.iter();
            let entry = all.find(|entry| entry.scope == "Namespaced" && is_meant(entry))?;
            Some(Resource {
                group: group.clone(),
                version: version.version.clone(),
                plural: entry.resource.clone(),
                has_scale: entry.subresources.iter().any(|s| s.subresource == "scale"),
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn groups() -> Groups {
        let entry = |resource: &str, kind: &str, short: &str, scale: bool| {
            let subresources: &[_] = match scale {
                true => &[serde_json::json!({"subresource": "scale"})],
                false => &[],
            };
            serde_json::json!({
                "resource": resource, "singularResource": kind.to_lowercase(),
                "responseKind": {"kind": kind}, "shortNames": [short], "scope": "Namespaced",
                "subresources": subresources,
            })
        };
        let version = |name: &str, resources: &[serde_json::Value]| serde_json::json!({"version": name, "resources": resources});
        let group = |name: &str, versions: &[serde_json::Value]| serde_json::json!({"metadata": {"name": name}, "versions": versions});
        serde_json::from_value(serde_json::json!({
            "kind": "APIGroupDiscoveryList",
            "items": [
                group("argoproj.io", &[
                    version("v1", &[entry("rollouts", "Rollout", "ro", true)]),
                    version("v1alpha1", &[entry("rollouts", "Rollout", "ro", true)]),
                ]),
                group("ro.example", &[
                    version("v1", &[entry("ro", "Row", "rollouts", false)]),
                ]),
            ],
        }))
        .unwrap()
    }

    #[test]
    fn a_resource_is_found_by_each_of_its_names() {
        let found = |word: &str| groups().find(word).map(|r| r.path("shop"));
        let rollouts = "/apis/argoproj.io/v1/namespaces/shop/rollouts";
        for word in [
            "rollouts",
            "rollout",
            "Rollout",
            "rollouts.argoproj.io",
            "ro.argoproj.io",
            "rollout.v1.argoproj.io",
        ] {
            assert_eq!(found(word).as_deref(), Some(rollouts), "{word}");
        }
        let old = found("rollouts.v1alpha1.argoproj.io");
        assert_eq!(
            old.as_deref(),
            Some("/apis/argoproj.io/v1alpha1/namespaces/shop/rollouts")
        );
        // A name comes before a short name.
        assert_eq!(
            found("ro").as_deref(),
            Some("/apis/ro.example/v1/namespaces/shop/ro")
        );
        for word in ["", "nosuch", "rollouts.example", "rollouts.v2.argoproj.io"] {
            assert_eq!(found(word), None, "{word}");
        }
    }

    #[test]
    fn only_some_have_a_scale() {
        assert!(groups().find("rollout").unwrap().has_scale);
        assert!(!groups().find("row").unwrap().has_scale);
    }

    #[test]
    fn an_older_server_names_none() {
        let old = serde_json::json!({"kind": "APIGroupList", "groups": [{"name": "apps"}]});
        let groups: Groups = serde_json::from_value(old).unwrap();
        assert_eq!(groups.find("rollouts"), None);
    }
}
