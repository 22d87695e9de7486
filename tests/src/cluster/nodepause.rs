//! kpexec's DaemonSet, as users install it.

use std::fs;
use std::path::Path;

use kpexec_image::nodepause;

use super::{Cluster, DEADLINE, PATIENCE};
use crate::{Cmd, cache};

/// The namespace that the manifest makes.
const NAMESPACE: &str = "kpexec";

/// The manifest that users apply.
fn manifest() -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deployments/nodepause.yaml");
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// An archive of the image, with the cnsenter under test.
///
/// # Panics
/// If there is none.
pub fn nodepause_image() -> Vec<u8> {
    let cnsenter = fs::read(cache::cnsenter()).expect("cnsenter can be read");
    let image = nodepause::image(&cnsenter).expect("cnsenter is static");
    image.archive
}

impl Cluster {
    /// Installs nodepause with the cnsenter under test, and waits until it is ready on every node.
    ///
    /// # Panics
    /// If it does not become so; with what Kubernetes says of its pods.
    pub fn install_nodepause(&self) {
        self.load_image("nodepause.tar", &nodepause_image());
        self.apply(&manifest());
        let output = self
            .nodepause(["rollout", "status", PATIENCE, "daemonset/nodepause"])
            .deadline(DEADLINE)
            .run();
        if output.code != 0 {
            let pods = self.nodepause(["describe", "pods"]).run();
            panic!("nodepause is not ready: {output}\n{}", pods.out());
        }
    }

    /// The name of the nodepause pod on a worker.
    pub fn nodepause_on(&self, worker: &str) -> String {
        let on = format!("--field-selector=spec.nodeName={worker}");
        let label = "-l=app.kubernetes.io/name=nodepause";
        self.nodepause(["get", "pods", "-o=name", label, &on]).ok()
    }

    /// `kubectl` of the administrator in nodepause's namespace.
    pub fn nodepause<'a>(&self, arguments: impl IntoIterator<Item = &'a str>) -> Cmd {
        let words = ["-n", NAMESPACE].into_iter().chain(arguments);
        self.kubectl(words)
    }
}
