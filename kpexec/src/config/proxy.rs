//! Which proxy leads to the API server: the kubeconfig's, else the environment's.

use std::net::IpAddr;

use http::Uri;
use hyper_util::client::proxy::matcher::{Intercept, Matcher};

/// A proxy, with what it wants to know of us.
#[derive(Debug, Clone)]
pub struct Proxy(pub Intercept);

/// A proxy that is none.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum ProxyError {
    /// No URL of a kind that is spoken.
    #[error("\"{0}\" is no proxy; write http://, https:// or socks5://HOST:PORT")]
    Invalid(String),
}

impl Proxy {
    /// Reads a proxy's URL; without a scheme it is http.
    ///
    /// # Errors
    /// When it is none.
    pub fn new(url: &str) -> Result<Self, ProxyError> {
        // The matcher gives a proxy for a destination; here any will do.
        let any = Uri::from_static("https://server");
        let found = Matcher::builder().all(url).build().intercept(&any);
        let known = ["http", "https", "socks5", "socks5h"];
        found
            .filter(|proxy| proxy.uri().scheme_str().is_some_and(|s| known.contains(&s)))
            .map(Self)
            .ok_or_else(|| ProxyError::Invalid(without_password(url)))
    }
}

/// A password must not end in an error message.
fn without_password(url: &str) -> String {
    match (url.find("://"), url.rfind('@')) {
        (Some(start), Some(at)) if at > start => format!("{}{}", &url[..start + 3], &url[at + 1..]),
        (None, Some(at)) => url[at + 1..].to_owned(),
        _ => url.to_owned(),
    }
}

/// The proxy that the environment names for a server, by the rules of Go's programs.
pub(super) fn from_environment(
    server: &Uri,
    variable: impl Fn(&str) -> Option<String>,
) -> Result<Option<Proxy>, ProxyError> {
    let either = |upper: &str, lower: &str| {
        let set = |name| variable(name).filter(|value| !value.trim().is_empty());
        set(upper).or_else(|| set(lower))
    };
    let url = match server.scheme_str() {
        Some("http") => either("HTTP_PROXY", "http_proxy"),
        _ => either("HTTPS_PROXY", "https_proxy"),
    };
    let Some(url) = url.filter(|_| !is_local(server)) else {
        return Ok(None);
    };
    let exceptions = either("NO_PROXY", "no_proxy").unwrap_or_default();
    let reached = Matcher::builder()
        .all("http://proxy")
        .no(for_port(&exceptions, server))
        .build()
        .intercept(server);
    reached.map(|_| Proxy::new(&url)).transpose()
}

fn is_local(server: &Uri) -> bool {
    let host = server.host().unwrap_or_default();
    let address = host.trim_matches(['[', ']']).parse::<IpAddr>();
    host.eq_ignore_ascii_case("localhost") || address.is_ok_and(|ip| ip.is_loopback())
}

/// The exceptions that hold for the server's port: `HOST:PORT` is one for this port alone.
fn for_port(exceptions: &str, server: &Uri) -> String {
    let default = if server.scheme_str() == Some("http") {
        80
    } else {
        443
    };
    let port = server.port_u16().unwrap_or(default);
    let of_port = |entry: &str| match entry.rsplit_once(':') {
        Some((host, number)) if !host.contains(':') || host.ends_with(']') => {
            (number.parse() == Ok(port)).then(|| host.to_owned())
        }
        _ => Some(entry.to_owned()),
    };
    let kept: Vec<_> = exceptions
        .split(',')
        .map(str::trim)
        .filter_map(of_port)
        .collect();
    kept.join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn proxy(server: &str, env: &[(&str, &str)]) -> Option<String> {
        let variable = |name: &str| {
            let found = env.iter().find(|(n, _)| *n == name);
            found.map(|(_, value)| (*value).to_owned())
        };
        let proxy = from_environment(&server.parse().unwrap(), variable).unwrap();
        proxy.map(|proxy| proxy.0.uri().to_string())
    }

    #[test]
    fn the_environments_proxy_is_for_its_scheme() {
        let env = [
            ("HTTPS_PROXY", "http://p:3128"),
            ("http_proxy", "socks5://q:1080"),
        ];
        assert_eq!(
            proxy("https://api:6443", &env).as_deref(),
            Some("http://p:3128/")
        );
        assert_eq!(
            proxy("http://api:8080", &env).as_deref(),
            Some("socks5://q:1080/")
        );
        assert_eq!(proxy("https://api:6443", &[]), None);
    }

    #[test]
    fn exceptions_are_about_the_server() {
        let excepted = |list: &str| {
            let env = [("HTTPS_PROXY", "http://p:3128"), ("NO_PROXY", list)];
            proxy("https://api.prod.example:6443", &env).is_none()
        };
        for list in [
            "*",
            "example",
            ".example,",
            "api.prod.example",
            "x, prod.example,",
            "api.prod.example:6443",
        ] {
            assert!(excepted(list), "{list:?}");
        }
        for list in [
            "",
            ",",
            "p",
            "10.0.0.0/8",
            "od.example",
            "api.prod.example:443",
        ] {
            assert!(!excepted(list), "{list:?}");
        }
        let env = [
            ("HTTPS_PROXY", "http://p:3128"),
            ("NO_PROXY", "10.0.0.0/8,"),
        ];
        assert_eq!(proxy("https://10.1.2.3:6443", &env), None);
        assert_eq!(proxy("https://127.0.0.1:6443", &env[..1]), None);
    }

    #[test]
    fn what_is_no_proxy_is_refused_without_its_password() {
        let error = |url| Proxy::new(url).unwrap_err();
        assert_eq!(
            error("ftp://me:secret@p:1"),
            ProxyError::Invalid("ftp://p:1".into())
        );
        assert_eq!(
            error("socks4://p:1"),
            ProxyError::Invalid("socks4://p:1".into())
        );
        assert!(Proxy::new("p:3128").is_ok() && Proxy::new("https://u:p@p:3128").is_ok());
    }
}
