//! A run through the API server: it says where the pod is, and its exec leads to the agent there.

use std::time::Duration;

use futures_util::FutureExt;
use tokio::time::Instant;

use crate::aftermath::{self, End};
use crate::agent::{self, Agent};
use crate::cache::{Cache, Node, Pending, Seen};
use crate::cluster::Cluster;
use crate::config::{self, Selection};
use crate::ephemeral::Job;
use crate::error::Error;
use crate::manifest::Wish;
use crate::report::Report;
use crate::request::Request;
use crate::session::{self, Interrupts, Options};
use crate::stderr::{chain, printable, say};
use crate::target::{self, Sought, Target, Wanted};
use crate::trace::Trace;
use crate::transport::{self, Duplex};

/// How long a credential plugin has while a command runs.
const RENEWAL_LIMIT: Duration = Duration::from_secs(30);

/// A container, as the API server knows it.
pub struct Found {
    /// The server.
    pub cluster: Cluster,
    /// The container.
    pub target: Target,
    /// Its node, as far as its pod tells of it.
    pub node: Option<Node>,
    cache: Option<Cache>,
    notes: Option<Pending>,
}

/// A stream to the agent on the container's node.
pub struct Opened {
    stream: Duplex,
    supplement: Option<Vec<u8>>,
    agent: Agent,
    notes: Option<Pending>,
}

/// How long the API server has where there is another way.
#[derive(Debug, Clone, Copy)]
pub struct Patience {
    /// For each answer, if the user does not bound it more.
    pub each: Duration,
    /// For all answers, until the way is decided.
    pub all: Duration,
}

/// Asks the API server for the container.
///
/// # Errors
/// When there is none, or no answer.
pub async fn find(
    request: &Request,
    sought: &Sought,
    patience: Option<Patience>,
    report: &Report,
    trace: &Trace,
) -> Result<Found, Error> {
    let begun = Instant::now();
    let all = patience.map(|patience| patience.all);
    let access = config::load(&request.selection, all).await?;
    let cache = Cache::of(&access.identity, request.cache_age);
    let each = patience.map(|patience| patience.each);
    let cluster = Cluster::new(access, bounded(request.request_timeout, each))?;
    if let Some(patience) = patience {
        cluster.decide_within(patience.all, begun);
    }
    trace.step(|| format!("the cluster is {}", cluster.host()));
    let Sought { named, namespace } = sought;
    let wanted = Wanted {
        namespace: namespace.as_deref().unwrap_or(&cluster.default_namespace),
        named,
        container: request.container.as_deref(),
        limit: request.pod_running_timeout,
    };
    report.step(format_args!("resolving {named}…"));
    let (target, pods) = target::resolve(&cluster, &wanted, report).await?;
    trace.step(|| {
        let Target {
            pod,
            container,
            container_id,
            node,
            ..
        } = &target;
        format!("container {container} of pod {pod} is {container_id} on {node}")
    });
    let seen = Seen {
        pods,
        by: (!named.is_pod()).then(|| named.to_string()),
        ..Seen::default()
    };
    let node = seen.host_of(&target.pod);
    Ok(Found {
        cluster,
        target,
        node,
        notes: cache
            .clone()
            .map(|cache| Pending::begin(move || cache.add(seen))),
        cache,
    })
}

/// The cluster with new credentials, of which nobody is asked or told: the terminal is the command's.
async fn connect_again(request: &Request) -> Option<Cluster> {
    let silent = Selection {
        silent: true,
        ..request.selection.clone()
    };
    let access = config::load(&silent, Some(RENEWAL_LIMIT)).await.ok()?;
    Cluster::new(access, request.request_timeout).ok()
}

/// The smaller of two limits; of the user's, zero is none.
fn bounded(users: Option<Duration>, limit: Option<Duration>) -> Option<Duration> {
    match (users, limit) {
        (Some(users), Some(limit)) if users > limit || users.is_zero() => Some(limit),
        (None, limit) => limit,
        (users, _) => users,
    }
}

/// Runs the command, through the node's agent or one that is there for it alone.
///
/// # Errors
/// When that did not come to pass.
pub async fn run(request: &Request, trace: &Trace) -> Result<End, Error> {
    let sought = Sought::of(request)?;
    let report = Report::new(request.quiet, request.progress);
    let found = find(request, &sought, None, &report, trace).await?;
    request.tell_refused_tty(&report);
    let end = match &request.ephemeral {
        Some(wish) => {
            found
                .with_ephemeral_agent(wish, request, report, trace)
                .await?
        }
        None => {
            let opened = found.open(request, &report, trace).await?;
            found.stay(opened, request, report).await?
        }
    };
    found.close(trace).await;
    Ok(end)
}

impl Found {
    /// Starts the command's session in the node's agent.
    ///
    /// # Errors
    /// When there is no agent, or no way to it.
    pub async fn open(
        &self,
        request: &Request,
        report: &Report,
        trace: &Trace,
    ) -> Result<Opened, Error> {
        if let Some(opened) = self.open_known(request, report, trace).await? {
            return Ok(opened);
        }
        let node = &self.target.node;
        report.step(format_args!("looking for nodepause on {node}…"));
        let agent = agent::find(&self.cluster, &request.agent_namespace, node).await?;
        let mut opened = self.open_in(agent, request, report, trace).await?;
        let (cache, agent) = (self.cache.clone(), opened.agent.clone());
        opened.notes = cache.map(|cache| Pending::begin(move || cache.add_agent(agent)));
        Ok(opened)
    }

    /// Tries the agent that an earlier run has seen there, which saves a round trip. None if there is
    /// none, or the server does not have it any more.
    async fn open_known(
        &self,
        request: &Request,
        report: &Report,
        trace: &Trace,
    ) -> Result<Option<Opened>, Error> {
        let namespace = &request.agent_namespace;
        let cache = self.cache.as_ref();
        let Some(agent) = cache.and_then(|cache| cache.agent(namespace, &self.target.node)) else {
            return Ok(None);
        };
        match self.open_in(agent, request, report, trace).await {
            Err(Error::Transport(transport::Error::Cluster(error))) => {
                trace.step(|| format!("that agent is none any more: {error}"));
                Ok(None)
            }
            opened => opened.map(Some),
        }
    }

    async fn open_in(
        &self,
        agent: Agent,
        request: &Request,
        report: &Report,
        trace: &Trace,
    ) -> Result<Opened, Error> {
        let target = &self.target;
        trace.step(|| format!("the agent is {}/{}", agent.namespace, agent.pod));
        report.step(format_args!("connecting to {}…", target.node));
        let size = request.io.tty.then(session::size).flatten();
        let encoded = request.for_cnsenter(target.into(), true, size).encode()?;
        let stream = transport::open(&self.cluster, &agent, &encoded.words).await?;
        trace.step(|| {
            let words = encoded.words.join(" ");
            format!("connected by {}; cnsenter {words}", stream.by)
        });
        Ok(Opened {
            stream,
            supplement: encoded.supplement,
            agent,
            notes: None,
        })
    }

    /// Runs the command through an agent that is there for it alone. That is removed on every way
    /// out; a signal waits for it.
    async fn with_ephemeral_agent(
        &self,
        wish: &Wish,
        request: &Request,
        report: Report,
        trace: &Trace,
    ) -> Result<End, Error> {
        let mut interrupts = Interrupts::new();
        let node = &self.target.node;
        report.step(format_args!("making an agent on {node}…"));
        let again = Box::new(|| connect_again(request).boxed());
        let job = Job::create(&self.cluster, again, wish, node).await?;
        let opened = async {
            let agent = job.ready(request.pod_running_timeout, &report).await?;
            self.open_in(agent, request, &report, trace).await
        };
        let opened = tokio::select! {
            opened = opened => opened,
            never = job.keep() => match never {},
            signal = interrupts.next() => Err(session::Error::Interrupted(signal).into()),
        };
        let end = match opened {
            Err(error) => Err(error),
            Ok(opened) => tokio::select! {
                end = self.stay(opened, request, report) => end,
                never = job.keep() => match never {},
            },
        };
        // What was sent to the command is none of these.
        let mut interrupts = Interrupts::new();
        let removed = tokio::select! {
            removed = job.remove() => removed,
            _ = interrupts.next() => Err(job.left("interrupted")),
        };
        if let Err(words) = removed {
            say(printable(&words));
        }
        end
    }

    /// Stays with the command to its end.
    ///
    /// # Errors
    /// When that is not known.
    pub async fn stay(
        &self,
        opened: Opened,
        request: &Request,
        report: Report,
    ) -> Result<End, Error> {
        let options = Options {
            io: request.io,
            supplement: opened.supplement,
            lease: request.run.lease,
            node: self.target.node.clone(),
            report,
        };
        let ended = session::run(opened.stream, options).await;
        if let Some(notes) = opened.notes {
            // What keeps us from it is told of the other notes.
            let _ = notes.end().await;
        }
        let end = aftermath::explain(self.known(), Some(&opened.agent), ended).await?;
        Ok(end)
    }

    /// Who may be asked about the container's end.
    #[must_use]
    pub fn known(&self) -> Option<(&Cluster, &Target)> {
        Some((&self.cluster, &self.target))
    }

    /// Ends what was begun beside the run.
    pub async fn close(self, trace: &Trace) {
        if let Some(notes) = self.notes
            && let Err(error) = notes.end().await
        {
            trace.step(|| format!("nothing is remembered: {}", chain(&error)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_smaller_limit_counts() {
        let s = |seconds| Some(Duration::from_secs(seconds));
        for (users, limit, both) in [
            (None, None, None),
            (None, s(4), s(4)),
            (s(9), None, s(9)),
            (s(9), s(4), s(4)),
            (s(2), s(4), s(2)),
            (s(0), s(4), s(4)),
            (s(0), None, s(0)),
        ] {
            assert_eq!(bounded(users, limit), both);
        }
    }
}
