//! What we may do, by the API server's own account.

use std::fmt;

use serde_json::json;

use super::{Cluster, Error};

/// The right to do something with pods.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Right {
    /// get, list, create.
    pub verb: &'static str,
    /// With what of a pod, if not with itself.
    pub subresource: Option<&'static str>,
    /// Where.
    pub namespace: String,
    /// With which one; None: with any.
    pub pod: Option<String>,
}

impl Right {
    /// As RBAC names it.
    #[must_use]
    pub fn resource(&self) -> String {
        match self.subresource {
            Some(subresource) => format!("pods/{subresource}"),
            None => "pods".to_owned(),
        }
    }
}

impl fmt::Display for Right {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (verb, resource) = (self.verb, self.resource());
        write!(f, "{verb} {resource} in namespace {}", self.namespace)
    }
}

impl Cluster {
    /// Whether we have a right.
    ///
    /// # Errors
    /// When the server does not say.
    pub async fn allows(&self, right: &Right) -> Result<bool, Error> {
        let review = json!({
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SelfSubjectAccessReview",
            "spec": { "resourceAttributes": {
                "verb": right.verb,
                "namespace": right.namespace,
                "resource": "pods",
                "subresource": right.subresource,
                "name": right.pod,
            } },
        });
        let path = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews";
        let answer = self.create(path, &review).await?;
        Ok(answer["status"]["allowed"] == true)
    }
}
