//! Asks an agent who it is, by the way that commands take.

use std::time::Duration;

use cnsenter_protocol::{Control, Decoder, Hello, Item, Profile, Request, Target};
use futures_util::StreamExt;
use futures_util::stream;
use tokio::time::timeout;

use crate::agent::Agent;
use crate::cluster::Cluster;
use crate::transport::{self, Duplex, Incoming};

/// How many agents are asked at a time: each has the API server and a kubelet do something.
const AT_A_TIME: usize = 8;

/// What agents answer, in their order: their greeting, or why there is none. Each has as long as
/// `limit`.
pub(super) async fn all(
    cluster: &Cluster,
    agents: &[Agent],
    limit: Duration,
) -> Vec<Result<Hello, String>> {
    stream::iter(agents)
        .map(|agent| async move {
            let answer = timeout(limit, greeting(cluster, agent)).await;
            answer.unwrap_or_else(|_| {
                let limit = humantime::format_duration(limit);
                Err(format!("it did not answer within {limit}"))
            })
        })
        .buffered(AT_A_TIME)
        .collect()
        .await
}

async fn greeting(cluster: &Cluster, agent: &Agent) -> Result<Hello, String> {
    let words = words(agent).map_err(|error| error.to_string())?;
    let stream = transport::open(cluster, agent, &words).await;
    // What to do about it is for the report to say.
    let first = |error: transport::Error| {
        let words = error.to_string();
        let line = words.lines().next().unwrap_or_default();
        line.strip_prefix("error: ").unwrap_or(line).to_owned()
    };
    listen(stream.map_err(first)?).await
}

/// A session that is never begun: its words announce a Request frame that is not sent. It asks for
/// no privileges, in the agent's own pod: whoever may use agents at all may do that.
fn words(agent: &Agent) -> Result<Vec<String>, cnsenter_protocol::request::Error> {
    let target = Target::pod(&agent.namespace, &agent.pod);
    let request = Request {
        env: vec![(b"PROBE".to_vec(), Vec::new())],
        in_agent: true,
        ..Request::new(target, Profile::Container, vec![b"true".to_vec()])
    };
    Ok(request.encode()?.words)
}

/// Waits for the greeting, which comes first whatever the words were.
async fn listen(mut stream: Duplex) -> Result<Hello, String> {
    let mut decoder = Decoder::of_client();
    let mut said = Vec::new();
    let mut reason = None;
    while let Some(item) = stream.incoming.next().await {
        match item {
            Incoming::Stream(bytes) => {
                let mut rest: &[u8] = &bytes;
                match decoder.next(&mut rest) {
                    Ok(Some(Item::Control {
                        message: Control::Hello(hello),
                        ..
                    })) => return Ok(hello),
                    Ok(_) => {}
                    Err(error) => return Err(error.to_string()),
                }
            }
            Incoming::Diagnostics(bytes) => said.extend_from_slice(&bytes),
            Incoming::End(words) => reason = words,
            Incoming::Lost(words) => reason = Some(words),
        }
    }
    let noise = [said.as_slice(), decoder.noise()].concat();
    let noise = String::from_utf8_lossy(&noise).trim().to_owned();
    let words = [reason, Some(noise).filter(|noise| !noise.is_empty())];
    let words: Vec<_> = words.into_iter().flatten().collect();
    match words.is_empty() {
        true => Err("it ended without a word".to_owned()),
        false => Err(words.join("; ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use cnsenter_protocol::{PREAMBLE, PROTOCOL, SessionId};
    use tokio::sync::mpsc;

    async fn heard(items: Vec<Incoming>) -> Result<Hello, String> {
        let (to_us, incoming) = mpsc::channel(8);
        let (outgoing, _from_us) = mpsc::channel(8);
        for item in items {
            to_us.send(item).await.unwrap();
        }
        drop(to_us);
        let writer = tokio::spawn(async {});
        listen(Duplex {
            by: String::new(),
            incoming: crate::transport::stream_of(incoming),
            outgoing,
            writer,
        })
        .await
    }

    #[tokio::test]
    async fn an_agent_is_known_by_its_greeting() {
        let hello = Hello {
            oldest: PROTOCOL,
            newest: PROTOCOL + 1,
            version: "9.9.9".into(),
        };
        let mut bytes = b"noise\n".to_vec();
        bytes.extend(PREAMBLE);
        Control::Hello(hello.clone()).put(&mut bytes, SessionId::STREAM);
        // In two pieces, as it may come.
        let rest = Bytes::from(bytes.split_off(17));
        let pieces = vec![Incoming::Stream(bytes.into()), Incoming::Stream(rest)];
        assert_eq!(heard(pieces).await, Ok(hello));
    }

    #[tokio::test]
    async fn what_is_heard_instead_is_told() {
        let told = heard(vec![
            Incoming::Diagnostics(Bytes::from_static(b"exec: not found\n")),
            Incoming::End(Some("command terminated".into())),
        ]);
        assert_eq!(
            told.await,
            Err("command terminated; exec: not found".into())
        );
        assert!(heard(Vec::new()).await.is_err());
    }

    #[test]
    fn nothing_begins_by_the_words_alone() {
        let agent = Agent {
            namespace: "kpexec".into(),
            pod: "np".into(),
            node: "n".into(),
        };
        let words = words(&agent).unwrap();
        assert_eq!(words[..4], ["session", "1", "kpexec/np", "container"]);
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let argv = cnsenter_protocol::Argv::read(&words).unwrap();
        assert!(!argv.is_complete());
    }
}
