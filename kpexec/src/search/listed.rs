//! What a node's cnsenter says of its containers: `cnsenter ls -o json`.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::naming::Names;
use crate::cache::Pod as Remembered;

/// A container that runs on a node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Container {
    pub(super) name: String,
    /// Its ID, as the pod's status would spell it.
    pub(super) id: String,
}

/// A pod that has such containers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Pod {
    pub(super) name: String,
    pub(super) uid: String,
    /// The container that its annotation names, if the node knows that.
    pub(super) default: Option<String>,
    pub(super) containers: Vec<Container>,
}

impl From<&Remembered> for Pod {
    fn from(pod: &Remembered) -> Self {
        let containers = pod.containers.iter().map(|container| Container {
            name: container.name.clone(),
            id: container.id.clone().unwrap_or_default(),
        });
        Self {
            name: pod.name.clone(),
            uid: pod.uid.clone(),
            default: pod.default.clone(),
            containers: containers.collect(),
        }
    }
}

#[derive(Deserialize)]
struct Row {
    id: String,
    name: Option<String>,
    pod: Option<RowPod>,
    runtime: String,
    state: String,
    #[serde(default)]
    sandbox: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RowPod {
    namespace: String,
    name: String,
    uid: Option<String>,
    default_container: Option<String>,
}

/// The words that have cnsenter list them.
pub(super) fn words(namespace: &str, names: &Names) -> Vec<String> {
    let mut words = ["ls", "-o", "json"].map(str::to_owned).to_vec();
    if let Some(pod) = names.only() {
        words.push(format!("--pod={namespace}/{pod}"));
    }
    words
}

/// What cnsenter has listed. Login scripts may have said something before it, and after it.
fn rows(text: &[u8]) -> Result<Vec<Row>, serde_json::Error> {
    let begins = |at: usize| text[at] == b'[' && (at == 0 || text[at - 1] == b'\n');
    let read = |at: usize| {
        let mut values = serde_json::Deserializer::from_slice(&text[at..]).into_iter();
        values.next().and_then(Result::ok)
    };
    let mut all = (0..text.len()).rev().filter(|&at| begins(at));
    match all.find_map(read) {
        Some(rows) => Ok(rows),
        None => serde_json::from_slice(text),
    }
}

/// The pods that are meant, by name.
pub(super) fn read(
    text: &[u8],
    namespace: &str,
    names: &Names,
) -> Result<Vec<Pod>, serde_json::Error> {
    let mut pods: BTreeMap<(String, String), (Option<String>, Vec<Container>)> = BTreeMap::new();
    for row in rows(text)? {
        let Some(pod) = row.pod else { continue };
        if row.sandbox || row.state != "running" {
            continue;
        }
        if pod.namespace == namespace && names.include(&pod.name) {
            let entry = pods.entry((pod.name, pod.uid.unwrap_or_default()));
            let (default, containers) = entry.or_default();
            *default = default.take().or(pod.default_container);
            containers.push(Container {
                name: row.name.unwrap_or_default(),
                id: format!("{}://{}", row.runtime, row.id),
            });
        }
    }
    let pods = pods.into_iter();
    let pods = pods.map(|((name, uid), (default, containers))| Pod {
        name,
        uid,
        default,
        containers,
    });
    Ok(pods.collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::request::Named;

    const TEXT: &str = r#"[
        {"id": "1", "name": "app", "runtime": "containerd", "state": "running", "sandbox": false,
         "pod": {"namespace": "shop", "name": "web-0", "uid": "u"}, "source": "x", "pid": 7},
        {"id": "2", "name": "log", "runtime": "containerd", "state": "running", "sandbox": false,
         "pod": {"namespace": "shop", "name": "web-0", "uid": "u", "defaultContainer": "log"},
         "source": "x"},
        {"id": "3", "name": "old", "runtime": "containerd", "state": "exited", "sandbox": false,
         "pod": {"namespace": "shop", "name": "web-0", "uid": "u"}, "source": "x"},
        {"id": "4", "runtime": "containerd", "state": "running", "sandbox": true,
         "pod": {"namespace": "shop", "name": "web-0", "uid": "u"}, "source": "x"},
        {"id": "5", "name": "app", "runtime": "cri-o", "state": "running", "sandbox": false,
         "pod": {"namespace": "shop", "name": "web-1", "uid": "v"}, "source": "x"},
        {"id": "6", "name": "app", "runtime": "cri-o", "state": "running", "sandbox": false,
         "pod": {"namespace": "other", "name": "web-0", "uid": "w"}, "source": "x"},
        {"id": "7", "runtime": "docker", "state": "running", "sandbox": false, "source": "x"}
    ]"#;

    #[test]
    fn what_runs_and_is_meant_is_taken() {
        let web = Names::pod("web-0");
        assert_eq!(
            words("shop", &web),
            ["ls", "-o", "json", "--pod=shop/web-0"]
        );
        let pods = read(TEXT.as_bytes(), "shop", &web).unwrap();
        let [pod] = &pods[..] else { panic!("{pods:?}") };
        let ids: Vec<_> = pod.containers.iter().map(|c| c.id.as_str()).collect();
        assert_eq!(ids, ["containerd://1", "containerd://2"]);
        assert_eq!(pod.default.as_deref(), Some("log"));

        let set = Names::of(&Named::parse("sts/web").unwrap()).unwrap();
        assert_eq!(words("shop", &set), ["ls", "-o", "json"]);
        let pods = read(TEXT.as_bytes(), "shop", &set).unwrap();
        let names: Vec<_> = pods.iter().map(|pod| pod.name.as_str()).collect();
        assert_eq!(names, ["web-0", "web-1"]);
        assert!(read(b"cnsenter: what?", "shop", &set).is_err());
        let noisy = format!(
            "[motd] Welcome\n{}\n[logout]\nbye",
            TEXT.replace("\n        ", "\n  ")
        );
        assert_eq!(read(noisy.as_bytes(), "shop", &set).unwrap(), pods);
        assert!(read(b"[motd]\n[", "shop", &set).is_err());
    }
}
