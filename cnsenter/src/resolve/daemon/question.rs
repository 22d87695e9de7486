//! What daemons are asked.

use super::super::Container;
use crate::request::Query;

/// A question that every daemon is asked in its own words.
pub(in crate::resolve) enum Question {
    /// Which containers have this ID, an ID that begins like this, or this name?
    Word(String),
    /// Which containers does this pod have?
    Pod { namespace: String, pod: String },
    /// What is there? `known` containers run, and their state need not be asked for.
    All { known: Vec<String> },
}

impl Question {
    pub(in crate::resolve) fn of(query: &Query) -> Option<Self> {
        match query {
            Query::Pid(_) => None,
            Query::Id { id, .. } | Query::Word(id) => Some(Self::Word(id.clone())),
            Query::Pod { namespace, pod, .. } => Some(Self::Pod {
                namespace: namespace.clone(),
                pod: pod.clone(),
            }),
        }
    }

    /// Whether a daemon's container may be meant.
    pub(in crate::resolve) fn means(&self, container: &Container) -> bool {
        match self {
            Self::All { .. } => true,
            Self::Pod { namespace, pod } => container
                .pod
                .as_ref()
                .is_some_and(|p| p.namespace == *namespace && p.name == *pod),
            Self::Word(word) => {
                let in_pod = container.pod.as_ref().and_then(|p| p.container.as_ref());
                let prefix = word.len() >= Query::MIN_PREFIX;
                container.id == *word
                    || prefix && container.id.starts_with(word.as_str())
                    || container.name.as_ref() == Some(word)
                    || in_pod == Some(word)
            }
        }
    }

    /// Whether a container's state has to be asked for.
    pub(in crate::resolve) fn wants_state(&self, id: &str) -> bool {
        match self {
            Self::All { known } => !known.iter().any(|k| k == id),
            _ => true,
        }
    }
}
