//! What the nodes of one run have in common: jump hosts that have let us in, and what ssh_config(5) says
//! of every host.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::OnceCell;

use super::Error;
use super::client::Client;
use super::config_file::Pairs;
use crate::turns::Turns;

/// How many nodes are connected to at once through one jump host: sshd's MaxSessions and MaxStartups are
/// its users' as well.
const AT_ONCE: usize = 4;

/// Connections to jump hosts, and what is asked once for all nodes.
#[derive(Default)]
pub struct Ways {
    jumps: Mutex<BTreeMap<String, Arc<Way>>>,
    /// The settings of a host that nobody's configuration means.
    pub(super) nobody: OnceCell<Pairs>,
}

/// One of them.
pub(super) struct Way {
    /// Its end, or why there is none: nobody else needs to find that out.
    pub(super) client: OnceCell<Result<Client, Arc<Error>>>,
    pub(super) turns: Turns,
}

impl Ways {
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
