//! `--ephemeral`: an agent that is there for one command alone, for nodes that have none.
//!
//! It is a Job, because a Job leaves nothing behind even if we are killed: what it made is gone
//! some time after its deadline, and that deadline is put off for as long as we are there.

use std::collections::hash_map::RandomState;
use std::convert::Infallible;
use std::hash::{BuildHasher, Hasher};
use std::time::{Duration, SystemTime};

use futures_util::future::BoxFuture;
use k8s_openapi::api::core::v1::Pod;
use serde_json::json;
use tokio::sync::Mutex;
use tokio::time::{Instant, sleep, timeout};

use crate::agent::{self, Agent};
use crate::cluster::{self, Cluster, encoded};
use crate::manifest::{self, Wish};
use crate::report::Report;
use crate::stderr::{printable, say};

/// How long the agent outlives us at most.
const DEADLINE: Duration = Duration::from_secs(15 * 60);

/// How often its deadline is put off.
const RENEWAL: Duration = Duration::from_secs(2 * 60);

/// How often its pod is asked for.
const POLL: Duration = Duration::from_millis(300);

/// How often it is asked why there is no pod.
const QUESTION: Duration = Duration::from_secs(2);

/// How long its removal may take.
const REMOVAL: Duration = Duration::from_secs(10);

/// What a container waits for that no time will bring.
const HOPELESS: [&str; 4] = [
    "ImagePullBackOff",
    "ErrImageNeverPull",
    "InvalidImageName",
    "CreateContainerConfigError",
];

/// Why there is no such agent.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The API server's answer.
    #[error(transparent)]
    Cluster(#[from] cluster::Error),
    /// Nowhere to have it.
    #[error("there is no namespace {0} for the ephemeral agent")]
    NoNamespace(String),
    /// Its pod is not allowed there.
    #[error("the pod of the ephemeral agent cannot be made in namespace {namespace}: {reason}")]
    Refused {
        /// Where.
        namespace: String,
        /// Kubernetes' words.
        reason: String,
    },
    /// It does not run.
    #[error("the ephemeral agent on node {node} does not run: {reason}")]
    Stopped {
        /// The node.
        node: String,
        /// Why.
        reason: String,
    },
    /// It did not run in time.
    #[error(
        "the ephemeral agent on node {node} did not run within {} (--pod-running-timeout): {reason}",
        humantime::format_duration(*limit)
    )]
    Late {
        /// The node.
        node: String,
        /// What it waited for.
        reason: String,
        /// How long it had.
        limit: Duration,
    },
    /// Our manifest.
    #[error(transparent)]
    Manifest(#[from] manifest::Error),
}

impl Error {
    /// What to do.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::NoNamespace(namespace) => Some(format!(
                "name one that admits privileged pods with --agent-namespace, or make it: \
                 kubectl create namespace {namespace} && kubectl label namespace {namespace} \
                 app.kubernetes.io/part-of=kpexec pod-security.kubernetes.io/enforce=privileged"
            )),
            Self::Refused { namespace, reason } if reason.contains("PodSecurity") => Some(format!(
                "name a namespace that admits privileged pods with --agent-namespace, or: kubectl \
                 label namespace {namespace} pod-security.kubernetes.io/enforce=privileged"
            )),
            Self::Stopped { reason, .. } | Self::Late { reason, .. }
                if reason.contains("Image") =>
            {
                Some(
                    "--image IMAGE names one that the node can pull, --image-pull-secret what with"
                        .to_owned(),
                )
            }
            _ => None,
        }
    }
}

/// Connects to the cluster again, as whoever we are there now: credentials may not hold for as long as a
/// session does. None if that is not to be had.
pub type Again<'a> = Box<dyn Fn() -> BoxFuture<'a, Option<Cluster>> + 'a>;

/// A Job with an agent.
pub struct Job<'a> {
    cluster: &'a Cluster,
    again: Again<'a>,
    /// What that gave, once it was needed.
    renewed: Mutex<Option<Cluster>>,
    namespace: String,
    name: String,
    node: String,
    begun: (Instant, SystemTime),
}

impl<'a> Job<'a> {
    /// Has it made.
    ///
    /// # Errors
    /// When that is refused, or nobody knows; then what may be left is told.
    pub async fn create(
        cluster: &'a Cluster,
        again: Again<'a>,
        wish: &Wish,
        node: &str,
    ) -> Result<Self, Error> {
        let job = Self {
            cluster,
            again,
            renewed: Mutex::default(),
            namespace: wish.namespace.clone(),
            name: format!("{}-{:016x}", manifest::NAME, random()),
            node: node.to_owned(),
            begun: (Instant::now(), SystemTime::now()),
        };
        let object = manifest::job(wish, &job.name, node, DEADLINE)?;
        let path = format!("/apis/batch/v1/namespaces/{}/jobs", encoded(&job.namespace));
        match cluster.create(&path, &object).await {
            Ok(_) => Ok(job),
            Err(error) if error.is_not_found() => Err(Error::NoNamespace(job.namespace)),
            Err(error) => {
                // A lost answer does not mean that there is none.
                if !error.is_answer()
                    && let Err(left) = job.remove().await
                {
                    say(printable(&left));
                }
                Err(error.into())
            }
        }
    }

    /// Waits until the agent runs.
    ///
    /// # Errors
    /// When it does not within `limit`, or will not.
    pub async fn ready(&self, limit: Duration, report: &Report) -> Result<Agent, Error> {
        let mut asked = Instant::now();
        loop {
            // The name by which clusters of every version know a Job's pods.
            let label = format!("job-name={}", self.name);
            let pods = self.cluster.pods(&self.namespace, &label, "").await?;
            let reason = match pods.first() {
                Some(pod) => match agent::obstacle(pod) {
                    None => return Ok(self.agent(pod)),
                    Some(reason) if is_hopeless(pod, &reason) => {
                        let node = self.node.clone();
                        return Err(Error::Stopped { node, reason });
                    }
                    Some(reason) => reason,
                },
                None => "it has no pod".to_owned(),
            };
            if pods.is_empty() && asked.elapsed() >= QUESTION {
                asked = Instant::now();
                let (cluster, namespace) = (self.cluster, self.namespace.as_str());
                if let Some(reason) = cluster.refused_pods(namespace, "Job", &self.name).await {
                    let namespace = self.namespace.clone();
                    return Err(Error::Refused { namespace, reason });
                }
            }
            report.step(format_args!(
                "waiting for the agent on {}: {}",
                self.node,
                reason.replace('\n', " ")
            ));
            if self.begun.0.elapsed() >= limit {
                return Err(Error::Late {
                    node: self.node.clone(),
                    reason,
                    limit,
                });
            }
            sleep(POLL).await;
        }
    }

    /// Puts the deadline off, again and again.
    pub async fn keep(&self) -> Infallible {
        loop {
            sleep(RENEWAL).await;
            // The clock as well: a machine that slept did not count that time.
            let slept = self.begun.1.elapsed().unwrap_or_default();
            let deadline = self.begun.0.elapsed().max(slept) + DEADLINE;
            let change = json!({ "spec": { "activeDeadlineSeconds": deadline.as_secs() } });
            // There is time for several attempts.
            let path = self.path();
            let changed = self.ask(async |cluster| cluster.change(&path, &change).await);
            let _ = changed.await;
        }
    }

    /// Removes it, and its pod with it.
    ///
    /// # Errors
    /// In words, when it may be there for some time yet.
    pub async fn remove(&self) -> Result<(), String> {
        let path = self.path();
        let removal = self.ask(async |cluster| cluster.delete(&path, None).await);
        let removal = timeout(REMOVAL, removal);
        let reason = match removal.await {
            Ok(Ok(())) => return Ok(()),
            Ok(Err(error)) => error.to_string(),
            Err(_) => "the server does not answer".to_owned(),
        };
        Err(self.left(&reason))
    }

    /// What is left behind if it is not removed.
    #[must_use]
    pub fn left(&self, reason: &str) -> String {
        let Self {
            namespace, name, ..
        } = self;
        format!(
            "job {name} in namespace {namespace} was not removed: {reason}\n  it ends by itself \
             within {}; sooner with: kubectl -n {namespace} delete job {name}",
            humantime::format_duration(DEADLINE)
        )
    }

    /// Asks the server, once more with new credentials if it does not know us any more.
    async fn ask<T>(
        &self,
        call: impl AsyncFn(&Cluster) -> Result<T, cluster::Error>,
    ) -> Result<T, cluster::Error> {
        let mut renewed = self.renewed.lock().await;
        let answer = call(renewed.as_ref().unwrap_or(self.cluster)).await;
        match answer {
            Err(error) if error.is_of_credentials() => match (self.again)().await {
                Some(cluster) => call(renewed.insert(cluster)).await,
                None => Err(error),
            },
            answer => answer,
        }
    }

    fn path(&self) -> String {
        let [namespace, name] = [&self.namespace, &self.name].map(|word| encoded(word));
        format!("/apis/batch/v1/namespaces/{namespace}/jobs/{name}")
    }

    fn agent(&self, pod: &Pod) -> Agent {
        Agent {
            namespace: self.namespace.clone(),
            pod: pod.metadata.name.clone().unwrap_or_default(),
            node: self.node.clone(),
        }
    }
}

/// Whether waiting is of no use.
fn is_hopeless(pod: &Pod, reason: &str) -> bool {
    let phase = pod.status.as_ref().and_then(|s| s.phase.as_deref());
    phase == Some("Failed") || HOPELESS.iter().any(|word| reason.starts_with(word))
}

/// A number that nobody else has: the standard library seeds its hashers at random.
fn random() -> u64 {
    RandomState::new().build_hasher().finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::{Arc, Mutex};

    use http::{Request, Response};
    use http_body_util::BodyExt;
    use kube::client::Body;

    type Calls = Arc<Mutex<Vec<(String, serde_json::Value)>>>;

    /// An API server that answers everything with this status or, without one, nothing; and what it
    /// is asked.
    fn server(code: Option<u16>) -> (Cluster, Calls) {
        let calls = Calls::default();
        let heard = calls.clone();
        let service = tower::service_fn(move |request: Request<Body>| {
            let heard = heard.clone();
            async move {
                let call = format!("{} {}", request.method(), request.uri());
                let body = request.into_body().collect().await?.to_bytes();
                let body = serde_json::from_slice(&body).unwrap_or_default();
                heard.lock().unwrap().push((call, body));
                let code = code.ok_or(std::io::ErrorKind::ConnectionReset);
                let code = code.map_err(std::io::Error::from)?;
                let answer = json!({"status": "Failure", "code": code, "message": "no"});
                let answer = Body::from(answer.to_string().into_bytes());
                let answer = Response::builder().status(code).body(answer)?;
                Ok::<_, Box<dyn std::error::Error + Send + Sync>>(answer)
            }
        });
        (
            Cluster::played(kube::Client::new(service, "default")),
            calls,
        )
    }

    fn nobody<'a>() -> Again<'a> {
        Box::new(|| Box::pin(async { None }))
    }

    fn wish() -> Wish {
        Wish {
            namespace: "tools".into(),
            image: None,
            pull_secret: None,
        }
    }

    #[tokio::test(start_paused = true)]
    async fn its_deadline_is_put_off_for_as_long_as_we_are_there() {
        let (cluster, calls) = server(Some(200));
        let job = Job::create(&cluster, nobody(), &wish(), "node-1")
            .await
            .unwrap();
        let hour = timeout(Duration::from_secs(3590), job.keep()).await;
        assert!(hour.is_err());
        let calls = calls.lock().unwrap();
        let path = format!("PATCH /apis/batch/v1/namespaces/tools/jobs/{}", job.name);
        let deadlines: Vec<_> = calls[1..]
            .iter()
            .map(|(call, body)| {
                assert_eq!(*call, path);
                body["spec"]["activeDeadlineSeconds"].as_u64().unwrap()
            })
            .collect();
        // Each time before the deadline that was set before.
        assert_eq!(deadlines.first(), Some(&(120 + 900)));
        assert_eq!(deadlines.last(), Some(&(58 * 60 + 900)), "{deadlines:?}");
        assert!(
            deadlines.windows(2).all(|two| two[1] == two[0] + 120),
            "{deadlines:?}"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn credentials_are_renewed_for_it() {
        let (cluster, _) = server(Some(200));
        let (renewed, calls) = server(Some(200));
        let (expired, refused) = server(Some(401));
        let again: Again<'_> = Box::new(move || {
            let renewed = renewed.clone();
            Box::pin(async { Some(renewed) })
        });
        let mut job = Job::create(&cluster, again, &wish(), "node-1")
            .await
            .unwrap();
        job.cluster = &expired;
        let some_time = timeout(Duration::from_secs(250), job.keep()).await;
        assert!(some_time.is_err());
        job.remove().await.unwrap();
        let methods = |calls: &Calls| -> Vec<_> {
            let calls = calls.lock().unwrap();
            let words = calls.iter().map(|(call, _)| call.split(' ').next());
            words.flatten().map(str::to_owned).collect()
        };
        assert_eq!(methods(&refused), ["PATCH"]);
        assert_eq!(methods(&calls), ["PATCH", "PATCH", "DELETE"]);
    }

    #[tokio::test]
    async fn one_that_may_have_been_made_is_removed() {
        for (answer, methods) in [(Some(403), &["POST"][..]), (None, &["POST", "DELETE"])] {
            let (cluster, calls) = server(answer);
            assert!(Job::create(&cluster, nobody(), &wish(), "n").await.is_err());
            let calls = calls.lock().unwrap();
            let called: Vec<_> = calls
                .iter()
                .filter_map(|(call, _)| call.split(' ').next())
                .collect();
            assert_eq!(called, methods);
        }
    }

    #[tokio::test]
    async fn what_is_left_is_told_with_what_to_run() {
        let ((cluster, _), (broken, _)) = (server(Some(200)), server(Some(500)));
        let mut job = Job::create(&cluster, nobody(), &wish(), "node-1")
            .await
            .unwrap();
        job.remove().await.unwrap();
        job.cluster = &broken;
        let told = job.remove().await.unwrap_err();
        assert!(
            told.contains("was not removed: Error from server: no\n"),
            "{told}"
        );
        let command = format!("kubectl -n tools delete job {}", job.name);
        assert!(told.ends_with(&command), "{told}");
    }
}
