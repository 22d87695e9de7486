//! Which agent was on which node: who knows it saves a question to the API server. The server still
//! has the last word, for an agent that is gone cannot be entered.

use std::path::PathBuf;

use serde::Serialize;

use super::line::Line;
use super::{Cache, Error, file};
use crate::agent::Agent;

/// The agents of a cluster, in a file of their own: each run reads it.
#[derive(Debug, Default, Serialize)]
#[serde(transparent)]
pub struct Agents(Vec<Agent>);

impl Agents {
    /// All, each node's last one.
    #[must_use]
    pub fn all(&self) -> &[Agent] {
        &self.0
    }

    fn of(lines: Vec<Line>) -> Self {
        let mut agents: Vec<Agent> = Vec::new();
        for line in lines {
            let Line::Agent(agent) = line else { continue };
            let is_same = |a: &Agent| (&a.node, &a.namespace) == (&agent.node, &agent.namespace);
            agents.retain(|known| !is_same(known));
            agents.push(agent);
        }
        Self(agents)
    }

    fn into_lines(self) -> Vec<Line> {
        self.0.into_iter().map(Line::Agent).collect()
    }
}

impl Cache {
    /// The agents that were seen.
    ///
    /// # Errors
    /// When somebody else could have written of them, or it cannot be read.
    pub fn agents(&self) -> Result<Agents, Error> {
        Ok(Agents::of(file::read(&self.agents_file())?))
    }

    /// The agent that a node had.
    #[must_use]
    pub fn agent(&self, namespace: &str, node: &str) -> Option<Agent> {
        let lines = file::read(&self.agents_file()).ok()?;
        let agents = lines.into_iter().rev().filter_map(|line| match line {
            Line::Agent(agent) => Some(agent),
            _ => None,
        });
        agents
            .into_iter()
            .find(|agent| agent.node == node && agent.namespace == namespace)
    }

    /// Adds a node's agent, in the place of the one before.
    ///
    /// # Errors
    /// When there is no place of our own to write it to.
    pub fn add_agent(&self, agent: Agent) -> Result<(), Error> {
        let path = self.agents_file();
        if file::append(&path, &self.identity, &[Line::Agent(agent)])? {
            file::replace(&path, &self.identity, &self.agents()?.into_lines())?;
        }
        Ok(())
    }

    pub(super) fn agents_file(&self) -> PathBuf {
        let name = self.file.file_stem().unwrap_or_default().to_string_lossy();
        self.file.with_file_name(format!("{name}-agents.jsonl"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn agent(node: &str, pod: &str) -> Agent {
        Agent {
            namespace: "kpexec".into(),
            pod: pod.into(),
            node: node.into(),
        }
    }

    #[test]
    fn the_last_agent_of_a_node_counts() {
        let home = tempfile::tempdir().unwrap();
        let cache = Cache::in_file(home.path().join("clusters/1.jsonl"));
        assert_eq!(cache.agent("kpexec", "a"), None);
        for (node, pod) in [("a", "1"), ("b", "2"), ("a", "3")] {
            cache.add_agent(agent(node, pod)).unwrap();
        }
        assert_eq!(cache.agent("kpexec", "a"), Some(agent("a", "3")));
        assert_eq!(cache.agent("other", "a"), None);
        assert_eq!(
            cache.agents().unwrap().all(),
            [agent("b", "2"), agent("a", "3")]
        );
        cache.clear().unwrap();
        assert_eq!(cache.agent("kpexec", "a"), None);
    }
}
