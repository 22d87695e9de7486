//! `kpexec check`: whether kpexec can work in this cluster, and what to run if not.

use std::collections::BTreeMap;
use std::time::Duration;

use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::apimachinery::pkg::version::Info;
use serde_json::json;

use super::report::{self, Holding, Report, Server};
use super::rollout::node_of;
use super::{Error, Format, Place, TellArgs, nodes, print, probe};
use crate::agent::{self, Agent};
use crate::cluster::Right;

/// How long an agent may take to greet.
const ANSWER: Duration = Duration::from_secs(10);

/// Looks at everything that a command needs on its way.
pub(super) async fn run(args: TellArgs) -> Result<u8, Error> {
    let place = args.place.open(false).await?;
    let version: Info = place.cluster.get("/version").await?;
    let report = Report {
        server: Server {
            host: place.cluster.host().to_owned(),
            version: version.git_version,
        },
        namespace: place.namespace.clone(),
        rights: rights(&place).await?,
        nodes_unknown: None,
        nodes: Vec::new(),
        sees_agents: false,
    };
    let report = with_nodes(report, &place).await?;
    let problems = report.problems();
    let text = match args.output {
        Format::Text => report.text(),
        Format::Json => {
            let mut answer = serde_json::to_value(&report).map_err(Error::Json)?;
            answer["problems"] = json!(problems);
            format!("{answer:#}\n")
        }
    };
    print(&text)?;
    Ok(u8::from(!problems.is_empty()))
}

/// What a user of kpexec needs, and whether we have it.
async fn rights(place: &Place) -> Result<Vec<Holding>, Error> {
    let own = &place.cluster.default_namespace;
    let agents = &place.namespace;
    let mut holdings = Vec::new();
    for (verb, subresource, namespace) in [
        ("get", None, own),
        ("list", None, agents),
        ("get", Some("exec"), agents),
        ("create", Some("exec"), agents),
    ] {
        let right = Right {
            verb,
            subresource,
            namespace: namespace.clone(),
            pod: None,
        };
        let allowed = place.cluster.allows(&right).await?;
        holdings.push(Holding::new(&right, allowed));
    }
    Ok(holdings)
}

/// Finds the nodes and their agents, and asks these who they are.
async fn with_nodes(mut report: Report, place: &Place) -> Result<Report, Error> {
    let pods = match agent::all(&place.cluster, &place.namespace).await {
        // It is told as a right that is missing.
        Err(error) if error.is_forbidden() => return Ok(report),
        pods => pods?,
    };
    let mut updates = updates(&pods);
    let pods = by_node(pods);
    report.sees_agents = true;
    let mut states: BTreeMap<String, Option<nodes::State>> = BTreeMap::new();
    match nodes::all(&place.cluster).await {
        Ok(all) => states.extend(all.into_iter().map(|(name, state)| (name, Some(state)))),
        // Users need not see nodes.
        Err(error) if error.is_forbidden() => report.nodes_unknown = Some(error.to_string()),
        Err(error) => return Err(error.into()),
    }
    for node in pods.keys() {
        states.entry(node.clone()).or_default();
    }

    let running = pods
        .iter()
        .filter(|(_, pod)| agent::obstacle(pod).is_none());
    let agents: Vec<_> = running
        .map(|(node, pod)| Agent {
            namespace: place.namespace.clone(),
            pod: pod.metadata.name.clone().unwrap_or_default(),
            node: node.clone(),
        })
        .collect();
    let answers = probe::all(&place.cluster, &agents, ANSWER).await;
    let nodes = agents.into_iter().map(|agent| agent.node);
    let mut answers: BTreeMap<_, _> = nodes.zip(answers).collect();

    report.nodes = states
        .into_iter()
        .map(|(name, state)| {
            let pod = pods.get(&name);
            let agent = judge(pod, state, answers.remove(&name));
            let pod = pod.and_then(|pod| pod.metadata.name.clone());
            let update = updates.remove(&name);
            report::Node {
                name,
                pod,
                agent,
                update,
            }
        })
        .collect();
    Ok(report)
}

/// One pod of each node: of two, as there are during an update, one that runs.
fn by_node(pods: Vec<Pod>) -> BTreeMap<String, Pod> {
    let mut chosen: BTreeMap<String, Pod> = BTreeMap::new();
    for pod in pods {
        let node = node_of(&pod);
        let is_better = match chosen.get(&node) {
            None => true,
            Some(other) => agent::obstacle(other).is_some(),
        };
        if is_better {
            chosen.insert(node, pod);
        }
    }
    chosen
}

/// Of each node that has two, the one that does not run, and is not on its way out.
fn updates(pods: &[Pod]) -> BTreeMap<String, report::Update> {
    let runs = |node: &str| {
        let mut pods = pods.iter().filter(|pod| node_of(pod) == node);
        pods.any(|pod| agent::obstacle(pod).is_none())
    };
    let stay = pods
        .iter()
        .filter(|pod| pod.metadata.deletion_timestamp.is_none());
    stay.filter_map(|pod| {
        let (node, reason) = (node_of(pod), agent::obstacle(pod)?);
        let pod = pod.metadata.name.clone().unwrap_or_default();
        runs(&node).then_some((node, report::Update { pod, reason }))
    })
    .collect()
}

fn judge(
    pod: Option<&Pod>,
    state: Option<nodes::State>,
    answer: Option<Result<cnsenter_protocol::Hello, String>>,
) -> report::Agent {
    if let Some(Ok(hello)) = answer {
        return report::Agent::of(Ok(hello));
    }
    if let Some(state) = state {
        if state.is_virtual {
            return report::Agent::Virtual;
        }
        if let Some(reason) = state.trouble {
            return report::Agent::NodeNotReady { reason };
        }
    }
    match (answer, pod.and_then(agent::obstacle)) {
        (Some(answer), _) => report::Agent::of(answer),
        (None, Some(reason)) => report::Agent::NotRunning { reason },
        (None, None) => report::Agent::Missing,
    }
}
