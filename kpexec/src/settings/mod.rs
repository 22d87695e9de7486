//! What holds for every run: the configuration file, and the environment above it.
//!
//! A setting is a flag whose default somebody has changed: it has the flag's name, is checked as the
//! flag's value is, and the flag on a command line still wins. `config.toml` has lines such as
//! `agent-namespace = "tools"`; the environment has `KPEXEC_AGENT_NAMESPACE`, which counts more.

mod apply;
mod cli;
mod error;
mod file;
mod folders;
mod show;

use std::ffi::OsString;
use std::path::{Path, PathBuf};

pub use cli::{ConfigArgs, ShowArgs};
pub use error::Error;
pub use folders::Folders;
pub use show::show;

/// What the names of all variables begin with.
const PREFIX: &str = "KPEXEC_";

/// How much two words have in common if one is taken for the other, between 0 and 1.
const ALIKE: f64 = 0.7;

/// Names the file that is read in the place of the usual one.
const FILE: &str = "KPEXEC_CONFIG";

/// Something that can be set.
#[derive(Debug, PartialEq, Eq)]
pub struct Key {
    /// Its name, which is the flag's.
    pub name: &'static str,
    /// What holds if nobody says anything and the flag itself does not tell.
    pub otherwise: &'static str,
}

const fn key(name: &'static str, otherwise: &'static str) -> Key {
    Key { name, otherwise }
}

/// All that can be set: flags of running a command.
pub const KEYS: [Key; 18] = [
    key("agent-namespace", ""),
    key("cache-age", ""),
    key("image", "the one of this version"),
    key("image-pull-secret", ""),
    key("lease", "60s"),
    key("node-address-type", ""),
    key("pod-running-timeout", ""),
    key("push", ""),
    key("request-timeout", "5s"),
    key("ssh-command", ""),
    key("ssh-config", "as ssh has it"),
    key("ssh-host", ""),
    key("ssh-identity", "as ssh has it"),
    key("ssh-jump", "as ssh has it"),
    key("ssh-port", "as ssh has it"),
    key("ssh-sudo", ""),
    key("ssh-user", "as ssh has it"),
    key("transport", ""),
];

impl Key {
    fn named(name: &str) -> Option<&'static Self> {
        KEYS.iter().find(|key| key.name == name)
    }

    /// The one whose name is most like this.
    fn nearest(name: &str) -> Option<&'static Self> {
        // The flag --ssh is of one run; what holds for all of them has another name.
        if name == "ssh" {
            return Self::named("transport");
        }
        let likeness = |key: &Self| strsim::jaro_winkler(name, key.name);
        let all = KEYS.iter().map(|key| (likeness(key), key));
        let (likeness, nearest) = all.max_by(|one, other| one.0.total_cmp(&other.0))?;
        (likeness > ALIKE).then_some(nearest)
    }

    /// Its variable in the environment.
    #[must_use]
    pub fn variable(&self) -> String {
        format!("{PREFIX}{}", self.name.replace('-', "_").to_uppercase())
    }
}

/// Who has said what holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// This file, in this line.
    File(PathBuf, usize),
    /// The environment.
    Environment,
    /// The command line.
    Flag,
    /// Nobody.
    Default,
}

/// What somebody has said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Value {
    /// Of what.
    pub key: &'static Key,
    /// The flag's values.
    pub words: Vec<String>,
    /// Who.
    pub origin: Origin,
}

/// What holds for every run.
#[derive(Debug, Default)]
pub struct Settings {
    /// The file, whether it is there or not; none where nobody has a home directory.
    pub file: Option<PathBuf>,
    values: Vec<Value>,
    /// Variables that look like a setting's.
    strange: Vec<String>,
}

impl Settings {
    /// Reads the file and the environment.
    ///
    /// # Errors
    /// When one of them cannot be read, or says what nobody knows.
    pub fn load(environment: &[(OsString, OsString)]) -> Result<Self, Error> {
        let variable = |name: &str| {
            let found = environment.iter().find(|(key, _)| key == name);
            found
                .map(|(_, value)| value)
                .filter(|value| !value.is_empty())
        };
        let file = match variable(FILE) {
            Some(path) => Some(PathBuf::from(path)),
            None => Folders::of_user().map(|folders| folders.config.join("config.toml")),
        };
        let mut values = match &file {
            Some(path) => file::read(path, variable(FILE).is_some())?,
            None => Vec::new(),
        };
        for key in &KEYS {
            let name = key.variable();
            let Some(value) = variable(&name) else {
                continue;
            };
            let word = value.to_str().ok_or(Error::NotText(name))?.to_owned();
            values.retain(|value| value.key != key);
            values.push(Value {
                key,
                words: vec![word],
                origin: Origin::Environment,
            });
        }
        let names = environment.iter().filter_map(|(name, _)| name.to_str());
        let strange = names.filter(|name| name.starts_with(PREFIX) && !is_ours(name));
        Ok(Self {
            file,
            values,
            strange: strange.map(str::to_owned).collect(),
        })
    }

    /// Whether nothing is said.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// What is said of a setting outside of the command line.
    #[must_use]
    pub fn value(&self, key: &Key) -> Option<&Value> {
        self.values.iter().find(|value| value.key == key)
    }
}

impl Value {
    /// Where it is said, for messages.
    fn place(&self) -> String {
        match &self.origin {
            Origin::File(path, line) => format!("{}: {}", at(path, *line), self.key.name),
            _ => self.key.variable(),
        }
    }
}

/// Whether a variable means something to us.
fn is_ours(variable: &str) -> bool {
    variable == FILE || KEYS.iter().any(|key| key.variable() == variable)
}

/// A line of a file, as compilers name it.
fn at(path: &Path, line: usize) -> String {
    format!("{}:{line}", path.display())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn variables(all: &[(&str, &str)]) -> Vec<(OsString, OsString)> {
        let pairs = all.iter();
        pairs
            .map(|(key, value)| (key.into(), value.into()))
            .collect()
    }

    #[test]
    fn the_environment_counts_more_than_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("config.toml");
        std::fs::write(&file, "lease = \"5m\"\nimage = \"r/np\"\n").unwrap();
        let path = file.to_str().unwrap();
        let environment = [(FILE, path), ("KPEXEC_LEASE", "9s"), ("KPEXEC_CACHE", "/x")];
        let settings = Settings::load(&variables(&environment)).unwrap();
        let said = |name| {
            let value = settings.value(Key::named(name).unwrap()).unwrap();
            (value.words.join(" "), value.origin.clone())
        };
        assert_eq!(said("lease"), ("9s".into(), Origin::Environment));
        assert_eq!(
            said("image"),
            ("r/np".into(), Origin::File(file.clone(), 2))
        );
        assert_eq!(settings.value(&KEYS[0]), None);
        let empty = [(FILE, path), ("KPEXEC_LEASE", "")];
        let settings = Settings::load(&variables(&empty)).unwrap();
        let lease = settings.value(Key::named("lease").unwrap()).unwrap();
        assert_eq!(lease.words, ["5m"]);
    }
}
