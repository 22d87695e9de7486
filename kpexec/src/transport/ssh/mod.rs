//! The way by SSH: to a node, and to the cnsenter that is installed there.
//!
//! [`settings`] are what the user's own ssh would do, [`client`] does it, [`known_hosts`] and [`auth`]
//! say who is who, [`root`] who runs cnsenter, [`push`] brings it there. [`child`] is the way by a program of the user's choice.

mod args;
mod auth;
mod banner;
mod child;
mod client;
mod config_file;
mod deaf;
mod dial;
mod ended;
mod error;
mod events;
mod greeting;
mod host_key;
mod keys;
mod known_hosts;
mod known_hosts_command;
mod process;
mod prompt;
mod push;
mod root;
mod settings;
mod ways;

use std::path::PathBuf;
use std::time::Duration;

use cnsenter_protocol::request::is_plain;

pub use args::{AddressType, SshArgs, Transport, When};
pub use dial::has_address;
pub use error::Error;
pub use push::{Error as PushError, Push};
pub use root::Sudo;
pub use ways::Ways;

use super::Duplex;
use crate::report::Report;
use crate::trace::Trace;
use client::Client;
use ended::Ended;
use greeting::Until;
use process::Process;
use prompt::Prompt;
use root::Prefix;

/// How nodes are reached: what the command line says on top of the user's ssh_config(5).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Options {
    /// Who to log in as.
    pub user: Option<String>,
    /// The port of the node's sshd.
    pub port: Option<u16>,
    /// Private keys, before those that ssh_config(5) names.
    pub identities: Vec<PathBuf>,
    /// The hosts to go through, as `ssh -J` has them.
    pub jump: Option<String>,
    /// The file to read in place of ~/.ssh/config.
    pub config: Option<PathBuf>,
    /// How cnsenter becomes root there.
    pub sudo: Sudo,
    /// A program that is the transport, in place of our own SSH.
    pub command: Option<String>,
    /// The cnsenter that is sent to a node without one.
    pub push: Push,
    /// How long a session may be silent.
    pub lease: Option<Duration>,
    /// Whether the user may be asked, on a terminal.
    pub may_prompt: bool,
}

impl Options {
    /// Looks after the files that are named, before a node is waited for: a key that is not there is
    /// told of, as ssh does.
    ///
    /// # Errors
    /// When there is nothing to send where `--push` says.
    pub fn check(&self, report: &Report) -> Result<(), Error> {
        for path in self.missing_identities() {
            report.note(&format!("Warning: there is no key {}", path.display()));
        }
        let of_ours = [
            ("--ssh-jump", self.jump.is_some()),
            ("--ssh-identity", !self.identities.is_empty()),
            ("--ssh-config", self.config.is_some()),
        ];
        if let (Some((flag, _)), true) = (
            of_ours.iter().find(|(_, is_given)| *is_given),
            self.command.is_some(),
        ) {
            report.note(&format!(
                "Warning: {flag} is for kpexec's own SSH: --ssh-command is not told of it"
            ));
        }
        match &self.push {
            Push::Path(path) => Ok(push::look_at(path)?),
            Push::Never | Push::Ours => Ok(()),
        }
    }

    /// Those of the identities that are not there.
    fn missing_identities(&self) -> impl Iterator<Item = &PathBuf> {
        // "~" is ssh's to understand.
        let is_missing = |path: &&PathBuf| !path.starts_with("~") && !path.exists();
        self.identities.iter().filter(is_missing)
    }
}

/// The cnsenter of a node's own.
const INSTALLED: &str = "cnsenter";

/// A node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Host {
    /// As the user, or the cluster, calls it: ssh_config(5) may know more by this name.
    pub name: String,
    /// Where it is, unless ssh_config(5) says so.
    pub address: String,
    /// Where else it may be reached, if not there.
    pub others: Vec<String>,
}

impl Host {
    /// A host that is found by its name.
    #[must_use]
    pub fn named(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            address: name.to_owned(),
            others: Vec::new(),
        }
    }
}

/// What came of a short command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ran {
    /// Its output.
    pub stdout: Vec<u8>,
    /// Its words for people.
    pub stderr: String,
    /// Its exit code; None if a signal ended it.
    pub code: Option<u32>,
}

impl Ran {
    /// Why it failed, as far as it says.
    #[must_use]
    pub fn why(&self) -> String {
        match (self.stderr.trim(), self.code) {
            ("", Some(code)) => format!("exit code {code}"),
            ("", None) => "a signal ended it".to_owned(),
            (words, _) => words.to_owned(),
        }
    }
}

/// A node that let us in.
pub struct Connection {
    link: Link,
    prefix: Prefix,
    push: Push,
    prompt: Prompt,
    /// What sudo was told there.
    password: Option<String>,
    /// The node, for messages.
    host: String,
}

enum Link {
    Ssh(Box<Client>),
    Child(child::Template),
}

/// Logs in at a node.
///
/// # Errors
/// When it is not there, not who it was, or does not let us in.
pub async fn connect(host: &Host, options: &Options, report: &Report) -> Result<Connection, Error> {
    connect_by(&Ways::default(), host, options, report).await
}

/// Logs in at one of several nodes, by the ways that the others have.
///
/// # Errors
/// When it is not there, not who it was, or does not let us in.
pub async fn connect_by(
    ways: &Ways,
    host: &Host,
    options: &Options,
    report: &Report,
) -> Result<Connection, Error> {
    check_name(&host.name)?;
    check_name(&host.address)?;
    host.others
        .iter()
        .try_for_each(|address| check_name(address))?;
    options.user.as_deref().map_or(Ok(()), check_user)?;
    let mut prompt = Prompt::new(options.may_prompt, report);
    let (link, user) = match &options.command {
        Some(command) => {
            let template = child::Template::new(command, host, options)?;
            prompt.make_room();
            // Whoever starts a program in a container's place is root there.
            (Link::Child(template), options.user.clone())
        }
        None => {
            let settings = settings::of(ways, host, options).await?;
            prompt = prompt.unless(settings.is_batch);
            let user = Some(settings.user.clone());
            let client = ways::connect(ways, &settings, options, &prompt).await?;
            (Link::Ssh(Box::new(client)), user)
        }
    };
    Ok(Connection {
        link,
        prefix: options.sudo.first(user.as_deref()),
        push: options.push.clone(),
        prompt,
        password: None,
        host: host.name.clone(),
    })
}

impl Connection {
    /// By what the node is reached, for `-v`.
    #[must_use]
    pub fn by(&self) -> String {
        match &self.link {
            Link::Ssh(client) => client.by.clone(),
            Link::Child(template) => template.to_string(),
        }
    }

    /// Starts `cnsenter WORDS...`, a session, and waits for its greeting; of a cnsenter that is sent
    /// there, if there is none of use and that is wanted.
    ///
    /// # Errors
    /// When it does not greet; what is known of the reason.
    pub async fn open(
        mut self,
        words: &[String],
        report: &Report,
        trace: &Trace,
    ) -> Result<Duplex, Error> {
        let installed = self.greet(INSTALLED, words).await;
        let process = match self.push.clone() {
            Push::Never => installed?,
            push => match push::of_use(installed).await? {
                Some(process) => process,
                None => self.greet_pushed(&push, words, report, trace).await?,
            },
        };
        Ok(process.into_duplex(self.by(), self.link))
    }

    /// Runs `cnsenter WORDS...` to its end, and gives its output, which may not be long.
    ///
    /// # Errors
    /// When cnsenter was not started.
    pub async fn run(&mut self, words: &[String]) -> Result<Ran, Error> {
        let mut process = self.start(INSTALLED, words).await?;
        loop {
            let ended = greeting::listen(&mut process, Until::End, &mut self.answerer()).await?;
            let ended = ended.unwrap_or_default();
            if self.prefix.has_started_it(&ended) {
                return Ok(ended.into_ran());
            }
            self.change_prefix(ended)?;
            process = self.start(INSTALLED, words).await?;
        }
    }

    /// Starts this cnsenter as a session, and waits for its greeting.
    async fn greet(&mut self, cnsenter: &str, words: &[String]) -> Result<Process, Error> {
        loop {
            let mut process = self.start(cnsenter, words).await?;
            match greeting::listen(&mut process, Until::Hello, &mut self.answerer()).await? {
                None => return Ok(process),
                Some(ended) => self.change_prefix(ended)?,
            }
        }
    }

    /// Starts this cnsenter as what has worked, or is to be tried first.
    async fn start(&mut self, cnsenter: &str, words: &[String]) -> Result<Process, Error> {
        let mut line = self.prefix.words();
        line.push(cnsenter.to_owned());
        line.extend_from_slice(words);
        self.launch(&line).await
    }

    /// Starts any command, as who has logged in.
    async fn launch(&mut self, line: &[String]) -> Result<Process, Error> {
        if let Some(word) = line.iter().find(|word| !is_plain(word)) {
            return Err(Error::Word(word.clone()));
        }
        match &mut self.link {
            Link::Ssh(client) => client.start(&line.join(" ")).await,
            Link::Child(template) => template.start(line),
        }
    }

    /// Makes root in another way, if there is one after what came of the last.
    fn change_prefix(&mut self, ended: Ended) -> Result<(), Error> {
        match self.prefix.after(&ended, self.prompt.may()) {
            Some(next) => self.prefix = next,
            None => return Err(self.prefix.why(&self.host, ended)),
        }
        Ok(())
    }

    fn answerer(&mut self) -> greeting::Answerer<'_> {
        greeting::Answerer {
            prefix: &self.prefix,
            prompt: &self.prompt,
            host: &self.host,
            password: &mut self.password,
            has_answered: false,
        }
    }
}

/// A name goes to programs as one of their words.
fn check_name(name: &str) -> Result<(), Error> {
    let plain = |c: char| c.is_alphanumeric() || "._-:%@[]".contains(c);
    match !name.is_empty() && !name.starts_with('-') && name.chars().all(plain) {
        true => Ok(()),
        false => Err(Error::Name(name.to_owned())),
    }
}

/// A user goes to programs as a word, or a part of one, and ssh_config(5) may put it into a shell's line.
/// What else there is, such as `DOMAIN\user` and `user+tag`, somebody is called.
fn check_user(name: &str) -> Result<(), Error> {
    let bad = |c: char| c.is_control() || c.is_whitespace() || "'`\";&<>|(){}".contains(c);
    match !name.is_empty() && !name.starts_with('-') && !name.ends_with('\\') && !name.contains(bad)
    {
        true => Ok(()),
        false => Err(Error::User(name.to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_are_no_options_and_no_commands() {
        for name in ["root", "me@example.org", "CORP\\me", "a+b", "svc$", "größe"] {
            assert!(check_user(name).is_ok(), "{name}");
        }
        for name in [
            "",
            "-oProxyCommand=x",
            "-l",
            "a b",
            "a;b",
            "$(id)",
            "`id`",
            "a|b",
            "a\\",
            "a\n",
            "'a'",
        ] {
            assert!(check_user(name).is_err(), "{name:?}");
        }
    }

    #[test]
    fn names_are_words_of_no_shell() {
        for name in ["node-1", "admin@10.0.0.1", "fe80::1%eth0", "[::1]", "größe"] {
            assert!(check_name(name).is_ok(), "{name}");
        }
        for name in [
            "",
            "-oProxyCommand=x",
            "a b",
            "a;b",
            "$(id)",
            "a\nb",
            "`a`",
            "'a'",
        ] {
            assert!(check_name(name).is_err(), "{name:?}");
        }
    }
}
