//! Which namespaces are joined.

use super::Facts;
use crate::hostproc::NsId;
use crate::request::{Namespace, Request};

/// A process's namespaces; None for a kind that this kernel lacks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct NamespaceIds([Option<NsId>; Namespace::ALL.len()]);

impl NamespaceIds {
    /// Asks `read` for each kind.
    ///
    /// # Errors
    /// The first that `read` returns.
    pub fn read<E>(mut read: impl FnMut(Namespace) -> Result<Option<NsId>, E>) -> Result<Self, E> {
        let mut ids = Self::default();
        for (slot, ns) in ids.0.iter_mut().zip(Namespace::ALL) {
            *slot = read(ns)?;
        }
        Ok(ids)
    }

    /// The namespace of this kind.
    #[must_use]
    pub fn get(&self, ns: Namespace) -> Option<NsId> {
        Namespace::ALL
            .iter()
            .position(|n| *n == ns)
            .and_then(|i| self.0[i])
    }
}

/// Those that were chosen and differ from ours: joining one's own user namespace is an error, and
/// joining another of one's own useless (setns(2)).
pub(super) fn to_join(request: &Request, facts: &Facts) -> Vec<(Namespace, NsId)> {
    request
        .namespaces
        .iter()
        .filter_map(|ns| {
            let target = facts.target.get(*ns)?;
            (facts.own.get(*ns) != Some(target)).then_some((*ns, target))
        })
        .collect()
}

/// Where the target's namespace is not wanted the node's is meant, and not our own pod's.
pub(super) fn to_join_of_node(request: &Request, facts: &Facts) -> Vec<(Namespace, NsId)> {
    let unwanted = |ns: &Namespace| !request.namespaces.contains(ns);
    let of_node = |ns| {
        let node = facts.node.as_ref()?.get(ns)?;
        (facts.own.get(ns) != Some(node)).then_some((ns, node))
    };
    let all = Namespace::ALL.into_iter().filter(unwanted);
    all.filter_map(of_node).collect()
}
