//! Which container is meant.

use serde::{Deserialize, Serialize};

use super::Error;
use crate::escape::{escaped, escaped_start};

/// A target as the admin spelled it (cli.md, "TARGET").
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Query {
    /// `pid:N`: a process, whatever made its namespaces.
    Pid(i32),
    /// `containerd://ID` and its like, as a pod's status spells it: a full ID or unique prefix.
    Id {
        /// Whose container.
        scheme: Scheme,
        /// Full ID, or a prefix of at least [`Query::MIN_PREFIX`] characters.
        id: String,
    },
    /// `NS/POD[/CONTAINER]`.
    Pod {
        /// Kubernetes namespace.
        namespace: String,
        /// Pod name.
        pod: String,
        /// Container name; None where the pod has only one.
        container: Option<String>,
    },
    /// A bare word: full ID, unique prefix of one, or a runtime's name for a container.
    Word(String),
}

/// The scheme of a container ID in a pod's status.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Scheme {
    /// `containerd://`
    Containerd,
    /// `cri-o://`
    CriO,
    /// `docker://`
    Docker,
    /// `podman://`, for symmetry.
    Podman,
}

impl Query {
    /// The shortest prefix of an ID that is taken.
    pub const MIN_PREFIX: usize = 3;

    /// Reads a TARGET.
    ///
    /// # Errors
    /// When it has no form that cli.md knows.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let shown = || escaped_start(text);
        if text.is_empty() {
            return Err(Error::EmptyTarget);
        }
        if let Some(pid) = text.strip_prefix("pid:") {
            return match pid.parse() {
                Ok(pid) if pid > 0 => Ok(Self::Pid(pid)),
                _ => Err(Error::BadPid(shown())),
            };
        }
        if let Some((scheme, id)) = text.split_once("://") {
            let scheme = match scheme {
                "containerd" => Scheme::Containerd,
                "cri-o" => Scheme::CriO,
                "docker" => Scheme::Docker,
                "podman" => Scheme::Podman,
                other => return Err(Error::BadScheme(escaped_start(other))),
            };
            let id = Self::id(id).ok_or_else(|| Error::BadId(shown()))?;
            return Ok(Self::Id { scheme, id });
        }
        if text.contains('/') {
            let mut parts = text.split('/').map(str::to_owned);
            return match (parts.next(), parts.next(), parts.next(), parts.next()) {
                (Some(namespace), Some(pod), container, None)
                    if [&namespace, &pod]
                        .into_iter()
                        .chain(&container)
                        .all(|name| is_name(name)) =>
                {
                    Ok(Self::Pod {
                        namespace,
                        pod,
                        container,
                    })
                }
                _ => Err(Error::BadPod(shown())),
            };
        }
        Self::id(text)
            .map(Self::Word)
            .ok_or_else(|| Error::BadId(shown()))
    }

    /// IDs and names end in paths of state directories: nothing that could leave one is let through
    /// (containerd's identifiers.Validate and Docker's RestrictedNameChars).
    fn id(text: &str) -> Option<String> {
        let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-');
        (!text.is_empty() && text.len() <= 255 && text.bytes().all(plain) && !text.starts_with('.'))
            .then(|| text.to_owned())
    }
}

/// Whether Kubernetes may call something so, as far as the length goes (RFC 1123 subdomains).
fn is_name(text: &str) -> bool {
    (1..=253).contains(&text.len())
}

/// Reads `NS/POD`.
///
/// # Errors
/// [`Error::BadPod`].
pub fn parse_pod(text: &str) -> Result<(String, String), Error> {
    match Query::parse(text) {
        Ok(Query::Pod {
            namespace,
            pod,
            container: None,
        }) => Ok((namespace, pod)),
        _ => Err(Error::BadPod(escaped_start(text))),
    }
}

impl std::fmt::Display for Query {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Pid(pid) => write!(f, "pid:{pid}"),
            Self::Id { scheme, id } => write!(f, "{}://{}", scheme.name(), escaped(id)),
            Self::Pod {
                namespace,
                pod,
                container,
            } => {
                write!(f, "{}/{}", escaped(namespace), escaped(pod))?;
                container
                    .as_ref()
                    .map_or(Ok(()), |c| write!(f, "/{}", escaped(c)))
            }
            Self::Word(word) => write!(f, "{}", escaped(word)),
        }
    }
}

impl Scheme {
    /// As a pod's status spells it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Containerd => "containerd",
            Self::CriO => "cri-o",
            Self::Docker => "docker",
            Self::Podman => "podman",
        }
    }
}
