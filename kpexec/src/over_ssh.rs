//! A run by SSH: the API server is asked at most where the pod is, and its exec is not used.

use cnsenter_protocol::times::LEASE;
use cnsenter_protocol::{Reader, Target};

use crate::aftermath::{self, End};
use crate::cache::{Cache, Node, ago};
use crate::config;
use crate::error::Error;
use crate::report::Report;
use crate::request::{self, BySsh, Object, Request};
use crate::search;
use crate::session::{self, Options, giving_back};
use crate::trace::Trace;
use crate::transport::Duplex;
use crate::transport::ssh::{self, Connection, Host};

/// Where a namespace is not said, and no kubeconfig says it.
const NAMESPACE: &str = "default";

/// Runs the command in a pod of a node that the user names; cnsenter finds the pod there.
///
/// # Errors
/// When the node is not reached, or has no such pod.
pub async fn run(node: &str, by: &BySsh, request: &Request, trace: &Trace) -> Result<End, Error> {
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
    request.tell_refused_tty(&report);
    let opened = giving_back(async {
        let host = host(node, by, request, &report).await;
        open(&host, target, by, request, report, trace).await
    });
    let (stream, options) = opened.await?;
    let ended = session::run(stream, options).await;
    Ok(aftermath::explain(None, None, ended).await?)
}

/// The host that is called so. Clusters have names for their nodes that no name server may know: then
/// it is where the node of that name was. The user's own program knows its hosts itself.
async fn host(name: &str, by: &BySsh, request: &Request, report: &Report) -> Host {
    if by.options.command.is_some() {
        return Host::named(name);
    }
    let (_, node) = name.rsplit_once('@').unwrap_or(("", name));
    match remembered(node, request) {
        Some(known) if !ssh::has_address(node).await => {
            let ago = ago(known.seen);
            report.note(&format!("From the cache, {ago}: where {node} is"));
            Host {
                name: name.to_owned(),
                ..search::host(node, Some(&known), by)
            }
        }
        _ => Host::named(name),
    }
}

/// Nobody has to have a kubeconfig, or a cache, to name a host.
fn remembered(node: &str, request: &Request) -> Option<Node> {
    let known = config::known(&request.selection).ok()?;
    let memory = Cache::of(&known.identity, request.cache_age)?.load().ok()?;
    memory.nodes.into_iter().find(|known| known.name == node)
}

/// Starts the command's session on a node.
async fn open(
    host: &Host,
    target: Target,
    by: &BySsh,
    request: &Request,
    report: Report,
    trace: &Trace,
) -> Result<(Duplex, Options), Error> {
    report.step(format_args!("connecting to {} over SSH…", host.name));
    let node = ssh::connect(host, &by.options, &report).await?;
    start(node, host, target, request, report, trace).await
}

/// Starts the command's session on a node that has let us in.
///
/// # Errors
/// When it has no cnsenter.
pub async fn start(
    node: Connection,
    host: &Host,
    target: Target,
    request: &Request,
    report: Report,
    trace: &Trace,
) -> Result<(Duplex, Options), Error> {
    trace.step(|| format!("connected by {}", node.by()));
    let size = request.io.tty.then(session::size).flatten();
    let encoded = request.for_cnsenter(target, false, size);
    let encoded = encoded.encode_for(Reader::Shell)?;
    let opened = node.open(&encoded.words, &report, trace).await;
    let stream = opened.map_err(|error| match (error.silence(), &encoded.supplement) {
        // Who has been told all in argv may have started it, whether we hear of that or not.
        (Some(reason), None) => Error::Session(session::Error::Lost {
            node: host.name.clone(),
            reason,
            pid: None,
            lease: request.run.lease.unwrap_or(LEASE),
        }),
        _ => error.into(),
    })?;
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
