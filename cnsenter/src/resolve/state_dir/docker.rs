//! Docker's own record of its containers, for the names that the bundle does not hold.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::super::known::DOCKER_CONTAINERS;
use super::super::trust::Dir;
use super::super::{Container, Context, Runtime, Source, State, labels};
use crate::request::{Query, RuntimeChoice};

/// The most that is read from config.v2.json, in bytes.
const LIMIT: u64 = 4 << 20;

/// What config.v2.json says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Config {
    /// Full ID.
    pub id: String,
    /// Name, without the leading slash.
    pub name: String,
    /// The image, as the user spelled it.
    pub image: String,
    /// Labels; an image may set them too.
    pub labels: BTreeMap<String, String>,
    /// Whether a process of it runs.
    pub running: bool,
    /// Exit code of the last run.
    pub exit_code: i32,
    /// When the last run ended, in seconds since the epoch; None if it has not.
    pub finished: Option<i64>,
}

impl Config {
    fn end(&self) -> State {
        State::Exited {
            code: Some(self.exit_code),
            at: self.finished,
        }
    }

    fn fill(self, container: &mut Container) {
        // An image may have the labels of a pod; only kubelet names containers like this.
        if self.name.starts_with("k8s_") {
            labels::of_kubelet(&self.labels).fill(container);
        }
        container.name = Some(self.name);
        container.image = Some(self.image).filter(|i| !i.is_empty());
    }
}

/// Reads a config.v2.json.
///
/// # Errors
/// When it is not JSON of that form.
pub fn parse_config(json: &[u8]) -> serde_json::Result<Config> {
    #[derive(Default, Deserialize)]
    #[serde(default, rename_all = "PascalCase")]
    struct Raw {
        #[serde(rename = "ID")]
        id: String,
        name: String,
        config: RawConfig,
        state: RawState,
    }
    #[derive(Default, Deserialize)]
    #[serde(default, rename_all = "PascalCase")]
    struct RawConfig {
        image: String,
        labels: Option<BTreeMap<String, String>>,
    }
    #[derive(Default, Deserialize)]
    #[serde(default, rename_all = "PascalCase")]
    struct RawState {
        running: bool,
        exit_code: i32,
        finished_at: String,
    }
    let raw: Raw = serde_json::from_slice(json)?;
    Ok(Config {
        id: raw.id,
        name: raw.name.trim_start_matches('/').to_owned(),
        image: raw.config.image,
        labels: raw.config.labels.unwrap_or_default(),
        running: raw.state.running,
        exit_code: raw.state.exit_code,
        finished: super::super::seconds(&raw.state.finished_at),
    })
}

fn read(dir: &Dir, id: &str) -> Option<Config> {
    let file = dir.dir(id).ok()?.read("config.v2.json", LIMIT).ok()?;
    parse_config(&file.bytes).ok().filter(|c| c.id == id)
}

fn open(ctx: &Context<'_>) -> Option<Dir> {
    match ctx.lookup.runtime {
        RuntimeChoice::Auto | RuntimeChoice::None | RuntimeChoice::Docker => {
            ctx.root.dir(DOCKER_CONTAINERS.as_ref(), 0).ok()
        }
        RuntimeChoice::Containerd | RuntimeChoice::Cri => None,
    }
}

pub(super) fn ids_of_name(ctx: &Context<'_>, name: &str) -> Vec<String> {
    let Some(dir) = open(ctx) else {
        return Vec::new();
    };
    let ids = dir.names().unwrap_or_default();
    ids.into_iter()
        .filter(|id| read(&dir, id).is_some_and(|c| c.name == name))
        .collect()
}

/// See [`super::Stores::recorded`]; all of them for an empty `word`.
pub(super) fn recorded(ctx: &Context<'_>, word: &str) -> Vec<Container> {
    let Some(dir) = open(ctx) else {
        return Vec::new();
    };
    let prefix = word.is_empty() || word.len() >= Query::MIN_PREFIX;
    let meant = |c: &Config| prefix && c.id.starts_with(word) || c.name == word;
    let container = |config: Config| {
        let mut container = Container::new(&config.id, Runtime::Docker);
        container.source = Source::StateDir(DOCKER_CONTAINERS.into());
        container.state = match config.finished {
            Some(_) => config.end(),
            None => State::Created(None),
        };
        config.fill(&mut container);
        container
    };
    let ids = dir.names().unwrap_or_default();
    ids.iter()
        .filter_map(|id| read(&dir, id))
        .filter(|c| !c.running && meant(c))
        .map(container)
        .collect()
}

/// Fills in names, images and pods.
pub(super) fn name_all(ctx: &Context<'_>, containers: &mut [Container]) {
    let mut ours = containers
        .iter_mut()
        .filter(|c| c.runtime == Runtime::Docker)
        .peekable();
    if ours.peek().is_none() {
        return;
    }
    let Some(dir) = open(ctx) else { return };
    for container in ours {
        let Some(config) = read(&dir, &container.id) else {
            continue;
        };
        if let State::Exited { code: None, .. } = container.state
            && !config.running
        {
            container.state = config.end();
        }
        config.fill(container);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_dockers_record() {
        let config = parse_config(
            br#"{"ID":"0abc","Name":"/db","Config":{"Image":"pg:1","Labels":null},
                "State":{"Running":false,"ExitCode":3,"FinishedAt":"1970-01-01T00:01:00.5Z"}}"#,
        )
        .unwrap();
        assert_eq!(config.name, "db");
        assert_eq!((config.exit_code, config.finished), (3, Some(60)));
        let never = parse_config(br#"{"State":{"FinishedAt":"0001-01-01T00:00:00Z"}}"#).unwrap();
        assert_eq!(never.finished, None);
    }
}
