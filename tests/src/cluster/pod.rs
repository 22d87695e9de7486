//! What a test wants of a pod.

use serde_json::{Value, json};

use crate::Image;

/// A pod to be run.
#[derive(Clone, Debug)]
pub struct PodSpec {
    name: String,
    labels: Value,
    spec: Value,
}

impl PodSpec {
    /// A pod whose containers do nothing for a long time; the first has the pod's name.
    pub fn sleeper(name: &str) -> Self {
        let spec = json!({
            "automountServiceAccountToken": false,
            "terminationGracePeriodSeconds": 0,
            "containers": [sleeper(name)],
        });
        Self {
            name: name.to_owned(),
            labels: json!({ "app": name }),
            spec,
        }
    }

    /// A pod that may do nothing: user 1000, no capabilities, the runtime's system calls only,
    /// files that cannot be changed.
    pub fn locked_down(name: &str) -> Self {
        let mut pod = Self::sleeper(name);
        pod.spec["containers"][0]["securityContext"] = json!({
            "runAsUser": 1000,
            "runAsGroup": 1000,
            "allowPrivilegeEscalation": false,
            "capabilities": { "drop": ["ALL"] },
            "readOnlyRootFilesystem": true,
            "seccompProfile": { "type": "RuntimeDefault" },
        });
        pod
    }

    /// One more container.
    pub fn container(mut self, name: &str) -> Self {
        if let Some(containers) = self.spec["containers"].as_array_mut() {
            containers.push(sleeper(name));
        }
        self
    }

    /// On the worker of this name.
    pub fn on(self, worker: &str) -> Self {
        self.with("nodeSelector", json!({ "kubernetes.io/hostname": worker }))
    }

    /// In a user namespace of its own.
    pub fn user_namespace(self) -> Self {
        self.with("hostUsers", json!(false))
    }

    /// A field of the pod's `spec`.
    pub fn with(mut self, field: &str, value: Value) -> Self {
        self.spec[field] = value;
        self
    }

    /// A field of the pod's first container.
    pub fn with_container(mut self, field: &str, value: Value) -> Self {
        self.spec["containers"][0][field] = value;
        self
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// The pod as the API server wants it.
    pub fn manifest(&self) -> Value {
        json!({
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": { "name": self.name, "labels": self.labels },
            "spec": self.spec,
        })
    }
}

fn sleeper(name: &str) -> Value {
    json!({
        "name": name,
        "image": Image::Busybox.name(),
        "imagePullPolicy": "Never",
        "command": ["sleep", "1000000"],
    })
}
