//! `kpexec uninstall`: what install made, deleted, and nothing else.

use std::time::Duration;

use serde::Deserialize;
use serde_json::Value;
use tokio::time::{Instant, sleep};

use super::progress::Progress;
use super::rollout::node_of;
use super::{Error, Place, UninstallArgs, print};
use crate::agent;
use crate::cluster::{self, encoded};
use crate::manifest::{self, Object, PART_OF, Wish};

/// How often it is asked whether something is gone.
const POLL: Duration = Duration::from_millis(500);

/// What people put into a namespace, and would lose with it.
const OTHERS: [(&str, &str); 12] = [
    ("/api/v1", "pods"),
    ("/api/v1", "secrets"),
    ("/api/v1", "configmaps"),
    ("/api/v1", "serviceaccounts"),
    ("/api/v1", "services"),
    ("/api/v1", "persistentvolumeclaims"),
    ("/apis/apps/v1", "daemonsets"),
    ("/apis/apps/v1", "deployments"),
    ("/apis/apps/v1", "statefulsets"),
    ("/apis/batch/v1", "jobs"),
    ("/apis/rbac.authorization.k8s.io/v1", "roles"),
    ("/apis/rbac.authorization.k8s.io/v1", "rolebindings"),
];

/// How that begins which each namespace has of its own accord (the token until Kubernetes 1.23).
const EVERYWHERE: [&str; 3] = [
    "serviceaccounts/default",
    "configmaps/kube-root-ca.crt",
    "secrets/default-token-",
];

/// The name of an object, of whatever kind.
#[derive(Deserialize)]
struct Named {
    metadata: Meta,
}

#[derive(Deserialize)]
struct Meta {
    name: String,
}

/// Removes nodepause.
pub(super) async fn run(args: UninstallArgs) -> Result<u8, Error> {
    let place = args.place.open(false).await?;
    let wish = Wish {
        namespace: place.namespace.clone(),
        image: None,
        pull_secret: None,
    };
    let mut objects = manifest::objects(&wish)?;
    // The pods first, the namespace last.
    objects.reverse();
    let until = (!args.timeout.is_zero())
        .then(|| Instant::now().checked_add(args.timeout))
        .flatten();
    let mut removal = Removal {
        place: &place,
        limit: args.timeout,
        until,
        progress: Progress::new(args.quiet),
        deleted: Vec::new(),
        left: Vec::new(),
    };
    removal.remove_jobs().await?;
    for object in &objects {
        removal.remove(object).await?;
    }
    let Removal {
        deleted,
        left,
        progress,
        ..
    } = removal;
    drop(progress);
    if !args.quiet {
        print(&told(&place.namespace, &deleted, &left))?;
    }
    Ok(0)
}

fn told(namespace: &str, deleted: &[String], left: &[(String, String)]) -> String {
    let mut text = match deleted {
        [] => format!("nothing of nodepause was in namespace {namespace}\n"),
        deleted => format!("deleted {}\n", deleted.join(", ")),
    };
    for (object, why) in left {
        text.push_str(&format!("left {object}: {why}\n"));
    }
    text
}

struct Removal<'a> {
    place: &'a Place,
    limit: Duration,
    until: Option<Instant>,
    progress: Progress,
    deleted: Vec<String>,
    left: Vec<(String, String)>,
}

impl Removal<'_> {
    /// Deletes an object if it is ours, and waits until it is gone.
    async fn remove(&mut self, object: &Object) -> Result<(), Error> {
        let cluster = &self.place.cluster;
        let found: Value = match cluster.get(&object.path()).await {
            Ok(found) => found,
            Err(error) if error.is_not_found() => return Ok(()),
            Err(error) => return Err(error.into()),
        };
        if found["metadata"]["labels"][PART_OF.0] != PART_OF.1 {
            let why = format!("it has no label {}={}", PART_OF.0, PART_OF.1);
            self.left.push((object.to_string(), why));
            return Ok(());
        }
        if object.is_namespace() {
            let others = self.others().await?;
            if !others.is_empty() {
                let why = format!("others' objects are in it: {}", others.join(", "));
                self.left.push((object.to_string(), why));
                return Ok(());
            }
        }
        self.progress.say(&format!("deleting {object}"));
        let uid = found["metadata"]["uid"].as_str();
        cluster.delete(&object.path(), uid).await?;
        self.wait(object, uid).await?;
        self.deleted.push(object.to_string());
        Ok(())
    }

    /// Deletes the agents of `--ephemeral` that nobody has removed, for kpexec was killed; and waits
    /// until they are gone.
    async fn remove_jobs(&mut self) -> Result<(), Error> {
        let cluster = &self.place.cluster;
        let namespace = encoded(&self.place.namespace);
        let label = encoded(&format!("app.kubernetes.io/name={}", manifest::EPHEMERAL));
        let jobs = format!("/apis/batch/v1/namespaces/{namespace}/jobs");
        let found: Vec<Named> = match cluster.list(&format!("{jobs}?labelSelector={label}")).await {
            // Then there is no namespace that could be deleted either.
            Err(error) if error.is_forbidden() || error.is_not_found() => return Ok(()),
            found => found?,
        };
        for Named { metadata } in &found {
            let job = format!("job/{}", metadata.name);
            self.progress.say(&format!("deleting {job}"));
            let path = format!("{jobs}/{}", encoded(&metadata.name));
            cluster.delete(&path, None).await?;
            self.deleted.push(job);
        }
        let pods = format!("/api/v1/namespaces/{namespace}/pods?labelSelector={label}");
        while !found.is_empty() {
            let left: Vec<Named> = cluster.list(&pods).await?;
            let left = left.into_iter().map(|pod| {
                let reason = "it has not ended".to_owned();
                (format!("pod/{}", pod.metadata.name), reason)
            });
            let left: Vec<_> = left.collect();
            if left.is_empty() {
                break;
            }
            if self.until.is_some_and(|until| Instant::now() >= until) {
                let limit = self.limit;
                return Err(Error::NotGone { limit, left });
            }
            sleep(POLL).await;
        }
        Ok(())
    }

    /// What there is in the namespace besides what was deleted.
    async fn others(&self) -> Result<Vec<String>, Error> {
        let namespace = encoded(&self.place.namespace);
        let mut others = Vec::new();
        for (group, plural) in OTHERS {
            let path = format!("{group}/namespaces/{namespace}/{plural}");
            let found: Vec<Named> = self.place.cluster.list(&path).await?;
            let names = found
                .into_iter()
                .map(|object| format!("{plural}/{}", object.metadata.name));
            others.extend(names.filter(|name| !EVERYWHERE.iter().any(|own| name.starts_with(own))));
        }
        Ok(others)
    }

    async fn wait(&mut self, object: &Object, uid: Option<&str>) -> Result<(), Error> {
        loop {
            let left = match self.left_of(object, uid).await {
                Ok(left) => left,
                // A server that is away for a moment comes back.
                Err(error) if !error.is_answer() => vec![(object.to_string(), error.to_string())],
                Err(error) => return Err(error.into()),
            };
            let Some((name, reason)) = left.first() else {
                return Ok(());
            };
            self.progress
                .say(&format!("deleting {object}; {name}: {reason}"));
            if self.until.is_some_and(|until| Instant::now() >= until) {
                let limit = self.limit;
                return Err(Error::NotGone { limit, left });
            }
            sleep(POLL).await;
        }
    }

    /// What is there yet of an object; of the DaemonSet its pods, which go after it.
    async fn left_of(
        &self,
        object: &Object,
        uid: Option<&str>,
    ) -> Result<Vec<(String, String)>, cluster::Error> {
        let found: Result<Value, _> = self.place.cluster.get(&object.path()).await;
        match found {
            Err(error) if error.is_not_found() => {}
            Err(error) => return Err(error),
            // Another one has its name now.
            Ok(found) if found["metadata"]["uid"].as_str() != uid => {}
            Ok(found) => return Ok(vec![(object.to_string(), why_not_gone(&found))]),
        }
        if !object.is_daemon_set() {
            return Ok(Vec::new());
        }
        let pods = agent::all(&self.place.cluster, &self.place.namespace).await?;
        let pods = pods.into_iter().map(|pod| {
            let name = pod.metadata.name.clone().unwrap_or_default();
            let reason = format!("it has not ended on node {}", node_of(&pod));
            (format!("pod/{name}"), reason)
        });
        Ok(pods.collect())
    }
}

/// What keeps a deleted object; a namespace says so.
fn why_not_gone(object: &Value) -> String {
    let conditions = object["status"]["conditions"].as_array();
    let mut open = conditions
        .into_iter()
        .flatten()
        .filter(|condition| condition["status"] == "True");
    let message = open.find_map(|condition| condition["message"].as_str());
    message.unwrap_or("it is being deleted").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_done_is_told() {
        assert_eq!(
            told("n", &[], &[]),
            "nothing of nodepause was in namespace n\n"
        );
        let left = [(
            "namespace/n".into(),
            "others' objects are in it: secrets/s".into(),
        )];
        assert_eq!(
            told("n", &["daemonset/nodepause".into()], &left),
            "deleted daemonset/nodepause\nleft namespace/n: others' objects are in it: secrets/s\n"
        );
    }
}
