//! The API server's audit log: who asked what.

use serde_json::{Value, json};

use super::Cluster;
use crate::Node;

const POLICY: &str = "/etc/kubernetes/audit.yaml";
const LOG: &str = "/var/log/audit.log";

/// Writes the policy, and gives the API server's flags.
pub(super) fn prepare(node: &Node) -> [String; 2] {
    let policy = json!({
        "apiVersion": "audit.k8s.io/v1",
        "kind": "Policy",
        // Those of the cluster's own parts would be most of it.
        "rules": [
            { "level": "None", "userGroups": ["system:nodes", "system:masters"] },
            { "level": "None", "users": ["system:kube-scheduler", "system:apiserver"] },
            { "level": "None", "userGroups": ["system:serviceaccounts"] },
            { "level": "Metadata", "omitStages": ["ResponseStarted", "ResponseComplete"] },
        ],
    });
    node.write(POLICY, policy.to_string());
    [
        format!("--audit-policy-file={POLICY}"),
        format!("--audit-log-path={LOG}"),
    ]
}

impl Cluster {
    /// What a user has asked the API server so far, each as `VERB PATH?QUERY`, for a cluster
    /// [`with_audit_log`](super::ClusterSpec::with_audit_log).
    pub fn calls_of(&self, user: &str) -> Vec<String> {
        let log = self.machine.read(LOG);
        let events = log
            .lines()
            .filter_map(|line| serde_json::from_str(line).ok());
        let calls = events.filter(|event: &Value| event["user"]["username"] == user);
        let words = |event: &Value, field| event[field].as_str().unwrap_or_default().to_owned();
        calls
            .map(|event| format!("{} {}", words(&event, "verb"), words(&event, "requestURI")))
            .collect()
    }
}
