//! Which containers a query means, which of two sources speak of the same one, and how one of
//! several is told from the others.

use std::fmt::Write;

use super::state_dir::is_full_id;
use super::{Container, State};
use crate::escape::escaped;
use crate::request::Query;

/// What only `other`, a later source, knows of a container.
pub(super) fn fill(container: &mut Container, other: Container) {
    let ended = !is_live(&other) && !matches!(other.state, State::Unknown);
    container.name = container.name.take().or(other.name);
    container.pod = container.pod.take().or(other.pod);
    container.pod_default = container.pod_default.take().or(other.pod_default);
    container.image = container.image.take().or(other.image);
    container.created = container.created.or(other.created);
    container.handler = container.handler.take().or(other.handler);
    container.sandbox |= other.sandbox;
    if ended
        && matches!(
            container.state,
            State::Unknown | State::Exited { code: None, .. }
        )
    {
        container.state = other.state;
    }
}

pub(super) fn is_live(c: &Container) -> bool {
    matches!(c.state, State::Running(_) | State::Paused(_))
}

/// The same container, from two sources.
pub(super) fn same(a: &Container, b: &Container) -> bool {
    a.id == b.id && (is_full_id(&a.id) || a.state.pid() == b.state.pid())
}

pub(super) fn exact_id(query: &Query) -> Option<&str> {
    match query {
        Query::Word(id) | Query::Id { id, .. } => Some(id),
        Query::Pid(_) | Query::Pod { .. } => None,
    }
}

pub(super) fn is_named(c: &Container, word: &str) -> bool {
    let in_pod = c.pod.as_ref().and_then(|p| p.container.as_deref());
    c.name.as_deref() == Some(word) || in_pod == Some(word)
}

pub(super) fn is_of_pod(
    c: &Container,
    namespace: &str,
    pod: &str,
    container: Option<&str>,
) -> bool {
    !c.sandbox
        && c.pod.as_ref().is_some_and(|p| {
            p.namespace == namespace
                && p.name == pod
                && container.is_none_or(|name| p.container.as_deref() == Some(name))
        })
}

/// How one of several candidates can be written, escaped.
pub(super) fn candidate(c: &Container, several: &[&Container], of_pod: bool) -> String {
    let name = c.display_name();
    let unique = |n: &String| {
        several
            .iter()
            .filter(|o| o.display_name().as_ref() == Some(n))
            .count()
            == 1
    };
    if of_pod && let Some(name) = name.as_ref().filter(|n| unique(n)) {
        return escaped(name).to_string();
    }
    let short = c.id.get(..13).filter(|s| {
        is_full_id(&c.id) && several.iter().filter(|o| o.id.starts_with(s)).count() == 1
    });
    let mut text = escaped(short.unwrap_or(&c.id)).to_string();
    if several.iter().filter(|o| o.id == c.id).count() > 1 {
        let namespace = c.runtime_namespace.as_deref().unwrap_or("-");
        let _ = write!(text, " [{} {}]", c.runtime.name(), escaped(namespace));
    }
    if let Some(name) = name {
        let _ = write!(text, " ({})", escaped(&name));
    }
    text
}
