//! Why something that an administrator wanted did not come to pass.

use std::io;
use std::time::Duration;

use crate::{cluster, config, manifest};

/// Why not.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No cluster.
    #[error(transparent)]
    Config(#[from] config::Error),
    /// The API server's answer.
    #[error(transparent)]
    Cluster(#[from] cluster::Error),
    /// Our manifest.
    #[error(transparent)]
    Manifest(#[from] manifest::Error),
    /// Somebody else manages a field, and wants it otherwise.
    #[error("cannot apply {object}")]
    Conflict {
        /// What.
        object: String,
        /// The server's words, which say who.
        #[source]
        source: Box<cluster::Error>,
    },
    /// The namespace is somebody else's.
    #[error("namespace {0} is there, and is not nodepause's: it needs one of its own")]
    Foreign(String),
    /// The image that is installed would be lost.
    #[error("nodepause is installed with the image {0}, and --image names none")]
    ImageUnnamed(String),
    /// It did not become so in time.
    #[error(
        "nodepause is not ready on {} of {desired} nodes after {} (--timeout){}",
        desired - ready, humantime::format_duration(*limit), lines(obstacles)
    )]
    NotReady {
        /// On how many nodes it should be.
        desired: usize,
        /// On how many it is.
        ready: usize,
        /// How long it had.
        limit: Duration,
        /// Nodes, and what keeps it from running there.
        obstacles: Vec<(String, String)>,
        /// The image that is to be there.
        image: String,
    },
    /// Something of it is there yet.
    #[error(
        "not all of nodepause is gone after {} (--timeout){}",
        humantime::format_duration(*limit), lines(left)
    )]
    NotGone {
        /// How long it had.
        limit: Duration,
        /// Objects, and what is known of them.
        left: Vec<(String, String)>,
    },
    /// Our own output.
    #[error("cannot write the answer")]
    Output(#[source] io::Error),
    /// Our own output, again.
    #[error("cannot write the answer as JSON")]
    Json(#[source] serde_json::Error),
}

/// The most lines of an error: thousands of nodes may have the same trouble.
const SHOWN: usize = 20;

fn lines(all: &[(String, String)]) -> String {
    let mut text = String::new();
    for (name, reason) in all.iter().take(SHOWN) {
        text.push_str(&format!("\n  {name}: {}", reason.replace('\n', " ")));
    }
    if all.len() > SHOWN {
        text.push_str(&format!("\n  and {} more", all.len() - SHOWN));
    }
    text
}

impl Error {
    /// What to do.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Conflict { .. } => Some(
                "change it there, or take the fields over with --force-conflicts".to_owned(),
            ),
            Self::Foreign(namespace) => Some(format!(
                "choose another one with -n; or, if whoever may exec there is to be root on every \
                 node: kubectl label namespace {namespace} app.kubernetes.io/part-of=kpexec"
            )),
            Self::ImageUnnamed(image) => Some(match manifest::default_image() {
                Ok(own) => format!("add --image {image} to keep it, or --image {own} for kpexec's own"),
                Err(_) => format!("add --image {image} to keep it"),
            }),
            Self::NotReady {
                obstacles, image, ..
            } => {
                let pulls = obstacles.iter().any(|(_, reason)| reason.contains("Image"));
                pulls.then(|| match image.starts_with("localhost/") {
                    true => "no registry is behind localhost: load the image on each node, or push \
                             it somewhere and name that place with --image (README.md, Install)"
                        .to_owned(),
                    false => format!(
                        "see whether {image} is in that registry, and whether nodes may pull it: \
                         --image names another place, --image-pull-secret what it is pulled with"
                    ),
                })
            }
            Self::NotGone { left, .. } if left.iter().any(|(name, _)| name.starts_with("pod/")) => {
                Some(
                    "a node that is gone keeps its pods until kubectl delete pod --force is told to \
                     forget them, or the node is deleted"
                        .to_owned(),
                )
            }
            _ => None,
        }
    }
}
