//! What is wrong with a kubeconfig.

use std::io;
use std::path::PathBuf;

use kube::config::KubeconfigError;

use super::{CredentialError, ProxyError};

/// What is wrong with a kubeconfig.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Neither a file nor a service account.
    #[error("no kubeconfig: {} is not there", listed(.0))]
    None(Vec<PathBuf>),
    /// The file cannot be read.
    #[error("cannot read the kubeconfig {}", path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file cannot be used. What is wrong with it is not repeated: it holds secrets.
    #[error("{} is no kubeconfig: its YAML is wrong, or one of its values{place}", path.display())]
    Load {
        /// Which.
        path: PathBuf,
        /// Where in it, if that is known.
        place: String,
    },
    /// Files of KUBECONFIG do not go together.
    #[error("cannot merge the files of KUBECONFIG")]
    Merge(#[source] Box<KubeconfigError>),
    /// A context, cluster or user that is named and is not there.
    #[error("{kind} \"{name}\" does not exist")]
    Missing {
        /// kubectl's word for it.
        kind: &'static str,
        /// Which.
        name: String,
    },
    /// No context was chosen and none is current.
    #[error("no current context is set; choose one with --context, or kubectl config use-context")]
    NoContext,
    /// The cluster's entry has no address.
    #[error("no server found for cluster \"{0}\"")]
    NoServer(String),
    /// The address is none.
    #[error("the server \"{0}\" of the kubeconfig is no URL")]
    BadServer(String),
    /// The certificate authority cannot be read.
    #[error("cannot load the certificate authority of cluster \"{cluster}\"")]
    Authority {
        /// Whose.
        cluster: String,
        /// Why.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The service account of the pod that we run in cannot be used.
    #[error("cannot use the service account of this pod")]
    InCluster(#[source] Box<kube::config::InClusterError>),
    /// The credential plugin.
    #[error(transparent)]
    Credentials(#[from] CredentialError),
    /// The proxy.
    #[error(transparent)]
    Proxy(#[from] ProxyError),
}

fn listed(files: &[PathBuf]) -> String {
    let files: Vec<_> = files
        .iter()
        .map(|file| file.display().to_string())
        .collect();
    files.join(" or ")
}
