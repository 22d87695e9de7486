//! `--ssh` and `--ssh=auto`: what the API server still says is used, and SSH for the rest.

use std::time::Duration;

use crate::aftermath::End;
use crate::by_api::{self, Found, Patience};
use crate::cache::{Cache, Memory, Node};
use crate::config::CredentialError;
use crate::error::Error;
use crate::report::Report;
use crate::request::{BySsh, Request};
use crate::search::{self, Wanted};
use crate::session::giving_back;
use crate::stderr::chain;
use crate::target::{self, Sought};
use crate::trace::Trace;
use crate::transport::ssh::{self, AddressType, Connection, Host, When};
use crate::{aftermath, agent, config, over_ssh, session, transport};

/// How long the API server has: who falls back wants to know it soon.
const PATIENCE: Patience = Patience {
    each: Duration::from_secs(4),
    all: Duration::from_secs(5),
};

/// Runs the command, by SSH if that is wanted or if it is the only way.
///
/// # Errors
/// When there is no way.
pub async fn run(by: &BySsh, request: &Request, trace: &Trace) -> Result<End, Error> {
    let sought = Sought::of(request)?;
    let report = Report::new(request.quiet, request.progress);
    let found = by_api::find(request, &sought, Some(PATIENCE), &report, trace).await;
    request.tell_refused_tty(&report);
    let found = match found {
        Ok(found) => found,
        Err(error) => {
            tell(why_not(error, by.when)?, &report);
            return by_search(by, request, &sought, report, trace).await;
        }
    };
    if by.when == When::Auto {
        match found.open(request, &report, trace).await {
            Ok(opened) => {
                found.cluster.decided();
                let end = found.stay(opened, request, report).await?;
                found.close(trace).await;
                return Ok(end);
            }
            Err(error) => tell(why_not(error, by.when)?, &report),
        }
    }
    let opened = giving_back(async {
        // What is still asked of the API server has all its time.
        found.cluster.decided();
        let (host, connection) = connect(&found, by, &report).await?;
        let target = (&found.target).into();
        over_ssh::start(connection, &host, target, request, report, trace).await
    });
    let (stream, options) = opened.await?;
    let ended = session::run(stream, options).await;
    let end = aftermath::explain(found.known(), None, ended).await?;
    found.close(trace).await;
    Ok(end)
}

/// Finds the pod without the API server.
async fn by_search(
    by: &BySsh,
    request: &Request,
    sought: &Sought,
    report: Report,
    trace: &Trace,
) -> Result<End, Error> {
    let known = config::known(&request.selection)?;
    let cache = Cache::of(&known.identity, request.cache_age);
    let memory = match cache.map(|cache| cache.load()) {
        None => Memory::default(),
        Some(Ok(memory)) => memory,
        Some(Err(error)) => {
            report.note(&format!("The cache is not used: {}", chain(&error)));
            Memory::default()
        }
    };
    let wanted = Wanted {
        namespace: sought.namespace.as_deref().unwrap_or(&known.namespace),
        named: &sought.named,
        container: request.container.as_deref(),
    };
    let opened = giving_back(async {
        let search::Found {
            host,
            connection,
            target,
        } = search::find(&wanted, &memory, by, &report).await?;
        trace.step(|| format!("the pod is on {}", host.name));
        over_ssh::start(connection, &host, target, request, report, trace).await
    });
    let (stream, options) = opened.await?;
    let ended = session::run(stream, options).await;
    Ok(aftermath::explain(None, None, ended).await?)
}

/// Logs in at the pod's node: where its pod says that it is; if nobody is there, where else it may be.
async fn connect(
    found: &Found,
    by: &BySsh,
    report: &Report,
) -> Result<(Host, Connection), ssh::Error> {
    let tried = host(found, by).await;
    report.step(format_args!("connecting to {} over SSH…", tried.name));
    let first = match ssh::connect(&tried, &by.options, report).await {
        Ok(connection) => return Ok((tried, connection)),
        Err(error) => error,
    };
    let elsewhere = match first.is_of_nobody_at(&tried.address) {
        true => elsewhere(found, by, &tried).await,
        false => None,
    };
    let Some(host) = elsewhere else {
        return Err(first);
    };
    let connection = ssh::connect(&host, &by.options, report).await?;
    Ok((host, connection))
}

/// The node at its other addresses, if it has any. Those that were tried are the last ones: what is known of
/// them says who it is.
async fn elsewhere(found: &Found, by: &BySsh, tried: &Host) -> Option<Host> {
    let all = found.cluster.addresses(&tried.name).await.ok()?;
    let known = Node::new(&tried.name, &all);
    let host = search::host(&tried.name, Some(&known), by);
    let is_tried = |address: &String| *address == tried.address || tried.others.contains(address);
    let all = [host.address].into_iter().chain(host.others);
    let (last, mut others): (Vec<_>, Vec<_>) = all.partition(is_tried);
    if others.is_empty() {
        return None;
    }
    let address = others.remove(0);
    others.extend(last);
    Some(Host {
        address,
        others,
        ..host
    })
}

/// Where the node is. Its pod tells of one of its addresses; more cost a call.
async fn host(found: &Found, by: &BySsh) -> Host {
    let name = &found.target.node;
    let is_enough = by.address_types.first() == Some(&AddressType::InternalIp);
    if by.host.is_some() || is_enough && found.node.is_some() {
        return search::host(name, found.node.as_ref(), by);
    }
    let all = found.cluster.addresses(name).await.ok();
    let node = all.map(|all| Node::new(name, &all));
    search::host(name, node.as_ref().or(found.node.as_ref()), by)
}

fn tell(why: String, report: &Report) {
    let why = why.lines().next().unwrap_or_default();
    report.note(&format!("Going over SSH: {why}"));
}

/// Why SSH is the way now; the error, if it is none.
fn why_not(error: Error, when: When) -> Result<String, Error> {
    let is_outage = match &error {
        Error::Cluster(error)
        | Error::Target(target::Error::Cluster(error))
        | Error::Agent(agent::Error::Cluster(error))
        | Error::Transport(transport::Error::Cluster(error)) => match when {
            // Somebody who asks for SSH need not be known to the API server.
            When::Always => error.is_outage() || error.is_of_credentials(),
            When::Auto | When::Never => error.is_outage(),
        },
        // One that hangs has denied nothing.
        Error::Config(config::Error::Credentials(CredentialError::TimedOut { .. })) => true,
        Error::Config(config::Error::Credentials(_)) => when == When::Always,
        Error::Transport(error) if error.is_denial() => false,
        Error::Agent(agent::Error::Missing { .. } | agent::Error::Unready { .. })
        | Error::Transport(
            transport::Error::Node { .. }
            | transport::Error::NoUpgrade { .. }
            | transport::Error::Upgrade { .. },
        ) => true,
        _ => false,
    };
    match is_outage {
        true => Ok(chain(&error)),
        false => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::StatusCode;

    #[test]
    fn a_denial_is_no_outage() {
        let answered = |code: u16| {
            let code = StatusCode::from_u16(code).unwrap();
            let (host, what) = ("api".to_owned(), String::new());
            let error = transport::Error::NoUpgrade { host, what, code };
            why_not(Error::Transport(error), When::Auto).is_ok()
        };
        let ways: Vec<_> = [101, 200, 400, 405, 302, 401, 403, 407]
            .map(answered)
            .into();
        assert_eq!(ways, [true, true, true, true, false, false, false, false]);
    }
}
