//! What runtimes write beside a container: annotations of its spec, labels of its record.

use std::collections::{BTreeMap, HashMap};

use serde::Deserialize;

use super::{Container, Pod, Runtime};

/// The annotation of a pod that names one of its containers for people to enter.
const DEFAULT: &str = "kubectl.kubernetes.io/default-container";

/// What the annotations or labels of one container say of it.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Labels {
    pub(super) name: Option<String>,
    pub(super) pod: Option<Pod>,
    pub(super) image: Option<String>,
    pub(super) sandbox: bool,
    pub(super) runtime: Option<Runtime>,
}

/// Reads the keys of containerd's CRI plugin, CRI-O, dockershim, Podman and nerdctl.
pub(super) fn read(map: &BTreeMap<String, String>) -> Labels {
    let get = |keys: &[&str]| {
        keys.iter()
            .find_map(|k| map.get(*k))
            .filter(|v| !v.is_empty())
            .cloned()
    };
    let kind = get(&[
        "io.kubernetes.cri.container-type",
        "io.kubernetes.cri-o.ContainerType",
        "io.cri-containerd.kind",
        "io.kubernetes.docker.type",
    ]);
    let sandbox = matches!(kind.as_deref(), Some("sandbox" | "podsandbox"));
    let namespace = get(&[
        "io.kubernetes.cri.sandbox-namespace",
        "io.kubernetes.pod.namespace",
    ]);
    let pod = get(&["io.kubernetes.cri.sandbox-name", "io.kubernetes.pod.name"]);
    let pod = namespace.zip(pod).map(|(namespace, name)| Pod {
        namespace,
        name,
        uid: get(&["io.kubernetes.cri.sandbox-uid", "io.kubernetes.pod.uid"]),
        container: get(&[
            "io.kubernetes.cri.container-name",
            "io.kubernetes.container.name",
        ])
        .filter(|_| !sandbox),
    });
    Labels {
        name: get(&["nerdctl/name"]),
        pod,
        image: get(&[
            "io.kubernetes.cri.image-name",
            "io.kubernetes.cri-o.ImageName",
        ]),
        sandbox,
        runtime: match map.get("io.container.manager").map(String::as_str) {
            Some("libpod") => Some(Runtime::Podman),
            Some("cri-o") => Some(Runtime::CriO),
            _ => None,
        },
    }
}

/// The container that a pod's own annotations name for people to enter.
pub(super) fn default_of(annotations: &HashMap<String, String>) -> Option<String> {
    annotations
        .get(DEFAULT)
        .filter(|name| !name.is_empty())
        .cloned()
}

/// The same of what containerd's CRI plugin keeps of a sandbox, as JSON: only there are the pod's
/// annotations.
pub(super) fn default_in(metadata: &[u8]) -> Option<String> {
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Versioned {
        metadata: Metadata,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Metadata {
        config: Config,
    }
    #[derive(Deserialize)]
    struct Config {
        #[serde(default)]
        annotations: HashMap<String, String>,
    }
    let versioned: Versioned = serde_json::from_slice(metadata).ok()?;
    default_of(&versioned.metadata.config.annotations)
}

impl Labels {
    /// Fills in what `container` does not know yet.
    pub(super) fn fill(self, container: &mut Container) {
        container.name = container.name.take().or(self.name);
        container.pod = container.pod.take().or(self.pod);
        container.image = container.image.take().or(self.image);
        container.sandbox |= self.sandbox;
        if let Some(runtime) = self.runtime {
            container.runtime = runtime;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        let own = |(k, v): &(&str, &str)| ((*k).to_owned(), (*v).to_owned());
        pairs.iter().map(own).collect()
    }

    #[test]
    fn reads_containerds_and_crios_annotations() {
        let containerd = read(&map(&[
            ("io.kubernetes.cri.container-type", "container"),
            ("io.kubernetes.cri.container-name", "app"),
            ("io.kubernetes.cri.sandbox-name", "web-0"),
            ("io.kubernetes.cri.sandbox-namespace", "prod"),
            ("io.kubernetes.cri.sandbox-uid", "u1"),
        ]));
        let pod = Pod {
            namespace: "prod".into(),
            name: "web-0".into(),
            uid: Some("u1".into()),
            container: Some("app".into()),
        };
        assert_eq!(containerd.pod.as_ref(), Some(&pod));
        assert!(!containerd.sandbox);
        let crio = read(&map(&[
            ("io.container.manager", "cri-o"),
            ("io.kubernetes.cri-o.ContainerType", "container"),
            ("io.kubernetes.container.name", "app"),
            ("io.kubernetes.pod.name", "web-0"),
            ("io.kubernetes.pod.namespace", "prod"),
            ("io.kubernetes.pod.uid", "u1"),
        ]));
        assert_eq!(crio.pod, Some(pod));
        assert_eq!(crio.runtime, Some(Runtime::CriO));
    }

    #[test]
    fn a_pods_annotation_names_its_default() {
        let metadata = |annotations: &str| {
            let text = format!(
                r#"{{"Version":"v1","Metadata":{{"ID":"1","Config":{{"hostname":"x"{annotations}}}}}}}"#
            );
            default_in(text.as_bytes())
        };
        let named = format!(r#","annotations":{{"a":"b","{DEFAULT}":"app"}}"#);
        assert_eq!(metadata(&named).as_deref(), Some("app"));
        assert_eq!(metadata(&named.replace("app", "")), None);
        assert_eq!(metadata(""), None);
        assert_eq!(metadata(r#","annotations":7"#), None);
        assert_eq!(default_in(b"\xff"), None);
    }

    #[test]
    fn a_sandbox_is_no_container() {
        for (key, value) in [
            ("io.kubernetes.cri.container-type", "sandbox"),
            ("io.kubernetes.cri-o.ContainerType", "sandbox"),
            ("io.cri-containerd.kind", "sandbox"),
            ("io.kubernetes.docker.type", "podsandbox"),
        ] {
            assert!(read(&map(&[(key, value)])).sandbox, "{key}");
        }
    }
}
