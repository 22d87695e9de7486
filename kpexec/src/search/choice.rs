//! Which container of a pod is meant, when the API server does not say.

use super::listed::{Container, Pod};
use super::{Error, Wanted};
use crate::cache::Pod as Remembered;
use crate::report::Report;
use crate::transport::ssh::Host;

/// As kubectl chooses. Which one is first in its pod's spec no node knows: containers that begin again
/// are younger, and a sidecar among the init containers is older and looks like any other. So that is
/// remembered, or asked of the user.
///
/// # Errors
/// When the one that is meant does not run, or nobody knows which one that is.
pub(super) fn container(
    wanted: &Wanted<'_>,
    pod: &Pod,
    remembered: Option<&Remembered>,
    host: &Host,
    report: &Report,
) -> Result<Container, Error> {
    let named = |name: &str| pod.containers.iter().find(|c| c.name == name).cloned();
    let all = || {
        let names: Vec<_> = pod.containers.iter().map(|c| c.name.as_str()).collect();
        names.join(", ")
    };
    if let Some(name) = wanted.container.filter(|name| !name.is_empty()) {
        return named(name).ok_or_else(|| Error::NoContainer {
            container: name.to_owned(),
            pod: pod.name.clone(),
            node: host.name.clone(),
            all: all(),
        });
    }
    // Another one in its place would be somebody else's.
    let default = |name: &str| {
        named(name).ok_or_else(|| Error::NotRunning {
            container: name.to_owned(),
            pod: pod.name.clone(),
            node: host.name.clone(),
            all: all(),
        })
    };
    // The annotation may have been changed since: what the node says is younger.
    let annotated = pod.default.as_ref();
    if let Some(name) = annotated.or_else(|| remembered.and_then(|pod| pod.default.as_ref())) {
        return default(name);
    }
    if let Some(first) = remembered.and_then(|pod| pod.containers.first()) {
        let container = default(&first.name)?;
        if pod.containers.len() > 1 {
            report.note(&format!(
                "Defaulted container {:?} out of: {}",
                container.name,
                all()
            ));
        }
        return Ok(container);
    }
    match &pod.containers[..] {
        [container] => {
            let name = &container.name;
            let told = format!("Entering container {name:?}, the only one of it that runs");
            report.note(&told);
            Ok(container.clone())
        }
        _ => Err(Error::Which {
            pod: pod.name.clone(),
            all: all(),
        }),
    }
}
