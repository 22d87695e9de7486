//! The API server: few calls, each with a time limit, and errors in kubectl's words.

mod connect;
mod discovery;
mod error;
mod node;
mod objects;
mod patience;
mod rights;
mod table;

use std::time::Duration;

use http::Uri;
use k8s_openapi::List;
use k8s_openapi::api::core::v1::{Namespace, Pod};
use kube::Client;
use kube::client::Body;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::de::DeserializeOwned;
use tokio::time::Instant;

use crate::config::Access;
use patience::Patience;

pub use discovery::Resource;
pub use error::Error;
pub use objects::Apply;
pub use rights::Right;
pub use table::Row;

/// How long one answer may take if nothing else is said: a laptop's user waits no longer.
pub const DEFAULT_TIMEOUT: Duration = Duration::from_secs(5);

/// What is left as it is in a path or query.
const PLAIN: AsciiSet = NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// A cluster's API server.
#[derive(Clone)]
pub struct Cluster {
    client: Client,
    /// Host and port, for messages.
    host: String,
    /// Those of the proxy on the way there.
    proxy: Option<String>,
    /// How long one answer may take; None: for ever.
    timeout: Option<Duration>,
    /// And all of them together.
    patience: Patience,
    /// The namespace that holds where none is given.
    pub default_namespace: String,
}

impl Cluster {
    /// A client for the cluster; nothing is sent yet. A `timeout` of zero is none.
    ///
    /// # Errors
    /// When certificates or keys cannot be used.
    pub fn new(access: Access, timeout: Option<Duration>) -> Result<Self, Error> {
        let timeout = timeout.unwrap_or(DEFAULT_TIMEOUT);
        let host = host_of(&access.config.cluster_url);
        let default_namespace = access.config.default_namespace.clone();
        let proxy = access.proxy.as_ref().map(|proxy| host_of(proxy.0.uri()));
        let timeout = (!timeout.is_zero()).then_some(timeout);
        let client = connect::client(access, timeout).map_err(|e| Error::new(&host, e))?;
        Ok(Self {
            client,
            host,
            proxy,
            timeout,
            patience: Patience::default(),
            default_namespace,
        })
    }

    /// One that a test plays.
    #[cfg(test)]
    pub(crate) fn played(client: Client) -> Self {
        Self {
            client,
            host: "test".to_owned(),
            proxy: None,
            timeout: Some(DEFAULT_TIMEOUT),
            patience: Patience::default(),
            default_namespace: "default".to_owned(),
        }
    }

    /// Host and port of the API server.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// From then on all answers together may take so long, until that is [`Cluster::decided`].
    pub fn decide_within(&self, limit: Duration, begun: Instant) {
        self.patience.begin(limit, begun);
    }

    /// What is waited for is not the server: it has all its time again.
    pub fn begin_anew(&self) {
        self.patience.renew();
    }

    /// Nobody would go another way any more: each answer alone is bounded.
    pub fn decided(&self) {
        self.patience.end();
    }

    /// One pod.
    ///
    /// # Errors
    /// The server's; of a namespace that is not there that, as kubectl has it.
    pub async fn pod(&self, namespace: &str, name: &str) -> Result<Pod, Error> {
        let [namespace, name] = [namespace, name].map(encoded);
        let namespace = format!("/api/v1/namespaces/{namespace}");
        match self.get(&format!("{namespace}/pods/{name}")).await {
            Err(error) if error.is_not_found() => match self.get::<Namespace>(&namespace).await {
                Err(missing) if missing.is_not_found() => Err(missing),
                _ => Err(error),
            },
            answer => answer,
        }
    }

    /// The pods of a namespace that have these labels and fields.
    ///
    /// # Errors
    /// The server's.
    pub async fn pods(
        &self,
        namespace: &str,
        labels: &str,
        fields: &str,
    ) -> Result<Vec<Pod>, Error> {
        let [namespace, labels, fields] = [namespace, labels, fields].map(encoded);
        let path = format!(
            "/api/v1/namespaces/{namespace}/pods?labelSelector={labels}&fieldSelector={fields}"
        );
        Ok(self.get::<List<Pod>>(&path).await?.items)
    }

    /// Any object, by its path.
    ///
    /// # Errors
    /// The server's.
    pub async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, Error> {
        self.request(http::Request::get(path).body(Vec::new()))
            .await
    }

    /// Any answer, in one of the forms that are accepted.
    async fn get_as<T: DeserializeOwned>(&self, path: &str, accept: &str) -> Result<T, Error> {
        let request = http::Request::get(path).header(http::header::ACCEPT, accept);
        self.request(request.body(Vec::new())).await
    }

    async fn request<T: DeserializeOwned>(
        &self,
        request: Result<http::Request<Vec<u8>>, http::Error>,
    ) -> Result<T, Error> {
        let request = request.map_err(|e| Error::new(&self.host, kube::Error::HttpError(e)))?;
        self.within(self.client.request(request)).await
    }

    /// Sends a request whose answer is not an object.
    ///
    /// # Errors
    /// When there is no answer.
    pub async fn send(&self, request: http::Request<Body>) -> Result<http::Response<Body>, Error> {
        self.within(self.client.send(request)).await
    }

    async fn within<T>(
        &self,
        call: impl Future<Output = Result<T, kube::Error>>,
    ) -> Result<T, Error> {
        let host = || self.host.clone();
        let each = self.timeout.map(|limit| {
            let host = host();
            (limit, Error::TimedOut { host, limit })
        });
        let all = self.patience.left().map(|(limit, left)| {
            let host = host();
            (left, Error::Slow { host, limit })
        });
        let bound = each.into_iter().chain(all).min_by_key(|(limit, _)| *limit);
        let answer = match bound {
            None => call.await,
            Some((limit, late)) => match tokio::time::timeout(limit, call).await {
                Ok(answer) => answer,
                Err(_) => return Err(self.blamed(late)),
            },
        };
        answer.map_err(|error| self.blamed(Error::new(&self.host, error)))
    }

    fn blamed(&self, error: Error) -> Error {
        match &self.proxy {
            Some(proxy) => error.by_way_of(proxy),
            None => error,
        }
    }
}

/// A word as part of a path or a query.
#[must_use]
pub fn encoded(word: &str) -> String {
    utf8_percent_encode(word, &PLAIN).to_string()
}

fn host_of(server: &Uri) -> String {
    server
        .authority()
        .map(ToString::to_string)
        .unwrap_or_default()
}
