//! A namespace of the cluster, for one test.

use std::ffi::OsStr;
use std::sync::atomic::{AtomicU32, Ordering};

use serde_json::{Value, json};

use super::{Cluster, DEADLINE, PATIENCE, PodSpec, Worker};
use crate::Cmd;

/// A namespace. It is deleted when dropped, without waiting for its pods to end.
#[derive(Debug)]
pub struct Namespace<'a> {
    /// The cluster it is in.
    pub cluster: &'a Cluster,
    /// Its name.
    pub name: String,
}

impl<'a> Namespace<'a> {
    pub(super) fn make(cluster: &'a Cluster) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(1);
        let name = format!("test-{}", COUNT.fetch_add(1, Ordering::Relaxed));
        let manifest = json!({
            "apiVersion": "v1",
            "kind": "Namespace",
            "metadata": { "name": name },
        });
        cluster.apply(&manifest.to_string());
        cluster.wait_for_account(&name);
        Self { cluster, name }
    }

    /// `kubectl` of the administrator in this namespace.
    pub fn kubectl<S: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = S>) -> Cmd {
        let fixed = ["-n".into(), self.name.clone().into()];
        let words = arguments.into_iter().map(|word| word.as_ref().to_owned());
        self.cluster.kubectl(fixed.into_iter().chain(words))
    }

    /// Makes what a manifest describes, in this namespace.
    ///
    /// # Panics
    /// If the API server refuses.
    pub fn apply(&self, manifest: &str) {
        self.kubectl(["apply", "-f", "-"]).stdin(manifest).ok();
    }

    /// Runs a pod, and waits until it is ready.
    ///
    /// # Panics
    /// If it does not become so; with what Kubernetes says of it.
    pub fn run(&self, pod: &PodSpec) {
        self.apply(&pod.manifest().to_string());
        self.wait("condition=Ready", &format!("pod/{}", pod.name()));
    }

    /// Waits for a state as `kubectl wait --for` names it.
    ///
    /// # Panics
    /// If it does not come; with what Kubernetes says of the object.
    pub fn wait(&self, state: &str, object: &str) {
        let output = self
            .kubectl(["wait", PATIENCE, "--for", state, object])
            .deadline(DEADLINE)
            .run();
        if output.code != 0 {
            let described = self.kubectl(["describe", object]).run();
            panic!("{object} is not {state}: {output}\n{}", described.out());
        }
    }

    /// An object as the API server has it.
    ///
    /// # Panics
    /// If there is none.
    pub fn get(&self, object: &str) -> Value {
        let text = self.kubectl(["get", "-o", "json", object]).ok();
        serde_json::from_str(&text).expect("kubectl writes JSON")
    }

    /// The worker that a pod is on.
    pub fn worker_of(&self, pod: &str) -> &'a Worker {
        let pod = self.get(&format!("pod/{pod}"));
        let name = pod["spec"]["nodeName"].as_str();
        self.cluster.worker(name.expect("the pod has a node"))
    }
}

impl Drop for Namespace<'_> {
    fn drop(&mut self) {
        let words = ["delete", "namespace", &self.name, "--wait=false"];
        self.cluster.kubectl(words).run();
    }
}
