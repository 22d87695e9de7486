//! The entries of a kubeconfig that are used, and what they come to.

use kube::Config;
use kube::config::{AuthInfo, Cluster, Context, ExecAuthCluster, Kubeconfig};

use super::{Error, Found, Selection};

/// The configuration, and its own proxy. kube's loader asks NO_PROXY about the proxy instead of the
/// server, and fails on a trailing comma there: so the parts are put together here.
pub(super) fn resolve(kubeconfig: Kubeconfig, selection: &Selection) -> Result<Found, Error> {
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
    use super::super::{Identity, identity};
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
        resolve(Kubeconfig::from_yaml(FILE).unwrap(), selection)
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
}
