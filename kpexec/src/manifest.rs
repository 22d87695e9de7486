//! nodepause as this binary carries it: `deployments/nodepause.yaml`, for the namespace and image
//! that are wanted, and the same pod as a Job of one node.

use std::fmt;
use std::time::Duration;

use serde_json::{Value, json};

use crate::cluster::encoded;

const TEXT: &str = include_str!("../../deployments/nodepause.yaml");

/// The name of all objects but the namespace.
pub const NAME: &str = "nodepause";

/// The label that everything of ours has, with its value.
pub const PART_OF: (&str, &str) = ("app.kubernetes.io/part-of", "kpexec");

/// The name, as a label, of pods that are no DaemonSet's: nobody else is to find them.
pub const EPHEMERAL: &str = "nodepause-ephemeral";

/// How long a Job is kept that has ended, in seconds: time enough to see why it failed.
const KEPT: u64 = 60;

/// How the manifest is to be changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wish {
    /// Where everything is to be.
    pub namespace: String,
    /// Another image.
    pub image: Option<String>,
    /// The secret that the image is pulled with.
    pub pull_secret: Option<String>,
}

/// Why the manifest is of no use. A test shows that it is.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No YAML.
    #[error("cannot read the manifest in this binary")]
    Parse(#[source] Box<serde_saphyr::Error>),
    /// Something is missing in it.
    #[error("the manifest in this binary has no {0}")]
    Lacks(&'static str),
    /// It cannot be written.
    #[error("cannot write the manifest")]
    Write(#[source] Box<serde_saphyr::SerializeError>),
}

/// A kind of object, and its place in the API.
#[derive(Debug, PartialEq, Eq)]
struct Kind {
    name: &'static str,
    /// As kubectl names its objects.
    word: &'static str,
    group: &'static str,
    plural: &'static str,
}

const fn kind(
    name: &'static str,
    word: &'static str,
    group: &'static str,
    plural: &'static str,
) -> Kind {
    Kind {
        name,
        word,
        group,
        plural,
    }
}

/// What the manifest has objects of.
const KINDS: [Kind; 5] = [
    kind("Namespace", "namespace", "/api/v1", "namespaces"),
    kind(
        "ResourceQuota",
        "resourcequota",
        "/api/v1",
        "resourcequotas",
    ),
    kind(
        "NetworkPolicy",
        "networkpolicy",
        "/apis/networking.k8s.io/v1",
        "networkpolicies",
    ),
    kind(
        "ServiceAccount",
        "serviceaccount",
        "/api/v1",
        "serviceaccounts",
    ),
    kind("DaemonSet", "daemonset", "/apis/apps/v1", "daemonsets"),
];

/// One object of the manifest.
#[derive(Debug, Clone, PartialEq)]
pub struct Object {
    kind: &'static Kind,
    namespace: String,
    /// It, as it is applied.
    pub value: Value,
}

impl Object {
    /// Its path in the API.
    #[must_use]
    pub fn path(&self) -> String {
        let Kind { group, plural, .. } = self.kind;
        let namespace = encoded(&self.namespace);
        if self.is_namespace() {
            return format!("{group}/{plural}/{namespace}");
        }
        format!("{group}/namespaces/{namespace}/{plural}/{NAME}")
    }

    /// Whether pods belong to it.
    #[must_use]
    pub fn is_daemon_set(&self) -> bool {
        self.kind.name == "DaemonSet"
    }

    /// Whether it is the namespace of the others.
    #[must_use]
    pub fn is_namespace(&self) -> bool {
        self.kind.name == "Namespace"
    }
}

impl fmt::Display for Object {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = if self.is_namespace() {
            &self.namespace
        } else {
            NAME
        };
        write!(f, "{}/{name}", self.kind.word)
    }
}

/// The manifest's objects, in the order in which they can be made.
///
/// # Errors
/// When the manifest is of no use.
pub fn objects(wish: &Wish) -> Result<Vec<Object>, Error> {
    let values: Vec<Value> =
        serde_saphyr::from_multiple(TEXT).map_err(|e| Error::Parse(Box::new(e)))?;
    values
        .into_iter()
        .map(|mut value| {
            let kind = KINDS.iter().find(|kind| value["kind"] == kind.name);
            let kind = kind.ok_or(Error::Lacks("kind of object that is known"))?;
            let place = match kind.name {
                "Namespace" => "name",
                _ => "namespace",
            };
            value["metadata"][place] = json!(wish.namespace);
            if kind.name == "DaemonSet" {
                adapt(&mut value["spec"]["template"]["spec"], wish)?;
            }
            Ok(Object {
                kind,
                namespace: wish.namespace.clone(),
                value,
            })
        })
        .collect()
}

/// The image that is meant if none is named.
///
/// # Errors
/// When the manifest is of no use.
pub fn default_image() -> Result<String, Error> {
    let template = template(&Wish {
        namespace: String::new(),
        image: None,
        pull_secret: None,
    })?;
    let image = template["spec"]["containers"][0]["image"].as_str();
    Ok(image.ok_or(Error::Lacks("image"))?.to_owned())
}

/// The DaemonSet's pod as a Job of that name, for one node, which it ends by itself after the
/// deadline.
///
/// # Errors
/// When the manifest is of no use.
pub fn job(wish: &Wish, name: &str, node: &str, deadline: Duration) -> Result<Value, Error> {
    let mut template = template(wish)?;
    let labels = json!({ "app.kubernetes.io/name": EPHEMERAL, PART_OF.0: PART_OF.1 });
    template["metadata"]["labels"] = labels.clone();
    let pod = template["spec"]
        .as_object_mut()
        .ok_or(Error::Lacks("pod"))?;
    // Its account is installed with the DaemonSet; neither has a token.
    pod.remove("serviceAccountName");
    pod.insert("nodeName".into(), json!(node));
    pod.insert("restartPolicy".into(), json!("Never"));
    Ok(json!({
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": { "name": name, "namespace": wish.namespace, "labels": labels },
        "spec": {
            "backoffLimit": 0,
            "activeDeadlineSeconds": deadline.as_secs(),
            "ttlSecondsAfterFinished": KEPT,
            "template": template,
        },
    }))
}

/// The objects as one file, for people and for kubectl.
///
/// # Errors
/// When they cannot be written.
pub fn to_yaml(objects: &[Object]) -> Result<String, Error> {
    let mut text = String::new();
    for object in objects {
        if !text.is_empty() {
            text.push_str("---\n");
        }
        let one = serde_saphyr::to_string(&object.value);
        text.push_str(&one.map_err(|e| Error::Write(Box::new(e)))?);
        if !text.ends_with('\n') {
            text.push('\n');
        }
    }
    Ok(text)
}

fn template(wish: &Wish) -> Result<Value, Error> {
    let mut objects = objects(wish)?;
    let set = objects.iter_mut().find(|o| o.is_daemon_set());
    let set = set.ok_or(Error::Lacks("DaemonSet"))?;
    Ok(set.value["spec"]["template"].take())
}

fn adapt(pod: &mut Value, wish: &Wish) -> Result<(), Error> {
    let container = pod["containers"].get_mut(0);
    let container = container.ok_or(Error::Lacks("container"))?;
    if let Some(image) = &wish.image {
        container["image"] = json!(image);
    }
    if let Some(secret) = &wish.pull_secret {
        pod["imagePullSecrets"] = json!([{ "name": secret }]);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agent;

    fn wish(namespace: &str) -> Wish {
        Wish {
            namespace: namespace.into(),
            image: None,
            pull_secret: None,
        }
    }

    #[test]
    fn it_is_the_manifest_of_this_version() {
        let objects = objects(&wish(agent::NAMESPACE)).unwrap();
        let names: Vec<_> = objects.iter().map(ToString::to_string).collect();
        assert_eq!(
            names,
            [
                "namespace/kpexec",
                "resourcequota/nodepause",
                "networkpolicy/nodepause",
                "serviceaccount/nodepause",
                "daemonset/nodepause"
            ]
        );
        // As it is in the file, where nothing else is wished for.
        let file: Vec<Value> = serde_saphyr::from_multiple(TEXT).unwrap();
        let ours: Vec<_> = objects.iter().map(|o| o.value.clone()).collect();
        assert_eq!(ours, file);
        for object in &objects {
            let labels = &object.value["metadata"]["labels"];
            assert_eq!(labels[PART_OF.0], PART_OF.1, "{object}");
        }
        let version = concat!(":", env!("CARGO_PKG_VERSION"));
        assert!(default_image().unwrap().ends_with(version));
    }

    #[test]
    fn what_is_wished_for_is_in_it() {
        let wish = Wish {
            namespace: "tools".into(),
            image: Some("registry.example.com/np@sha256:0".into()),
            pull_secret: Some("regcred".into()),
        };
        let objects = objects(&wish).unwrap();
        assert_eq!(objects[0].path(), "/api/v1/namespaces/tools");
        assert_eq!(
            objects[4].path(),
            "/apis/apps/v1/namespaces/tools/daemonsets/nodepause"
        );
        let pod = &objects[4].value["spec"]["template"]["spec"];
        assert_eq!(
            pod["containers"][0]["image"],
            "registry.example.com/np@sha256:0"
        );
        assert_eq!(pod["imagePullSecrets"], json!([{"name": "regcred"}]));
        let yaml = to_yaml(&objects).unwrap();
        let read: Vec<Value> = serde_saphyr::from_multiple(&yaml).unwrap();
        let values: Vec<_> = objects.into_iter().map(|o| o.value).collect();
        assert_eq!(read, values);
    }

    #[test]
    fn a_job_has_the_same_pod() {
        let job = job(&wish("tools"), "np-1", "node-1", Duration::from_secs(60)).unwrap();
        let set = template(&wish("tools")).unwrap();
        let (ours, theirs) = (&job["spec"]["template"]["spec"], &set["spec"]);
        for same in [
            "containers",
            "volumes",
            "tolerations",
            "hostPID",
            "priorityClassName",
        ] {
            assert_eq!(ours[same], theirs[same], "{same}");
        }
        assert_eq!(ours["nodeName"], "node-1");
        assert_eq!(ours["restartPolicy"], "Never");
        assert!(ours.get("serviceAccountName").is_none());
        assert_eq!(job["spec"]["activeDeadlineSeconds"], 60);
        // The DaemonSet must not take it for one of its own, nor kpexec for a node's agent.
        let selector = "app.kubernetes.io/name";
        assert_ne!(
            job["spec"]["template"]["metadata"]["labels"][selector],
            set["metadata"]["labels"][selector]
        );
    }
}
