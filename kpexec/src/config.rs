//! Which cluster, as whom: kubeconfig files, the flags on top of them, or the pod that we run in.

mod credentials;
mod entries;
mod error;
mod files;
mod overrides;
mod proxy;

use std::path::PathBuf;
use std::time::Duration;

use kube::Config;
use kube::config::Kubeconfig;

pub use credentials::Error as CredentialError;
pub use error::Error;
pub use files::{Names, names, namespace};
pub use overrides::{Overrides, Secret};
pub use proxy::{Proxy, ProxyError};

/// What the command line says about the cluster.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Selection {
    /// `--kubeconfig`.
    pub file: Option<PathBuf>,
    /// `--context`.
    pub context: Option<String>,
    /// `--cluster`.
    pub cluster: Option<String>,
    /// `--kubeconfig-user`.
    pub user: Option<String>,
    /// What is said instead of its entries.
    pub overrides: Overrides,
    /// `--as`.
    pub as_user: Option<String>,
    /// `--as-group`.
    pub as_groups: Vec<String>,
    /// `--as-uid`.
    pub as_uid: Option<String>,
    /// `--as-user-extra`.
    pub as_extra: Vec<(String, String)>,
    /// A credential plugin may neither ask nor say anything.
    pub silent: bool,
}

/// A cluster and a user, as far as they are told from others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The API server.
    pub server: String,
    /// The certificates that its own is checked with, as DER.
    pub authority: Vec<u8>,
    /// The kubeconfig's user, and as whom that acts.
    pub user: String,
}

/// What is known of a cluster without having credentials for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Known {
    /// Which it is.
    pub identity: Identity,
    /// The namespace that holds where none is given.
    pub namespace: String,
}

/// A cluster, and who we are there.
pub struct Access {
    /// Which it is.
    pub identity: Identity,
    /// For kube's client; proxies and exec plugins are resolved already.
    pub config: Config,
    /// The proxy to go through.
    pub proxy: Option<Proxy>,
}

/// Finds the cluster, as kubectl does: `--kubeconfig`, the files of KUBECONFIG, `~/.kube/config`;
/// in a pod without any of them, its service account. `limit` is how long a credential plugin has.
///
/// # Errors
/// When there is none, or it cannot be used.
pub async fn load(selection: &Selection, limit: Option<Duration>) -> Result<Access, Error> {
    let Found {
        mut config,
        proxy,
        user,
    } = find(selection)?;
    let identity = identity(&config, &user, selection);
    if let Some(user) = &selection.as_user {
        config.auth_info.impersonate = Some(user.clone());
    }
    if !selection.as_groups.is_empty() {
        config.auth_info.impersonate_groups = Some(selection.as_groups.clone());
    }
    if let Some(uid) = &selection.as_uid {
        config.auth_info.impersonate_uid = Some(uid.clone());
    }
    if !selection.as_extra.is_empty() {
        let extra = &mut config.auth_info.impersonate_user_extra;
        for (key, value) in &selection.as_extra {
            let values = extra.get_or_insert_default().entry(key.clone());
            values.or_default().push(value.clone());
        }
    }
    credentials::resolve(&mut config.auth_info, selection.silent, limit).await?;
    let proxy = match proxy {
        Some(url) => Some(Proxy::new(&url)?),
        None => proxy::from_environment(&config.cluster_url, |name| std::env::var(name).ok())?,
    };
    Ok(Access {
        identity,
        config,
        proxy,
    })
}

/// What is known of the cluster that [`load`] finds; nobody is asked for credentials.
///
/// # Errors
/// When there is none.
pub fn known(selection: &Selection) -> Result<Known, Error> {
    let Found { config, user, .. } = find(selection)?;
    Ok(Known {
        identity: identity(&config, &user, selection),
        namespace: config.default_namespace,
    })
}

/// A cluster, and the kubeconfig's user there.
struct Found {
    config: Config,
    /// The cluster's own.
    proxy: Option<String>,
    user: String,
}

fn find(selection: &Selection) -> Result<Found, Error> {
    match files::read(selection.file.as_deref())? {
        Some(kubeconfig) => entries::resolve(kubeconfig, selection),
        // Whoever names the server needs no file.
        None if selection.overrides.server.is_some() => {
            entries::resolve(Kubeconfig::default(), selection)
        }
        None => Ok(Found {
            config: in_cluster()?,
            proxy: None,
            user: "this pod".to_owned(),
        }),
    }
}

fn identity(config: &Config, user: &str, selection: &Selection) -> Identity {
    let user = match selection.overrides.is_other_user() {
        true => format!("{user} with other credentials"),
        false => user.to_owned(),
    };
    let acts = selection.as_user.as_ref();
    Identity {
        server: config.cluster_url.to_string(),
        authority: config
            .root_cert
            .iter()
            .flatten()
            .flatten()
            .copied()
            .collect(),
        user: acts.map_or_else(|| user.clone(), |other| format!("{user} as {other}")),
    }
}

fn in_cluster() -> Result<Config, Error> {
    if std::env::var_os("KUBERNETES_SERVICE_HOST").is_none() {
        return Err(Error::None(files::places()));
    }
    Config::incluster().map_err(|source| Error::InCluster(Box::new(source)))
}
