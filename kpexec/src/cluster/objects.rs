//! Objects of any kind, by their paths: as JSON, since they are made of manifests.

use http::{Method, Request, header};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::{Cluster, Error, encoded};

/// Whose fields those are that we apply.
const MANAGER: &str = "kpexec";

/// How many objects one answer may have: large clusters have thousands of nodes.
const PAGE: usize = 500;

/// How an object is applied.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Apply {
    /// The server only says what would come of it.
    pub dry_run: bool,
    /// Fields that others manage are taken over.
    pub force: bool,
}

/// A part of a list.
#[derive(Deserialize)]
struct Page<T> {
    #[serde(default)]
    metadata: PageMeta,
    items: Vec<T>,
}

#[derive(Deserialize, Default)]
struct PageMeta {
    #[serde(rename = "continue", default)]
    next: String,
}

/// What was told of an object.
#[derive(Deserialize)]
struct Event {
    reason: Option<String>,
    message: Option<String>,
    /// When it was told last; newer servers may leave it to the other.
    #[serde(rename = "lastTimestamp")]
    last: Option<String>,
    #[serde(rename = "eventTime")]
    time: Option<String>,
}

impl Cluster {
    /// All objects of a list, in as many answers as it takes.
    ///
    /// # Errors
    /// The server's.
    pub async fn list<T: DeserializeOwned>(&self, path: &str) -> Result<Vec<T>, Error> {
        let mut all = Vec::new();
        let mut next = String::new();
        loop {
            let mark = if path.contains('?') { '&' } else { '?' };
            let part = format!("{path}{mark}limit={PAGE}&continue={}", encoded(&next));
            let page: Page<T> = self.get(&part).await?;
            all.extend(page.items);
            next = page.metadata.next;
            if next.is_empty() {
                return Ok(all);
            }
        }
    }

    /// Server-side apply.
    ///
    /// # Errors
    /// The server's; a Conflict where others manage what we want otherwise.
    pub async fn apply(&self, path: &str, object: &Value, how: Apply) -> Result<Value, Error> {
        let mut uri = format!("{path}?fieldManager={MANAGER}&force={}", how.force);
        if how.dry_run {
            uri.push_str("&dryRun=All");
        }
        self.send_json(Method::PATCH, &uri, "application/apply-patch+yaml", object)
            .await
    }

    /// Makes an object.
    ///
    /// # Errors
    /// The server's.
    pub async fn create(&self, path: &str, object: &Value) -> Result<Value, Error> {
        self.send_json(Method::POST, path, "application/json", object)
            .await
    }

    /// Changes what `change` names (RFC 7386).
    ///
    /// # Errors
    /// The server's.
    pub async fn change(&self, path: &str, change: &Value) -> Result<Value, Error> {
        self.send_json(Method::PATCH, path, "application/merge-patch+json", change)
            .await
    }

    /// Has an object deleted, and what belongs to it soon after; `uid` says which one is meant, if
    /// another could have taken its name.
    ///
    /// # Errors
    /// The server's; not if it is not there.
    pub async fn delete(&self, path: &str, uid: Option<&str>) -> Result<(), Error> {
        let mut options = json!({
            "apiVersion": "v1",
            "kind": "DeleteOptions",
            "propagationPolicy": "Background",
        });
        if let Some(uid) = uid {
            options["preconditions"] = json!({ "uid": uid });
        }
        let answer: Result<Value, _> = self
            .send_json(Method::DELETE, path, "application/json", &options)
            .await;
        match answer {
            Err(error) if error.is_not_found() => Ok(()),
            answer => answer.map(|_| ()),
        }
    }

    /// What a controller says if it cannot make the pods of an object; None as well if we may not
    /// see that.
    pub async fn refused_pods(&self, namespace: &str, kind: &str, name: &str) -> Option<String> {
        let fields =
            format!("involvedObject.kind={kind},involvedObject.name={name},reason=FailedCreate");
        let path = format!(
            "/api/v1/namespaces/{}/events?fieldSelector={}",
            encoded(namespace),
            encoded(&fields)
        );
        let events: Vec<Event> = self.list(&path).await.ok()?;
        events.into_iter().next_back()?.message
    }

    /// The last warning about a pod, by its UID; None as well if we may not see that.
    pub async fn warning_of(&self, namespace: &str, uid: &str) -> Option<String> {
        // What the scheduler had against it is over for a pod that has a node.
        let fields = format!("involvedObject.uid={uid},type=Warning,reason!=FailedScheduling");
        let path = format!(
            "/api/v1/namespaces/{}/events?fieldSelector={}",
            encoded(namespace),
            encoded(&fields)
        );
        let events: Vec<Event> = self.list(&path).await.ok()?;
        let last = events.into_iter().max_by(|a, b| {
            let time = |event: &Event| event.last.clone().or_else(|| event.time.clone());
            time(a).cmp(&time(b))
        })?;
        let words: Vec<_> = [last.reason, last.message].into_iter().flatten().collect();
        Some(words.join(": "))
    }

    async fn send_json<T: DeserializeOwned>(
        &self,
        method: Method,
        uri: &str,
        content: &'static str,
        body: &Value,
    ) -> Result<T, Error> {
        let request = Request::builder()
            .method(method)
            .uri(uri)
            .header(header::CONTENT_TYPE, content)
            .body(body.to_string().into_bytes());
        self.request(request).await
    }
}
