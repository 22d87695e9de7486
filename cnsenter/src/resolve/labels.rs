//! What runtimes write beside a container: annotations of its spec, labels of its record.

use std::collections::BTreeMap;

use super::{Container, Pod, Runtime};

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
