//! `kpexec cache`: what is remembered, anew, no longer.

use std::io;
use std::time::Duration;

use k8s_openapi::api::core::v1::{Node, Pod};
use serde::Serialize;

use super::cli::{ClearArgs, RefreshArgs, ShowArgs};
use super::line::{Pod as Remembered, now};
use super::{Agents, Cache, CacheArgs, Error, Memory, Seen, file, folder};
use crate::cli::access::AccessArgs;
use crate::cluster::{self, Cluster, encoded};
use crate::config;
use crate::listing::{self, Table};
use crate::stderr::{printable, say};

/// Why a command about the cache failed.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The cache itself.
    #[error(transparent)]
    Cache(#[from] Error),
    /// Which cluster.
    #[error(transparent)]
    Config(#[from] config::Error),
    /// The API server.
    #[error(transparent)]
    Cluster(#[from] cluster::Error),
    /// It may not be asked for so much.
    #[error("{0}")]
    Forbidden(cluster::Error),
    /// Nothing is to be remembered.
    #[error("nothing is remembered: cache-age is off, or there is no home directory")]
    Off,
    /// stdout is full.
    #[error("cannot write the output")]
    Output(#[source] io::Error),
}

impl Failure {
    /// What to do.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Forbidden(_) => Some("-n NAMESPACE asks for the pods of that one".to_owned()),
            Self::Off => Some("kpexec config show says who has set it".to_owned()),
            _ => None,
        }
    }
}

/// Does what is asked for.
///
/// # Errors
/// When it did not come to pass.
pub async fn run(args: CacheArgs) -> Result<(), Failure> {
    match args {
        CacheArgs::Show(args) => show(&args),
        CacheArgs::Refresh(args) => refresh(&args).await,
        CacheArgs::Clear(args) => clear(&args),
    }
}

/// The cache of the cluster; nobody is asked for credentials.
fn of(access: &AccessArgs, age: Duration) -> Result<Cache, Failure> {
    let known = config::known(&access.selection())?;
    Cache::of(&known.identity, age).ok_or(Failure::Off)
}

fn show(args: &ShowArgs) -> Result<(), Failure> {
    let cache = of(&args.access, args.age.cache_age)?;
    let all = All {
        memory: cache.load()?,
        agents: cache.agents()?,
    };
    listing::print(args.output, &all, || text(&all)).map_err(Failure::Output)
}

/// What is shown.
#[derive(Serialize)]
struct All {
    #[serde(flatten)]
    memory: Memory,
    agents: Agents,
}

fn text(All { memory, agents }: &All) -> String {
    let mut pods = Table::new(["NAMESPACE", "POD", "NODE", "OF", "SEEN"]);
    for pod in &memory.pods {
        let objects = match pod.objects.is_empty() {
            true => "-".to_owned(),
            false => pod.objects.join(", "),
        };
        let seen = ago(pod.seen);
        pods.row([&pod.namespace, &pod.name, &pod.node, &objects, &seen]);
    }
    let mut nodes = Table::new(["NODE", "ADDRESSES", "AGENT", "SEEN"]);
    for node in &memory.nodes {
        let addresses = node.addresses.iter().map(|a| a.address.as_str());
        let addresses = addresses.collect::<Vec<_>>().join(", ");
        let mut on_it = agents.all().iter().filter(|agent| agent.node == node.name);
        let agent = on_it.next().map_or("-", |agent| &agent.pod);
        nodes.row([&node.name, &addresses, agent, &ago(node.seen)]);
    }
    match (memory.pods.is_empty(), memory.nodes.is_empty()) {
        (true, true) => "nothing is remembered of this cluster\n".to_owned(),
        (true, false) => nodes.to_string(),
        (false, _) => format!("{pods}\n{nodes}"),
    }
}

/// How long ago something was seen: one unit is enough.
#[must_use]
pub fn ago(seen: u64) -> String {
    let seconds = now().saturating_sub(seen);
    let (count, unit) = match seconds {
        0..60 => (seconds, "s"),
        60..3_600 => (seconds / 60, "m"),
        3_600..86_400 => (seconds / 3_600, "h"),
        _ => (seconds / 86_400, "d"),
    };
    format!("{count}{unit} ago")
}

async fn refresh(args: &RefreshArgs) -> Result<(), Failure> {
    let selection = args.access.selection();
    let access = config::load(&selection, None).await?;
    let cache = Cache::of(&access.identity, args.age.cache_age).ok_or(Failure::Off)?;
    let cluster = Cluster::new(access, args.access.request_timeout)?;
    let begun = now();
    let path = match &args.namespace {
        Some(namespace) => format!("/api/v1/namespaces/{}/pods", encoded(namespace)),
        None => "/api/v1/pods".to_owned(),
    };
    let pods: Vec<Pod> = cluster.list(&path).await.map_err(|error| {
        match error.is_forbidden() && args.namespace.is_none() {
            true => Failure::Forbidden(error),
            false => error.into(),
        }
    })?;
    let nodes = match cluster.list::<Node>("/api/v1/nodes").await {
        // What pods tell of them will have to do.
        Err(error) if error.is_forbidden() => {
            if !args.quiet {
                say(printable(&format!(
                    "nodes are known by their pods only: {error}"
                )));
            }
            None
        }
        nodes => Some(nodes?),
    };
    let sees_nodes = nodes.is_some();
    let seen = Seen {
        pods,
        by: None,
        nodes: nodes.unwrap_or_default(),
    };
    let mut lines = seen.into_lines();
    let mut all = cache.load().unwrap_or_default().into_lines();
    all.append(&mut lines);
    let mut memory = Memory::of(all, args.age.cache_age);
    let is_of_it = |pod: &Remembered| match &args.namespace {
        Some(namespace) => pod.namespace == *namespace,
        None => true,
    };
    // Whoever has seen all pods of it knows what is not there any more.
    memory
        .pods
        .retain(|pod| pod.seen >= begun || !is_of_it(pod));
    if sees_nodes {
        memory.nodes.retain(|node| node.seen >= begun);
    }
    let pods = memory.pods.iter().filter(|pod| is_of_it(pod)).count();
    let nodes = memory.nodes.len();
    cache.replace(memory)?;
    if !args.quiet {
        let some = |count: usize, what: &str| match count {
            1 => format!("1 {what}"),
            count => format!("{count} {what}s"),
        };
        let (pods, nodes) = (some(pods, "pod"), some(nodes, "node"));
        let told = match &args.namespace {
            Some(namespace) => format!("{pods} of namespace {namespace}, and {nodes}"),
            None => format!("{pods} on {nodes}"),
        };
        say(format_args!("remembered now: {told}"));
    }
    Ok(())
}

fn clear(args: &ClearArgs) -> Result<(), Failure> {
    if !args.all {
        return Ok(of(&args.access, Duration::MAX)?.clear()?);
    }
    let folder = folder().ok_or(Failure::Off)?;
    for path in file::all(&folder)? {
        file::remove(&path)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_are_short() {
        for (seconds, told) in [
            (0, "0s ago"),
            (90, "1m ago"),
            (7_200, "2h ago"),
            (200_000, "2d ago"),
        ] {
            assert_eq!(ago(now() - seconds), told);
        }
    }
}
