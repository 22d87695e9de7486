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

/// Names of what somebody says of a container. Each writer is believed with its own alone: CRI-O copies all
/// annotations of a pod into its containers' specs, and Docker and containerd the labels of an image into
/// its containers' records, so that a tenant may have written any other.
struct Keys {
    kind: &'static str,
    namespace: &'static str,
    pod: &'static str,
    uid: &'static str,
    container: &'static str,
    image: &'static str,
}

/// What containerd's CRI plugin writes into specs.
const CONTAINERD: Keys = Keys {
    kind: "io.kubernetes.cri.container-type",
    namespace: "io.kubernetes.cri.sandbox-namespace",
    pod: "io.kubernetes.cri.sandbox-name",
    uid: "io.kubernetes.cri.sandbox-uid",
    container: "io.kubernetes.cri.container-name",
    image: "io.kubernetes.cri.image-name",
};

/// What kubelet calls them in labels, and dockershim a sandbox.
const KUBELET: Keys = Keys {
    kind: "io.kubernetes.docker.type",
    namespace: "io.kubernetes.pod.namespace",
    pod: "io.kubernetes.pod.name",
    uid: "io.kubernetes.pod.uid",
    container: "io.kubernetes.container.name",
    image: "",
};

/// What CRI-O writes into specs, after all that is the pod's; kubelet's labels are among it.
const CRI_O: Keys = Keys {
    kind: "io.kubernetes.cri-o.ContainerType",
    image: "io.kubernetes.cri-o.ImageName",
    ..KUBELET
};

/// What containerd's CRI plugin adds to the labels of kubelet and of the image.
const CONTAINERD_LABELS: Keys = Keys {
    kind: "io.cri-containerd.kind",
    ..KUBELET
};

/// Who writes CRI-O's keys, in a spec.
const MANAGER: &str = "io.container.manager";

/// What nerdctl calls a container, in its labels.
const NERDCTL_NAME: &str = "nerdctl/name";

/// Reads the annotations of a spec that one of this runtime's containers has.
pub(super) fn of_spec(annotations: &BTreeMap<String, String>, runtime: Runtime) -> Labels {
    let manager = match annotations.get(MANAGER).map(String::as_str) {
        _ if runtime == Runtime::Containerd => None,
        Some("libpod") => Some(Runtime::Podman),
        Some("cri-o") => Some(Runtime::CriO),
        _ => None,
    };
    let keys = match manager.unwrap_or(runtime) {
        Runtime::CriO | Runtime::Podman => CRI_O,
        // It says that in labels.
        Runtime::Docker => return Labels::default(),
        _ => CONTAINERD,
    };
    Labels {
        runtime: manager,
        ..keys.read(annotations)
    }
}

/// Reads the labels of a container that kubelet has made.
pub(super) fn of_kubelet(labels: &BTreeMap<String, String>) -> Labels {
    KUBELET.read(labels)
}

/// Reads the labels of a containerd container, which its CRI plugin may have made.
pub(super) fn of_containerd(labels: &BTreeMap<String, String>, by_cri: bool) -> Labels {
    if by_cri {
        return CONTAINERD_LABELS.read(labels);
    }
    Labels {
        name: said(labels, NERDCTL_NAME),
        ..Labels::default()
    }
}

fn said(map: &BTreeMap<String, String>, key: &str) -> Option<String> {
    map.get(key).filter(|value| !value.is_empty()).cloned()
}

impl Keys {
    fn read(&self, map: &BTreeMap<String, String>) -> Labels {
        let kind = said(map, self.kind);
        let sandbox = matches!(kind.as_deref(), Some("sandbox" | "podsandbox"));
        let pod = said(map, self.namespace).zip(said(map, self.pod));
        Labels {
            name: None,
            pod: pod.map(|(namespace, name)| Pod {
                namespace,
                name,
                uid: said(map, self.uid),
                container: said(map, self.container).filter(|_| !sandbox),
            }),
            image: said(map, self.image),
            sandbox,
            runtime: None,
        }
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

    const BY_CONTAINERD: [(&str, &str); 5] = [
        ("io.kubernetes.cri.container-type", "container"),
        ("io.kubernetes.cri.container-name", "app"),
        ("io.kubernetes.cri.sandbox-name", "web-0"),
        ("io.kubernetes.cri.sandbox-namespace", "prod"),
        ("io.kubernetes.cri.sandbox-uid", "u1"),
    ];

    const BY_KUBELET: [(&str, &str); 4] = [
        ("io.kubernetes.container.name", "app"),
        ("io.kubernetes.pod.name", "web-0"),
        ("io.kubernetes.pod.namespace", "prod"),
        ("io.kubernetes.pod.uid", "u1"),
    ];

    const BY_CRI_O: [(&str, &str); 2] = [
        (MANAGER, "cri-o"),
        ("io.kubernetes.cri-o.ContainerType", "container"),
    ];

    fn pod() -> Pod {
        Pod {
            namespace: "prod".into(),
            name: "web-0".into(),
            uid: Some("u1".into()),
            container: Some("app".into()),
        }
    }

    #[test]
    fn a_container_is_its_pods() {
        let containerd = of_spec(&map(&BY_CONTAINERD), Runtime::Containerd);
        assert_eq!((containerd.pod, containerd.sandbox), (Some(pod()), false));
        let cri_o = of_spec(&map(&[&BY_CRI_O[..], &BY_KUBELET].concat()), Runtime::Oci);
        assert_eq!(cri_o.pod, Some(pod()));
        assert_eq!(cri_o.runtime, Some(Runtime::CriO));
        assert_eq!(of_kubelet(&map(&BY_KUBELET)).pod, Some(pod()));
        assert_eq!(of_containerd(&map(&BY_KUBELET), true).pod, Some(pod()));
    }

    #[test]
    fn a_tenants_words_are_not_believed() {
        let lies = [
            ("io.kubernetes.cri.container-type", "sandbox"),
            ("io.kubernetes.cri.container-name", "etcd"),
            ("io.kubernetes.cri.sandbox-name", "etcd-0"),
            ("io.kubernetes.cri.sandbox-namespace", "kube-system"),
            ("nerdctl/name", "etcd"),
        ];
        let cri_o = map(&[&lies, &BY_CRI_O[..], &BY_KUBELET].concat());
        let docker = map(&[&lies[..], &BY_KUBELET].concat());
        for said in [
            of_spec(&cri_o, Runtime::CriO),
            of_spec(&cri_o, Runtime::Oci),
            of_kubelet(&docker),
            of_containerd(&docker, true),
        ] {
            assert_eq!(
                (said.pod, said.sandbox, said.name),
                (Some(pod()), false, None)
            );
        }
        // containerd lets some annotations of pods through where its configuration says so.
        let passed = map(&[&BY_CRI_O[..], &BY_KUBELET, &BY_CONTAINERD].concat());
        let passed = of_spec(&passed, Runtime::Containerd);
        assert_eq!((passed.pod, passed.runtime), (Some(pod()), None));
        // An image that nerdctl runs is no pod.
        let by_nerdctl = of_containerd(&docker, false);
        assert_eq!(
            (by_nerdctl.pod, by_nerdctl.name.as_deref()),
            (None, Some("etcd"))
        );
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
        for (keys, value) in [
            (CONTAINERD, "sandbox"),
            (CRI_O, "sandbox"),
            (CONTAINERD_LABELS, "sandbox"),
            (KUBELET, "podsandbox"),
        ] {
            assert!(
                keys.read(&map(&[(keys.kind, value)])).sandbox,
                "{}",
                keys.kind
            );
        }
    }
}
