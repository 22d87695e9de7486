//! The way to the API server: TCP without delay, a proxy, TLS, who we are.
//!
//! kube's default stack leaves TCP_NODELAY off, waits 30 s for a connection and repeats what
//! failed for many minutes.

use std::time::Duration;

use http::Uri;
use hyper::rt::{Read, Write};
use hyper_timeout::TimeoutConnector;
use hyper_util::client::legacy;
use hyper_util::client::legacy::connect::proxy::{SocksV5, Tunnel};
use hyper_util::client::legacy::connect::{Connection, HttpConnector};
use hyper_util::rt::TokioExecutor;
use kube::client::{Body, ConfigExt};
use kube::{Client, Config, Error};
use tower::{BoxError, Service, ServiceBuilder};

use crate::config::{Access, Proxy};

/// How long a connection may take to be made, its TLS handshake included, where answers may take for
/// ever; else that is bounded with them.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(30);

/// A client; each of its calls is bounded by `limit` elsewhere.
pub(super) fn client(access: Access, limit: Option<Duration>) -> Result<Client, Error> {
    let limit = limit.map_or(CONNECT_TIMEOUT, |limit| limit.saturating_mul(2));
    let Access { config, proxy, .. } = access;
    let mut tcp = HttpConnector::new();
    tcp.enforce_http(false);
    tcp.set_nodelay(true);
    tcp.set_connect_timeout(Some(limit));
    let Some(Proxy(proxy)) = proxy else {
        return through(tcp, &config, limit);
    };
    match proxy.uri().scheme_str() {
        Some("socks5" | "socks5h") => {
            let mut socks = SocksV5::new(proxy.uri().clone(), tcp);
            if let Some((user, password)) = proxy.raw_auth() {
                socks = socks.with_auth(user.to_owned(), password.to_owned());
            }
            through(socks, &config, limit)
        }
        Some("https") => {
            // The proxy's certificate is checked by this machine's authorities, not the cluster's.
            let plain = Config::new(proxy.uri().clone());
            let tls = plain.rustls_https_connector_with_connector(tcp)?;
            let tunnel = Tunnel::new(proxy.uri().clone(), tls);
            through(authorized(tunnel, proxy.basic_auth()), &config, limit)
        }
        _ => {
            let tunnel = Tunnel::new(proxy.uri().clone(), tcp);
            through(authorized(tunnel, proxy.basic_auth()), &config, limit)
        }
    }
}

fn authorized<C>(tunnel: Tunnel<C>, header: Option<&http::HeaderValue>) -> Tunnel<C> {
    match header {
        Some(header) => tunnel.with_auth(header.clone()),
        None => tunnel,
    }
}

/// TLS and authentication on top of a connector.
fn through<C>(connector: C, config: &Config, limit: Duration) -> Result<Client, Error>
where
    C: Service<Uri> + Clone + Send + Sync + 'static,
    C::Response: Connection + Read + Write + Send + Unpin + 'static,
    C::Future: Send + 'static,
    C::Error: Into<BoxError> + Send + Sync + std::error::Error + 'static,
{
    let tls = config.rustls_https_connector_with_connector(connector)?;
    let mut connector = TimeoutConnector::new(tls);
    connector.set_connect_timeout(Some(limit));
    let client: legacy::Client<_, Body> =
        legacy::Client::builder(TokioExecutor::new()).build(connector);
    let service = ServiceBuilder::new()
        .layer(config.base_uri_layer())
        .option_layer(config.auth_layer()?)
        .layer(config.extra_headers_layer()?)
        .map_err(BoxError::from)
        .service(client);
    Ok(Client::new(service, config.default_namespace.clone()))
}
