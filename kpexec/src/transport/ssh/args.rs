//! The options of the way by SSH.

use std::path::PathBuf;
use std::time::Duration;

use clap::builder::NonEmptyStringValueParser;
use clap::{Args, ValueEnum, ValueHint};

use super::{Options, Push, Sudo};

/// How a node is reached by SSH.
#[derive(Debug, Args)]
#[command(next_help_heading = "SSH")]
pub struct SshArgs {
    /// Reach the pod's node by SSH, and the cnsenter that is installed there; no nodepause is needed
    /// (auto: only if there is no way through the API server; never: not at all)
    #[arg(
        long,
        value_name = "WHEN",
        hide_possible_values = true,
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "always",
        conflicts_with = "ephemeral"
    )]
    pub ssh: Option<When>,
    /// The way if --ssh does not say: api, ssh or auto
    #[arg(
        long,
        value_name = "WAY",
        hide_possible_values = true,
        default_value = "api"
    )]
    pub transport: Transport,
    /// Where a node is reached, with {node} in it, in place of its addresses
    #[arg(long, value_name = "HOST", value_parser = host_template)]
    pub ssh_host: Option<String>,
    /// The pod's node, or any name that ssh knows it by: it is reached by SSH, and the API server is not
    /// asked
    #[arg(
        long,
        value_name = "[USER@]HOST",
        value_hint = ValueHint::Hostname,
        conflicts_with_all = ["ephemeral", "filename"],
        value_parser = place
    )]
    pub node: Option<String>,
    /// Which of a node's addresses are used, in this order
    #[arg(
        long,
        value_name = "TYPE",
        value_delimiter = ',',
        default_value = "InternalIP,ExternalIP,Hostname",
        hide_possible_values = true
    )]
    pub node_address_type: Vec<AddressType>,
    /// Who to log in as, unless --node says so [default: as ssh would]
    #[arg(long, value_name = "NAME", value_parser = NonEmptyStringValueParser::new())]
    pub ssh_user: Option<String>,
    /// The port of the node's sshd [default: as ssh would]
    #[arg(
        long,
        value_name = "PORT",
        value_parser = port,
    )]
    pub ssh_port: Option<u16>,
    /// A private key to log in with, as ssh -i; may be repeated
    #[arg(
        short = 'I',
        long,
        value_name = "FILE",
        value_hint = ValueHint::FilePath,
    )]
    pub ssh_identity: Vec<PathBuf>,
    /// The hosts to go through, separated by commas
    #[arg(short = 'J', long, value_name = "[USER@]HOST[:PORT]")]
    pub ssh_jump: Option<String>,
    /// The file to read in place of ~/.ssh/config
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub ssh_config: Option<PathBuf>,
    /// How cnsenter becomes root there: auto, always, never, sudo, doas or a program's path
    #[arg(long, value_name = "HOW", default_value = "auto", value_parser = Sudo::parse)]
    pub ssh_sudo: Sudo,
    /// A program to use in place of kpexec's own SSH, which gets cnsenter's command line as its last
    /// words; {node}, {address}, {user} and {port} are filled in
    #[arg(long, value_name = "COMMAND")]
    pub ssh_command: Option<String>,
    /// Send our own cnsenter to a node that has none, or one of another protocol, for this command
    /// alone: the one that came with kpexec (also --push=auto), or FILE (a folder: its cnsenter-x86_64
    /// or -aarch64); --push=never turns it off
    #[arg(
        long,
        value_name = "FILE",
        value_hint = ValueHint::FilePath,
        num_args = 0..=1,
        require_equals = true,
        default_value = "never",
        default_missing_value = "auto",
        hide_default_value = true,
        value_parser = Push::parse,
    )]
    pub push: Push,
}

/// `--ssh`: when SSH is the way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum When {
    /// Whatever the API server says.
    Always,
    /// If there is no way through the API server.
    Auto,
    /// Not at all.
    Never,
}

/// `--transport`: the way if nothing else is said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Transport {
    /// The API server's exec.
    Api,
    /// SSH.
    Ssh,
    /// The first of them that there is.
    Auto,
}

/// An address of a node, as its status has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum AddressType {
    /// In the cluster's network.
    #[value(name = "InternalIP")]
    InternalIp,
    /// From everywhere else.
    #[value(name = "ExternalIP")]
    ExternalIp,
    /// A name.
    #[value(name = "Hostname")]
    Hostname,
    /// A name of the cluster's network.
    #[value(name = "InternalDNS")]
    InternalDns,
    /// A name for everywhere else.
    #[value(name = "ExternalDNS")]
    ExternalDns,
}

impl AddressType {
    /// As a node's status spells it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::InternalIp => "InternalIP",
            Self::ExternalIp => "ExternalIP",
            Self::Hostname => "Hostname",
            Self::InternalDns => "InternalDNS",
            Self::ExternalDns => "ExternalDNS",
        }
    }
}

/// `--ssh-host`: nothing but `{node}` is filled in.
fn host_template(text: &str) -> Result<String, String> {
    if text.replace("{node}", "").contains(['{', '}']) {
        return Err("{node} is all that is filled in".to_owned());
    }
    // An IPv6 address has more colons.
    let port = text.split_once(':').map(|(_, port)| port);
    match port.filter(|port| port.parse::<u16>().is_ok()) {
        Some(port) => Err(format!("it takes no port: --ssh-port {port}")),
        None => Ok(text.to_owned()),
    }
}

/// `--node`: also as ssh's URLs have it, which end where a path would begin.
fn place(text: &str) -> Result<String, String> {
    let place = match text.strip_prefix("ssh://") {
        Some(place) => place.trim_end_matches('/'),
        None => text,
    };
    let is_half = place.starts_with('@') || place.ends_with('@');
    match place.is_empty() || is_half {
        true => Err("write HOST or USER@HOST".to_owned()),
        false => Ok(place.to_owned()),
    }
}

fn port(text: &str) -> Result<u16, String> {
    let port = text.parse().ok().filter(|port| *port != 0);
    port.ok_or_else(|| "a port is a number from 1 to 65535".to_owned())
}

impl SshArgs {
    /// When SSH is the way.
    #[must_use]
    pub fn when(&self) -> When {
        let usual = match self.transport {
            Transport::Api => When::Never,
            Transport::Ssh => When::Always,
            Transport::Auto => When::Auto,
        };
        match self.node {
            Some(_) => When::Always,
            None => self.ssh.unwrap_or(usual),
        }
    }

    /// Whether SSH is not to be the way, whatever else is said.
    #[must_use]
    pub fn is_forbidden(&self) -> bool {
        self.ssh == Some(When::Never)
    }

    /// The HOST of `--node`.
    #[must_use]
    pub fn host(&self) -> Option<&str> {
        let node = self.node.as_deref()?;
        let host = node.rsplit_once('@').map_or(node, |(_, host)| host);
        // As URLs have IPv6 addresses.
        Some(host.trim_matches(['[', ']']))
    }

    fn user(&self) -> Option<&str> {
        // What is said of one node counts more than what is said of all of them, in the configuration.
        let of_node = self.node.as_deref().and_then(|node| node.rsplit_once('@'));
        of_node.map(|(user, _)| user).or(self.ssh_user.as_deref())
    }

    /// How nodes are reached.
    #[must_use]
    pub fn options(&self, lease: Option<Duration>, may_prompt: bool) -> Options {
        Options {
            user: self.user().map(str::to_owned),
            port: self.ssh_port,
            identities: self.ssh_identity.clone(),
            jump: self.ssh_jump.clone(),
            config: self.ssh_config.clone(),
            sudo: self.ssh_sudo.clone(),
            // An empty one is none, in the place of the configuration's.
            command: self
                .ssh_command
                .clone()
                .filter(|command| !command.is_empty()),
            push: self.push.clone(),
            lease,
            may_prompt,
        }
    }
}
