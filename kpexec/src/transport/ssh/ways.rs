//! The ways to nodes: at once, by a ProxyCommand or through jump hosts, whose connections the nodes of one
//! run have in common, as they have what ssh_config(5) says of every host.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::io::BufReader;
use tokio::sync::OnceCell;

use super::client::{self, Client};
use super::config_file::Pairs;
use super::dial::{Stream, dial, through};
use super::keys::Unlocked;
use super::prompt::Prompt;
use super::settings::{self, Settings};
use super::{Error, Options};
use crate::turns::Turns;

/// How many nodes are connected to at once through one jump host: sshd's MaxSessions and MaxStartups are
/// its users' as well.
const AT_ONCE: usize = 4;

/// How much is read at once, in bytes: russh alone would read each packet's length by itself.
const READ_AHEAD: usize = 128 << 10;

/// The most jump hosts on a way.
const MAX_JUMPS: usize = 8;

/// Connections to jump hosts, and what is asked once for all nodes.
#[derive(Default)]
pub struct Ways {
    jumps: Mutex<BTreeMap<String, Arc<Way>>>,
    /// The settings of a host that nobody's configuration means.
    pub(super) nobody: OnceCell<Pairs>,
    unlocked: Unlocked,
}

/// One of them.
pub(super) struct Way {
    /// Its end, or why there is none: nobody else needs to find that out.
    pub(super) client: OnceCell<Result<Client, Arc<Error>>>,
    pub(super) turns: Turns,
}

impl Ways {
    /// Those that lead to a jump host.
    fn before(&self) -> Self {
        Self {
            unlocked: self.unlocked.clone(),
            ..Self::default()
        }
    }

    /// The way by these jump hosts, separated by commas.
    pub(super) fn by(&self, jump: &str) -> Arc<Way> {
        let mut ways = self.jumps.lock().unwrap_or_else(PoisonError::into_inner);
        let way = ways.entry(jump.to_owned()).or_insert_with(|| {
            Arc::new(Way {
                client: OnceCell::new(),
                turns: Turns::new(AT_ONCE),
            })
        });
        way.clone()
    }
}

/// Logs in at a host.
///
/// # Errors
/// When it is not there, not who it was, or does not let us in.
pub(super) async fn connect(
    ways: &Ways,
    settings: &Settings,
    options: &Options,
    prompt: &Prompt,
) -> Result<Client, Error> {
    connect_within(MAX_JUMPS, ways, settings, options, prompt).await
}

/// The same through no more than so many jump hosts.
fn connect_within<'a>(
    jumps: usize,
    ways: &'a Ways,
    settings: &'a Settings,
    options: &'a Options,
    prompt: &'a Prompt,
) -> std::pin::Pin<Box<dyn Future<Output = Result<Client, Error>> + Send + 'a>> {
    Box::pin(async move {
        let (stream, way) = open(jumps, ways, settings, options, prompt).await?;
        let mut client =
            client::log_in(stream, settings, prompt, &ways.unlocked, options.lease).await?;
        client.by = format!("SSH to {}@{}{way}", settings.user, settings.place());
        Ok(client)
    })
}

/// Opens the stream to a host, and says by which way.
async fn open(
    jumps: usize,
    ways: &Ways,
    settings: &Settings,
    options: &Options,
    prompt: &Prompt,
) -> Result<(Box<dyn Stream>, String), Error> {
    if let Some(command) = &settings.proxy_command {
        prompt.make_room();
        return Ok((through(command, settings)?, " by ProxyCommand".to_owned()));
    }
    let Some(jump) = &settings.jump else {
        let stream = BufReader::with_capacity(READ_AHEAD, dial(settings).await?);
        return Ok((Box::new(stream), String::new()));
    };
    let jumps = jumps.checked_sub(1).ok_or(Error::Circle(MAX_JUMPS))?;
    let (hops, last) = match jump.rsplit_once(',') {
        Some((hops, last)) => (Some(hops), last),
        None => (None, jump.as_str()),
    };
    let via = settings::of_jump(last.trim(), hops, options).await?;
    let way = ways.by(jump);
    // Not among the others: a host that is to be reached through itself would wait for itself.
    let before = ways.before();
    let opened = way.turns.take(async {
        let client = way.client.get_or_init(|| async {
            let client = connect_within(jumps, &before, &via, options, prompt).await;
            client.map_err(Arc::new)
        });
        match client.await {
            Ok(client) => client.forward(&via, settings).await,
            Err(source) => Err(Error::Via {
                via: via.place(),
                source: source.clone(),
            }),
        }
    });
    let channel = opened.await.unwrap_or_else(|| {
        Err(Error::Jump {
            via: via.place(),
            host: settings.place(),
            why: "it is not asked any more".to_owned(),
        })
    })?;
    Ok((Box::new(channel.into_stream()), format!(" through {last}")))
}
