//! What is remembered, put together from all sightings.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;

use super::line::{Line, Node, Pod, now};

/// How many pods are remembered at most; those seen last.
const PODS: usize = 20_000;

/// And nodes.
const NODES: usize = 5_000;

/// What is remembered of a cluster.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize)]
pub struct Memory {
    /// Its pods, by namespace and name.
    pub pods: Vec<Pod>,
    /// Its nodes, by name.
    pub nodes: Vec<Node>,
}

impl Memory {
    /// Of several sightings the last counts, and none that is older than `age`.
    pub(super) fn of(lines: Vec<Line>, age: Duration) -> Self {
        let oldest = now().saturating_sub(age.as_secs());
        let mut pods: BTreeMap<_, Pod> = BTreeMap::new();
        let mut nodes: BTreeMap<_, Node> = BTreeMap::new();
        for line in lines {
            match line {
                Line::Pod(mut pod) if pod.seen >= oldest => {
                    let key = (pod.namespace.clone(), pod.name.clone());
                    // Who looks at a pod alone does not see what else leads to it.
                    if let Some(before) = pods.remove(&key).filter(|p| p.uid == pod.uid) {
                        let new = before.objects.into_iter();
                        let new: Vec<_> = new.filter(|o| !pod.objects.contains(o)).collect();
                        pod.objects.extend(new);
                    }
                    pods.insert(key, pod);
                }
                Line::Node(mut node) if node.seen >= oldest => {
                    let before = nodes.remove(&node.name);
                    // One of its addresses is all that a pod tells.
                    for address in before.into_iter().flat_map(|before| before.addresses) {
                        if !node.addresses.iter().any(|a| a.kind == address.kind) {
                            node.addresses.push(address);
                        }
                    }
                    nodes.insert(node.name.clone(), node);
                }
                _ => {}
            }
        }
        Self {
            pods: last(pods.into_values().collect(), PODS, |pod| pod.seen),
            nodes: last(nodes.into_values().collect(), NODES, |node| node.seen),
        }
    }

    pub(super) fn into_lines(self) -> Vec<Line> {
        let pods = self.pods.into_iter().map(Line::Pod);
        pods.chain(self.nodes.into_iter().map(Line::Node)).collect()
    }

    /// The pod of this name.
    #[must_use]
    pub fn pod(&self, namespace: &str, name: &str) -> Option<&Pod> {
        let mut pods = self.pods.iter();
        pods.find(|pod| pod.namespace == namespace && pod.name == name)
    }

    /// The pods that belong to TYPE/NAME, or that it has led to; those seen last first.
    #[must_use]
    pub fn pods_of(&self, namespace: &str, object: &str) -> Vec<&Pod> {
        let in_it = self.pods.iter().filter(|pod| pod.namespace == namespace);
        let mut pods: Vec<_> = in_it
            .filter(|pod| pod.objects.iter().any(|known| known == object))
            .collect();
        pods.sort_by_key(|pod| std::cmp::Reverse(pod.seen));
        pods
    }

    /// The node of this name.
    #[must_use]
    pub fn node(&self, name: &str) -> Option<&Node> {
        self.nodes.iter().find(|node| node.name == name)
    }
}

/// As many as are kept, in the order that they had.
fn last<T>(mut all: Vec<T>, limit: usize, seen: impl Fn(&T) -> u64) -> Vec<T> {
    if all.len() > limit {
        let mut times: Vec<_> = all.iter().map(&seen).collect();
        times.sort_unstable();
        let oldest = times[times.len() - limit];
        all.retain(|one| seen(one) >= oldest);
        all.truncate(limit);
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cache::Address;

    const AGE: Duration = Duration::from_secs(100);

    fn pod(name: &str, uid: &str, objects: &[&str], seen: u64) -> Line {
        Line::Pod(Pod {
            namespace: "shop".into(),
            name: name.into(),
            uid: uid.into(),
            node: "n".into(),
            containers: Vec::new(),
            default: None,
            objects: objects.iter().map(|&object| object.to_owned()).collect(),
            seen,
        })
    }

    #[test]
    fn the_last_sighting_counts_and_no_old_one() {
        let now = now();
        let lines = vec![
            pod("web", "1", &["service/web"], now - 9),
            pod("web", "1", &["deployment/web"], now - 5),
            pod("gone", "1", &[], now - 101),
            pod("db-0", "1", &["statefulset/db", "service/db"], now - 3),
            pod("db-0", "2", &["statefulset/db"], now - 2),
        ];
        let memory = Memory::of(lines, AGE);
        assert_eq!(memory.pods.len(), 2);
        let web = memory.pod("shop", "web").unwrap();
        assert_eq!((web.seen, web.objects.len()), (now - 5, 2));
        // Another pod of the same name belongs only to what it was seen to belong to.
        assert_eq!(memory.pod("shop", "db-0").unwrap().uid, "2");
        assert!(memory.pods_of("shop", "service/db").is_empty());
        assert_eq!(memory.pods_of("shop", "service/web").len(), 1);
        assert!(memory.pods_of("other", "service/web").is_empty());
        assert_eq!(Memory::of(memory.clone().into_lines(), AGE), memory);
    }

    #[test]
    fn a_nodes_addresses_come_together() {
        let node = |kind: &str, address: &str| {
            Line::Node(Node {
                name: "n".into(),
                addresses: vec![Address {
                    kind: kind.into(),
                    address: address.into(),
                }],
                seen: now(),
            })
        };
        let lines = vec![
            node("InternalIP", "old"),
            node("Hostname", "h"),
            node("InternalIP", "new"),
        ];
        let memory = Memory::of(lines, AGE);
        let addresses = &memory.node("n").unwrap().addresses;
        let addresses: Vec<_> = addresses.iter().map(|a| a.address.as_str()).collect();
        assert_eq!(addresses, ["new", "h"]);
    }

    #[test]
    fn the_newest_are_kept_of_too_many() {
        assert_eq!(last(vec![5, 1, 4, 3], 2, |n| *n), [5, 4]);
        assert_eq!(last(vec![1, 1, 1], 2, |n| *n), [1, 1]);
        assert_eq!(last(vec![1, 2], 2, |n| *n), [1, 2]);
    }
}
