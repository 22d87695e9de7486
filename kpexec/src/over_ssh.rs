//! A run by SSH: the API server is asked at most where the pod is, and its exec is not used.

use cnsenter_protocol::{Reader, Target};

use crate::cluster::Cluster;
use crate::config;
use crate::error::Error;
use crate::report::Report;
use crate::request::{self, BySsh, Object, Request};
use crate::session::{self, Options};
use crate::trace::Trace;
use crate::transport::Duplex;
use crate::transport::ssh::{self, AddressType, Host};

/// Where a namespace is not said, and no kubeconfig says it.
const NAMESPACE: &str = "default";

/// Starts the command's session on a node that the user names; cnsenter finds the pod there.
///
/// # Errors
/// When the node is not reached, or has no cnsenter.
pub async fn open_by_name(
    node: &str,
    by: &BySsh,
    request: &Request,
    trace: &Trace,
) -> Result<(Duplex, Options), Error> {
    let Object::Named(named) = &request.target else {
        return Err(request::Error::NeedsApi("a manifest".to_owned()).into());
    };
    let namespace = match &request.namespace {
        Some(namespace) => Some(namespace.clone()),
        None => config::namespace(&request.selection)?,
    };
    let target = Target {
        container: request.container.clone(),
        ..Target::pod(namespace.as_deref().unwrap_or(NAMESPACE), &named.name)
    };
    let report = Report::new(request.quiet, request.progress);
    if request.io.tty_refused {
        report.note("Unable to use a TTY - input is not a terminal or the right kind of file");
    }
    open(&Host::named(node), target, by, request, report, trace).await
}

/// Where a node is, by the first of these types that it has. Whoever may not ask about nodes has its
/// name, which ssh may know.
pub async fn host(cluster: &Cluster, node: &str, types: &[AddressType]) -> Host {
    let addresses = cluster.addresses(node).await.unwrap_or_default();
    let of_type = |kind: &AddressType| {
        addresses
            .iter()
            .find(|address| address.type_ == kind.name())
    };
    let address = types.iter().find_map(of_type);
    Host {
        name: node.to_owned(),
        address: address.map_or_else(|| node.to_owned(), |address| address.address.clone()),
    }
}

/// Starts the command's session on a node.
///
/// # Errors
/// When the node is not reached, or has no cnsenter.
pub async fn open(
    host: &Host,
    target: Target,
    by: &BySsh,
    request: &Request,
    report: Report,
    trace: &Trace,
) -> Result<(Duplex, Options), Error> {
    report.step(format_args!("connecting to {} over SSH…", host.name));
    let size = request.io.tty.then(session::size).flatten();
    let encoded = request.for_cnsenter(target, false, size);
    let encoded = encoded.encode_for(Reader::Shell)?;
    let node = ssh::connect(host, &by.options, &report).await?;
    trace.step(|| format!("connected by {}", node.by()));
    let stream = node.open(&encoded.words).await?;
    trace.step(|| format!("cnsenter {}", encoded.words.join(" ")));
    let options = Options {
        io: request.io,
        supplement: encoded.supplement,
        lease: request.run.lease,
        node: host.name.clone(),
        report,
    };
    Ok((stream, options))
}
