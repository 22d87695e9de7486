//! What the API server, or the way to it, has against a request.

use std::error::Error as StdError;
use std::io;
use std::time::Duration;

use kube::core::Status;

/// Why a call failed; the messages are whole sentences, those of kubectl where it has one.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// We are nobody.
    #[error("error: You must be logged in to the server ({0})")]
    Unauthorized(String),
    /// The server's own words.
    #[error("{}", of_server(.0))]
    Status(Box<Status>),
    /// Nobody listens there.
    #[error(
        "The connection to the server {0} was refused - did you specify the right host or port?"
    )]
    Refused(String),
    /// No answer.
    #[error(
        "Unable to connect to the server: {host} did not answer within {} (--request-timeout)",
        humantime::format_duration(*limit)
    )]
    TimedOut {
        /// Host and port.
        host: String,
        /// How long it had.
        limit: Duration,
    },
    /// Answers, but not all of them in time.
    #[error(
        "Unable to connect to the server: {host} did not answer all that was asked within {}",
        humantime::format_duration(*limit)
    )]
    Slow {
        /// Host and port.
        host: String,
        /// How long it had.
        limit: Duration,
    },
    /// No connection, for another reason.
    #[error("Unable to connect to the server: {host}: {reason}")]
    Unreachable {
        /// Host and port.
        host: String,
        /// Why.
        reason: String,
    },
    /// Our own credentials cannot be used.
    #[error("error: cannot use the credentials of the kubeconfig: {0}")]
    Credentials(String),
    /// What it answered is not what was asked for.
    #[error("error: the server {host} gave an answer that cannot be read: {reason}")]
    Answer {
        /// Host and port.
        host: String,
        /// Why.
        reason: String,
    },
}

fn of_server(status: &Status) -> String {
    if status.reason.is_empty() {
        format!("Error from server: {}", status.message)
    } else {
        format!("Error from server ({}): {}", status.reason, status.message)
    }
}

impl Error {
    /// Sorts an error of kube's into what a user can do something about.
    #[must_use]
    pub fn new(host: &str, error: kube::Error) -> Self {
        let host = host.to_owned();
        match error {
            kube::Error::Api(status) => Self::from_status(*status),
            kube::Error::SerdeError(e) => Self::Answer {
                host,
                reason: e.to_string(),
            },
            kube::Error::FromUtf8(e) => Self::Answer {
                host,
                reason: e.to_string(),
            },
            kube::Error::Auth(e) => Self::Credentials(e.to_string()),
            kube::Error::InferKubeconfig(e) => Self::Credentials(e.to_string()),
            kube::Error::RustlsTls(e) => Self::Credentials(tls_reason(&root(&e))),
            other => match find::<io::Error>(&other) {
                Some(e) if e.kind() == io::ErrorKind::ConnectionRefused => Self::Refused(host),
                Some(e) if e.kind() == io::ErrorKind::TimedOut => Self::Unreachable {
                    host,
                    reason: "no connection in time".to_owned(),
                },
                _ => {
                    let reason = match find_said(&other, "dns error") {
                        true => unresolved(&root(&other)),
                        false => tls_reason(&root(&other)),
                    };
                    Self::Unreachable { host, reason }
                }
            },
        }
    }

    /// The same of a server that is reached by way of a proxy: perhaps that is who failed.
    #[must_use]
    pub fn by_way_of(self, proxy: &str) -> Self {
        let behind = |host: &str| format!("{host}, by way of the proxy {proxy},");
        match self {
            // Nobody else was asked for a connection.
            Self::Refused(host) => Self::Unreachable {
                host,
                reason: format!("the proxy {proxy} refuses connections"),
            },
            Self::TimedOut { host, limit } => Self::TimedOut {
                host: behind(&host),
                limit,
            },
            Self::Slow { host, limit } => Self::Slow {
                host: behind(&host),
                limit,
            },
            Self::Unreachable { host, reason } => Self::Unreachable {
                host,
                // What hyper-util says of an answer to CONNECT that is no 200.
                reason: match reason.as_str() {
                    "unsuccessful" => format!("the proxy {proxy} does not let us through"),
                    // And of SOCKS without a connection, whose reason it does not keep.
                    "SOCKS error: failed to create underlying connection" => {
                        format!("the proxy {proxy} cannot be reached")
                    }
                    _ => format!("by way of the proxy {proxy}: {reason}"),
                },
            },
            other => other,
        }
    }

    /// Sorts an answer that says no.
    #[must_use]
    pub fn from_status(mut status: Status) -> Self {
        if status.reason == "Unauthorized" || status.code == 401 {
            return Self::Unauthorized(status.message);
        }
        // A proxy's answer is not the server's: kube leaves a remark in the place of a reason.
        if status.reason == "Failed to parse error data" {
            status.reason.clear();
            if status.message.is_empty() || status.message.starts_with('<') {
                status.message = format!("HTTP status {}", status.code);
            }
        }
        Self::Status(Box::new(status))
    }

    /// Whether the server is not there, or not able to answer. Somebody who is refused is answered.
    #[must_use]
    pub fn is_outage(&self) -> bool {
        match self {
            Self::Status(status) => status.code >= 500,
            Self::Refused(_)
            | Self::TimedOut { .. }
            | Self::Slow { .. }
            | Self::Unreachable { .. }
            | Self::Answer { .. } => true,
            Self::Unauthorized(_) | Self::Credentials(_) => false,
        }
    }

    /// Whether it does not know us.
    #[must_use]
    pub fn is_of_credentials(&self) -> bool {
        matches!(self, Self::Unauthorized(_) | Self::Credentials(_))
    }

    /// Whether the server has answered, and said no; else nobody knows what it did.
    #[must_use]
    pub fn is_answer(&self) -> bool {
        matches!(self, Self::Status(_) | Self::Unauthorized(_))
    }

    /// Whether others manage what we want otherwise.
    #[must_use]
    pub fn is_conflict(&self) -> bool {
        matches!(self, Self::Status(status) if status.is_conflict())
    }

    /// Whether a right is missing.
    #[must_use]
    pub fn is_forbidden(&self) -> bool {
        matches!(self, Self::Status(status) if status.is_forbidden())
    }

    /// Whether the object is not there.
    #[must_use]
    pub fn is_not_found(&self) -> bool {
        matches!(self, Self::Status(status) if status.is_not_found())
    }
}

/// An error, its cause, the cause of that, and so on.
fn chain<'a>(
    error: &'a (dyn StdError + 'static),
) -> impl Iterator<Item = &'a (dyn StdError + 'static)> {
    std::iter::successors(Some(error), |&error| error.source())
}

/// The first of them that is of a type.
fn find<'a, T: StdError + 'static>(error: &'a (dyn StdError + 'static)) -> Option<&'a T> {
    chain(error).find_map(|error| error.downcast_ref())
}

/// What is at the bottom of an error: the layers above it only say that they failed.
fn root(error: &(dyn StdError + 'static)) -> String {
    chain(error)
        .last()
        .map(ToString::to_string)
        .unwrap_or_default()
}

/// Whether one of them says just this.
fn find_said(error: &(dyn StdError + 'static), words: &str) -> bool {
    chain(error).any(|error| error.to_string() == words)
}

/// Of a name that has no address, why.
fn unresolved(reason: &str) -> String {
    let reason = reason.rsplit(": ").next().unwrap_or(reason);
    format!("the name does not resolve ({reason})")
}

/// TLS's reasons, with what to do.
fn tls_reason(reason: &str) -> String {
    let hint = if reason.contains("UnsupportedCertVersion") {
        " (an X.509 v1 certificate: have a v3 one issued)"
    } else if reason.contains("UnknownIssuer") {
        " (check certificate-authority in the kubeconfig)"
    } else if reason.contains("expired") || reason.contains("Expired") {
        " (a certificate has expired; check the clock too)"
    } else {
        ""
    };
    format!("{reason}{hint}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(reason: &str, code: u16, message: &str) -> String {
        let status = Status::failure(message, reason).with_code(code);
        Error::new("h:1", kube::Error::Api(status.boxed())).to_string()
    }

    #[test]
    fn the_server_is_quoted_as_kubectl_does() {
        assert_eq!(
            status("NotFound", 404, "pods \"x\" not found"),
            "Error from server (NotFound): pods \"x\" not found"
        );
        assert_eq!(
            status("Unauthorized", 401, "Unauthorized"),
            "error: You must be logged in to the server (Unauthorized)"
        );
        assert_eq!(status("", 500, "oops"), "Error from server: oops");
        assert_eq!(
            status("Failed to parse error data", 502, "<html>"),
            "Error from server: HTTP status 502"
        );
    }

    #[test]
    fn a_denial_is_no_outage() {
        let of = |code, reason: &str| {
            Error::from_status(Status::failure("", reason).with_code(code)).is_outage()
        };
        for (code, reason) in [
            (401, "Unauthorized"),
            (403, "Forbidden"),
            (404, "NotFound"),
            (429, "TooManyRequests"),
        ] {
            assert!(!of(code, reason), "{code}");
        }
        assert!(of(500, "InternalError") && of(504, "Timeout") && of(503, ""));
        assert!(Error::Refused("h:1".into()).is_outage());
        assert!(!Error::Credentials("expired".into()).is_outage());
    }

    #[test]
    fn a_refused_connection_names_the_host() {
        let refused = io::Error::from(io::ErrorKind::ConnectionRefused);
        let error = Error::new("h:1", kube::Error::Service(Box::new(refused)));
        assert!(
            error
                .to_string()
                .starts_with("The connection to the server h:1 was refused")
        );
    }

    #[test]
    fn a_proxy_is_named_as_what_fails() {
        let host = || "h:1".to_owned();
        let told = |error: Error| error.by_way_of("p:3128").to_string();
        assert_eq!(
            told(Error::Refused(host())),
            "Unable to connect to the server: h:1: the proxy p:3128 refuses connections"
        );
        let limit = Duration::from_secs(5);
        let late = told(Error::TimedOut {
            host: host(),
            limit,
        });
        let words = "h:1, by way of the proxy p:3128, did not answer within 5s (--request-timeout)";
        assert!(late.ends_with(words), "{late}");
        let reason = "unsuccessful".to_owned();
        let no = told(Error::Unreachable {
            host: host(),
            reason,
        });
        assert!(
            no.ends_with("the proxy p:3128 does not let us through"),
            "{no}"
        );
    }
}
