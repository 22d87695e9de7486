//! `kpexec version`: ours, and the agents' if a cluster says so soon.

use std::collections::BTreeMap;
use std::time::Duration;

use cnsenter_protocol::PROTOCOL;
use serde::Serialize;
use tokio::time::timeout;

use super::report::listed;
use super::{Error, Format, PlaceArgs, TellArgs, print, probe};
use crate::agent::{self, Agent};
use crate::stderr::{printable, say};

/// How long all of a cluster may take: nobody waits for a version.
const LIMIT: Duration = Duration::from_secs(2);

/// How long one agent may take of that.
const ANSWER: Duration = Duration::from_millis(1500);

/// What there is to say.
#[derive(Debug, Serialize)]
struct Versions {
    client: Client,
    agents: Vec<Agents>,
    /// Why agents are missing in it.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

#[derive(Debug, Serialize)]
struct Client {
    version: &'static str,
    protocol: u32,
}

/// Nodes whose agents are of one version.
#[derive(Debug, PartialEq, Eq, Serialize)]
struct Agents {
    version: String,
    nodes: Vec<String>,
}

/// What a cluster says: the agents' versions, and about whom it says nothing.
type Answer = (Vec<Agents>, Option<String>);

/// Prints versions. Ours is known whatever the cluster says.
pub(super) async fn run(args: TellArgs) -> Result<u8, Error> {
    let (agents, error) = match timeout(LIMIT, ask(args.place)).await {
        Ok(Ok(answer)) => answer,
        Ok(Err(error)) => (Vec::new(), Some(in_words(&error))),
        Err(_) => {
            let limit = humantime::format_duration(LIMIT);
            let reason = format!("the cluster did not answer within {limit}");
            (Vec::new(), Some(reason))
        }
    };
    let versions = Versions {
        client: Client {
            version: env!("CARGO_PKG_VERSION"),
            protocol: PROTOCOL,
        },
        agents,
        error,
    };
    match args.output {
        Format::Json => {
            let json = serde_json::to_string_pretty(&versions).map_err(Error::Json)?;
            print(&format!("{json}\n"))?;
        }
        Format::Text => {
            print(&versions.text())?;
            if let Some(error) = versions.error {
                say(printable(&format!(
                    "the agents' versions are not known: {error}"
                )));
            }
        }
    }
    Ok(0)
}

/// Asks every agent that runs.
async fn ask(place: PlaceArgs) -> Result<Answer, Error> {
    let place = place.open(true).await?;
    let pods = agent::all(&place.cluster, &place.namespace).await?;
    let running = pods
        .into_iter()
        .filter(|pod| agent::obstacle(pod).is_none());
    let mut agents: Vec<_> = running
        .map(|pod| Agent {
            namespace: place.namespace.clone(),
            pod: pod.metadata.name.unwrap_or_default(),
            node: pod.spec.and_then(|spec| spec.node_name).unwrap_or_default(),
        })
        .collect();
    agents.sort_by(|one, other| one.node.cmp(&other.node));
    if agents.is_empty() {
        let reason = format!("none runs in namespace {}", place.namespace);
        return Ok((Vec::new(), Some(reason)));
    }
    let answers = probe::all(&place.cluster, &agents, ANSWER).await;
    Ok(grouped(
        agents.into_iter().map(|agent| agent.node).zip(answers),
    ))
}

fn grouped(
    answers: impl Iterator<Item = (String, Result<cnsenter_protocol::Hello, String>)>,
) -> Answer {
    let mut versions: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut silent = Vec::new();
    for (node, answer) in answers {
        match answer {
            Ok(hello) => versions.entry(hello.version).or_default().push(node),
            Err(reason) => silent.push((node, reason)),
        }
    }
    let error = silent.first().map(|(_, reason)| {
        let names: Vec<_> = silent.iter().map(|(node, _)| node.as_str()).collect();
        format!("{}: {reason}", listed(&names))
    });
    let agents = versions
        .into_iter()
        .map(|(version, nodes)| Agents { version, nodes });
    (agents.collect(), error)
}

impl Versions {
    fn text(&self) -> String {
        let Client { version, protocol } = self.client;
        let mut text = format!("kpexec {version}, session protocol {protocol}\n");
        for Agents { version, nodes } in &self.agents {
            let names: Vec<_> = nodes.iter().map(String::as_str).collect();
            text.push_str(&format!("cnsenter {version} on {}\n", listed(&names)));
        }
        printable(&text)
    }
}

/// An error and its causes, on one line.
fn in_words(error: &Error) -> String {
    let chain = std::iter::successors(Some(error as &dyn std::error::Error), |e| e.source());
    let words: Vec<_> = chain.map(ToString::to_string).collect();
    words.join(": ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use cnsenter_protocol::Hello;

    #[test]
    fn agents_of_one_version_are_one_line() {
        let hello = |version: &str| {
            Ok(Hello {
                oldest: 1,
                newest: 1,
                version: version.into(),
            })
        };
        let answers = [
            ("a", hello("2")),
            ("b", hello("1")),
            ("c", hello("2")),
            ("d", Err("gone".to_owned())),
        ];
        let answers = answers
            .into_iter()
            .map(|(node, answer)| (node.to_owned(), answer));
        let (agents, error) = grouped(answers);
        assert_eq!(error.as_deref(), Some("d: gone"));
        let versions = Versions {
            client: Client {
                version: "0",
                protocol: 1,
            },
            agents,
            error,
        };
        assert_eq!(
            versions.text(),
            "kpexec 0, session protocol 1\ncnsenter 1 on b\ncnsenter 2 on a, c\n"
        );
    }
}
