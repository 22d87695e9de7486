//! Which cluster, as whom: kubeconfig files, the flags on top of them, or the pod that we run in.

mod credentials;
mod overrides;
mod proxy;

use std::io;
use std::path::{Path, PathBuf};

use kube::Config;
use kube::config::{AuthInfo, Cluster, Context, ExecAuthCluster, Kubeconfig, KubeconfigError};

pub use credentials::Error as CredentialError;
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

/// What a kubeconfig has to choose from.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Names {
    /// Its contexts.
    pub contexts: Vec<String>,
    /// Its clusters.
    pub clusters: Vec<String>,
    /// Its users.
    pub users: Vec<String>,
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

/// What is wrong with a kubeconfig.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Neither a file nor a service account.
    #[error("no kubeconfig: {} is not there", listed(.0))]
    None(Vec<PathBuf>),
    /// The file cannot be read.
    #[error("cannot read the kubeconfig {}", path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file cannot be used. What is wrong with it is not repeated: it holds secrets.
    #[error("{} is no kubeconfig: its YAML is wrong, or one of its values{place}", path.display())]
    Load {
        /// Which.
        path: PathBuf,
        /// Where in it, if that is known.
        place: String,
    },
    /// Files of KUBECONFIG do not go together.
    #[error("cannot merge the files of KUBECONFIG")]
    Merge(#[source] Box<KubeconfigError>),
    /// A context, cluster or user that is named and is not there.
    #[error("{kind} \"{name}\" does not exist")]
    Missing {
        /// kubectl's word for it.
        kind: &'static str,
        /// Which.
        name: String,
    },
    /// No context was chosen and none is current.
    #[error("no current context is set; choose one with --context, or kubectl config use-context")]
    NoContext,
    /// The cluster's entry has no address.
    #[error("no server found for cluster \"{0}\"")]
    NoServer(String),
    /// The address is none.
    #[error("the server \"{0}\" of the kubeconfig is no URL")]
    BadServer(String),
    /// The certificate authority cannot be read.
    #[error("cannot load the certificate authority of cluster \"{cluster}\"")]
    Authority {
        /// Whose.
        cluster: String,
        /// Why.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The service account of the pod that we run in cannot be used.
    #[error("cannot use the service account of this pod")]
    InCluster(#[source] Box<kube::config::InClusterError>),
    /// The credential plugin.
    #[error(transparent)]
    Credentials(#[from] CredentialError),
    /// The proxy.
    #[error(transparent)]
    Proxy(#[from] ProxyError),
}

fn listed(files: &[PathBuf]) -> String {
    let files: Vec<_> = files
        .iter()
        .map(|file| file.display().to_string())
        .collect();
    files.join(" or ")
}

/// Finds the cluster, as kubectl does: `--kubeconfig`, the files of KUBECONFIG, `~/.kube/config`;
/// in a pod without any of them, its service account.
///
/// # Errors
/// When there is none, or it cannot be used.
pub fn load(selection: &Selection) -> Result<Access, Error> {
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
    credentials::resolve(&mut config.auth_info, selection.silent)?;
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
    match read_files(selection.file.as_deref())? {
        Some(kubeconfig) => from_kubeconfig(kubeconfig, selection),
        // Whoever names the server needs no file.
        None if selection.overrides.server.is_some() => {
            from_kubeconfig(Kubeconfig::default(), selection)
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

/// What there is to choose from: in this file, else where [`load`] looks.
///
/// # Errors
/// When a file cannot be read.
pub fn names(file: Option<&Path>) -> Result<Names, Error> {
    let all = read_files(file)?.unwrap_or_default();
    Ok(Names {
        contexts: all.contexts.into_iter().map(|c| c.name).collect(),
        clusters: all.clusters.into_iter().map(|c| c.name).collect(),
        users: all.auth_infos.into_iter().map(|u| u.name).collect(),
    })
}

/// The namespace of the context that is chosen, if a file says so. No credentials are looked for.
///
/// # Errors
/// When a file cannot be read.
pub fn namespace(selection: &Selection) -> Result<Option<String>, Error> {
    let Some(all) = read_files(selection.file.as_deref())? else {
        return Ok(None);
    };
    let name = selection.context.as_ref().or(all.current_context.as_ref());
    let context = all
        .contexts
        .iter()
        .find(|context| Some(&context.name) == name);
    let namespace = context.and_then(|context| context.context.as_ref()?.namespace.clone());
    Ok(namespace.filter(|namespace| !namespace.is_empty()))
}

/// The merged files; None where there are none and none was asked for.
fn read_files(file: Option<&Path>) -> Result<Option<Kubeconfig>, Error> {
    let read = |path: &Path| {
        Kubeconfig::read_from(path).map_err(|error| match error {
            KubeconfigError::ReadConfig(source, path) => Error::Read { path, source },
            other => Error::Load {
                path: path.to_owned(),
                place: place_of(&other),
            },
        })
    };
    if let Some(path) = file {
        return read(path).map(Some);
    }
    let mut merged: Option<Kubeconfig> = None;
    for path in files() {
        let next = match read(&path) {
            // As kubectl: a file of the list that is not there says nothing.
            Err(Error::Read { source, .. }) if source.kind() == io::ErrorKind::NotFound => continue,
            other => other?,
        };
        merged = Some(match merged {
            Some(first) => first.merge(next).map_err(|e| Error::Merge(Box::new(e)))?,
            None => next,
        });
    }
    Ok(merged)
}

/// Where in a file an error is: of its words nothing can be told, for they repeat the file.
fn place_of(error: &KubeconfigError) -> String {
    let location = match error {
        KubeconfigError::Parse(error) => error.location(),
        _ => None,
    };
    location.map_or(String::new(), |at| format!(" (line {})", at.line()))
}

/// Those that KUBECONFIG names, else the one in the home directory.
fn files() -> Vec<PathBuf> {
    let listed = std::env::var_os("KUBECONFIG").unwrap_or_default();
    let listed: Vec<_> = std::env::split_paths(&listed)
        .filter(|path| !path.as_os_str().is_empty())
        .collect();
    if listed.is_empty() {
        let home = std::env::home_dir().unwrap_or_default();
        return vec![home.join(".kube/config")];
    }
    listed
}

fn in_cluster() -> Result<Config, Error> {
    if std::env::var_os("KUBERNETES_SERVICE_HOST").is_none() {
        return Err(Error::None(files()));
    }
    Config::incluster().map_err(|source| Error::InCluster(Box::new(source)))
}

/// The configuration, and its own proxy. kube's loader asks NO_PROXY about the proxy instead of the
/// server, and fails on a trailing comma there: so the parts are put together here.
fn from_kubeconfig(kubeconfig: Kubeconfig, selection: &Selection) -> Result<Found, Error> {
    let Parts {
        context,
        name,
        cluster,
        user,
        user_name,
    } = choose(kubeconfig, selection)?;
    let server = cluster.server.clone().filter(|url| !url.is_empty());
    let server = server.ok_or_else(|| Error::NoServer(name.clone()))?;
    // As client-go: a server without a scheme is http.
    let url = if server.contains("://") {
        server.clone()
    } else {
        format!("http://{server}")
    };
    let mut config = Config::new(url.parse().map_err(|_| Error::BadServer(server))?);
    config.root_cert = authority(&cluster, &name)?;
    config.default_namespace = context
        .namespace
        .filter(|n| !n.is_empty())
        .unwrap_or("default".into());
    config.accept_invalid_certs = cluster.insecure_skip_tls_verify.unwrap_or(false);
    config.tls_server_name = cluster.tls_server_name.clone();
    config.auth_info = user;
    Ok(Found {
        config,
        proxy: cluster.proxy_url.filter(|url| !url.is_empty()),
        user: user_name,
    })
}

/// The entries of a kubeconfig that are used.
struct Parts {
    context: Context,
    /// The cluster's.
    name: String,
    cluster: Cluster,
    user: AuthInfo,
    user_name: String,
}

fn choose(kubeconfig: Kubeconfig, selection: &Selection) -> Result<Parts, Error> {
    let named = |name: &Option<String>| name.clone().filter(|n| !n.is_empty());
    let missing = |kind, name: &str| Error::Missing {
        kind,
        name: name.to_owned(),
    };

    let context = named(&selection.context).or_else(|| named(&kubeconfig.current_context));
    let context = match context {
        Some(name) => {
            let mut all = kubeconfig.contexts.into_iter();
            let found = all.find(|c| c.name == name).and_then(|c| c.context);
            found.ok_or_else(|| missing("context", &name))?
        }
        // A cluster chosen by name or by its server needs no context.
        None if selection.cluster.is_some() || selection.overrides.server.is_some() => {
            Context::default()
        }
        None => return Err(Error::NoContext),
    };
    let name = named(&selection.cluster).unwrap_or_else(|| context.cluster.clone());
    let cluster = kubeconfig.clusters.into_iter().find(|c| c.name == name);
    let mut cluster = match cluster.and_then(|c| c.cluster) {
        Some(cluster) => cluster,
        None if name.is_empty() && selection.overrides.server.is_some() => Cluster::default(),
        None => return Err(missing("cluster", &name)),
    };
    selection.overrides.change_cluster(&mut cluster);

    let user_name = named(&selection.user).or_else(|| named(&context.user));
    let mut user = match &user_name {
        Some(name) => {
            let user = kubeconfig.auth_infos.into_iter().find(|u| u.name == *name);
            user.and_then(|u| u.auth_info)
                .ok_or_else(|| missing("auth info", name))?
        }
        None => AuthInfo::default(),
    };
    selection.overrides.change_user(&mut user);
    Ok(Parts {
        user: with_cluster_info(user, &cluster, &name)?,
        user_name: user_name.unwrap_or_default(),
        context,
        name,
        cluster,
    })
}

/// Some credential plugins want to know for which cluster they are asked.
fn with_cluster_info(mut user: AuthInfo, cluster: &Cluster, name: &str) -> Result<AuthInfo, Error> {
    if let Some(exec) = user.exec.as_mut().filter(|exec| exec.provide_cluster_info) {
        exec.cluster = Some(cluster_info(cluster, name)?);
    }
    Ok(user)
}

fn cluster_info(cluster: &Cluster, name: &str) -> Result<ExecAuthCluster, Error> {
    ExecAuthCluster::try_from(cluster).map_err(|source| Error::Authority {
        cluster: name.to_owned(),
        source: Box::new(source),
    })
}

/// The certificates that the server's is checked with, as DER; None: those of this machine.
fn authority(cluster: &Cluster, name: &str) -> Result<Option<Vec<Vec<u8>>>, Error> {
    let Some(text) = cluster_info(cluster, name)?.certificate_authority_data else {
        return Ok(None);
    };
    let parts = pem::parse_many(text).map_err(|source| Error::Authority {
        cluster: name.to_owned(),
        source: Box::new(source),
    })?;
    let certificates = parts.into_iter().filter(|part| part.tag() == "CERTIFICATE");
    Ok(Some(certificates.map(pem::Pem::into_contents).collect()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = r"
apiVersion: v1
kind: Config
current-context: one
contexts:
- {name: one, context: {cluster: a, user: me, namespace: shop}}
- {name: two, context: {cluster: b, user: me}}
- {name: lost, context: {cluster: nowhere}}
- {name: nobody, context: {cluster: a, user: nobody}}
clusters:
- {name: a, cluster: {server: 'https://a:6443', tls-server-name: api.a}}
- {name: b, cluster: {server: 'https://b:6443/base', insecure-skip-tls-verify: true, proxy-url: 'socks5://p:1080'}}
- {name: empty, cluster: {}}
users:
- {name: me, user: {token: secret}}
";

    fn config(selection: &Selection) -> Result<(Config, Option<String>), Error> {
        let found = found(selection)?;
        Ok((found.config, found.proxy))
    }

    fn found(selection: &Selection) -> Result<Found, Error> {
        from_kubeconfig(Kubeconfig::from_yaml(FILE).unwrap(), selection)
    }

    fn context(name: &str) -> Selection {
        Selection {
            context: Some(name.into()),
            ..Selection::default()
        }
    }

    #[test]
    fn the_current_context_is_used_unless_another_is_chosen() {
        let (one, _) = config(&Selection::default()).unwrap();
        assert_eq!(one.cluster_url, "https://a:6443/");
        assert_eq!(one.default_namespace, "shop");
        assert_eq!(one.tls_server_name.as_deref(), Some("api.a"));
        assert!(!one.accept_invalid_certs);
        let (two, proxy) = config(&context("two")).unwrap();
        assert_eq!(two.cluster_url, "https://b:6443/base");
        assert_eq!(two.default_namespace, "default");
        assert!(two.accept_invalid_certs);
        assert_eq!(proxy.as_deref(), Some("socks5://p:1080"));
    }

    #[test]
    fn what_is_missing_is_named_as_kubectl_does() {
        let error = |selection: &Selection| config(selection).err().unwrap().to_string();
        assert_eq!(error(&context("three")), "context \"three\" does not exist");
        assert_eq!(
            error(&context("lost")),
            "cluster \"nowhere\" does not exist"
        );
        assert_eq!(
            error(&context("nobody")),
            "auth info \"nobody\" does not exist"
        );
        let empty = Selection {
            cluster: Some("empty".into()),
            ..Selection::default()
        };
        assert_eq!(error(&empty), "no server found for cluster \"empty\"");
    }

    #[test]
    fn clusters_and_users_are_told_apart() {
        let identity = |selection: &Selection| {
            let found = found(selection).unwrap();
            let Identity { server, user, .. } = identity(&found.config, &found.user, selection);
            [server, user]
        };
        assert_eq!(identity(&Selection::default()), ["https://a:6443/", "me"]);
        let other = Selection {
            as_user: Some("you".into()),
            ..context("two")
        };
        assert_eq!(identity(&other), ["https://b:6443/base", "me as you"]);
    }

    #[test]
    fn a_broken_file_is_not_repeated() {
        let file = tempfile();
        std::fs::write(
            &file,
            "apiVersion: v1\nusers:\n- user:\n    token: SECRET\n   x: y\n",
        )
        .unwrap();
        let told = read_files(Some(&file)).unwrap_err();
        std::fs::remove_file(&file).unwrap();
        assert!(std::error::Error::source(&told).is_none());
        let told = told.to_string();
        assert!(
            told.contains("(line ") && !told.contains("SECRET"),
            "{told}"
        );
    }

    fn tempfile() -> PathBuf {
        std::env::temp_dir().join(format!("kpexec-config-{}", std::process::id()))
    }
}
