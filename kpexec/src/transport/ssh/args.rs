//! The options of the way by SSH.

use std::path::PathBuf;

use clap::{ArgGroup, Args, ValueEnum, ValueHint};

use super::{Options, Sudo};

/// What makes SSH the way.
const WAY: &str = "by_ssh";

/// How a node is reached by SSH.
#[derive(Debug, Args)]
#[command(
    next_help_heading = "SSH",
    group = ArgGroup::new(WAY).args(["ssh", "node"]).multiple(true)
)]
pub struct SshArgs {
    /// Reach the pod's node by SSH, and the cnsenter that is installed there; no nodepause is needed
    #[arg(long, conflicts_with = "ephemeral")]
    pub ssh: bool,
    /// The pod's node, or any name that ssh knows it by: the API server is not asked
    #[arg(
        long,
        value_name = "[USER@]HOST",
        value_hint = ValueHint::Hostname,
        conflicts_with_all = ["ephemeral", "filename"]
    )]
    pub node: Option<String>,
    /// Which of a node's addresses are used, in this order
    #[arg(
        long,
        value_name = "TYPE",
        value_delimiter = ',',
        default_values = ["InternalIP", "ExternalIP", "Hostname"],
        hide_possible_values = true,
        requires = WAY
    )]
    pub node_address_type: Vec<AddressType>,
    /// Who to log in as [default: as ssh would]
    #[arg(long, value_name = "NAME", requires = WAY)]
    pub ssh_user: Option<String>,
    /// The port of the node's sshd [default: as ssh would]
    #[arg(
        long,
        value_name = "PORT",
        value_parser = clap::value_parser!(u16).range(1..),
        requires = WAY
    )]
    pub ssh_port: Option<u16>,
    /// A private key, besides those that ssh would try; may be repeated
    #[arg(
        short = 'I',
        long,
        value_name = "FILE",
        value_hint = ValueHint::FilePath,
        requires = WAY
    )]
    pub ssh_identity: Vec<PathBuf>,
    /// The hosts to go through, separated by commas
    #[arg(short = 'J', long, value_name = "[USER@]HOST[:PORT]", requires = WAY)]
    pub ssh_jump: Option<String>,
    /// The file to read in place of ~/.ssh/config
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, requires = WAY)]
    pub ssh_config: Option<PathBuf>,
    /// How cnsenter becomes root there: auto, always, never, sudo, doas or a program's path
    #[arg(long, value_name = "HOW", default_value = "auto", value_parser = Sudo::parse, requires = WAY)]
    pub ssh_sudo: Sudo,
    /// A program to use in place of kpexec's own SSH, which gets cnsenter's command line as its last
    /// words; {node}, {address}, {user} and {port} are filled in
    #[arg(long, value_name = "COMMAND", requires = WAY)]
    pub ssh_command: Option<String>,
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

impl SshArgs {
    /// How nodes are reached.
    #[must_use]
    pub fn options(&self, may_prompt: bool) -> Options {
        Options {
            user: self.ssh_user.clone(),
            port: self.ssh_port,
            identities: self.ssh_identity.clone(),
            jump: self.ssh_jump.clone(),
            config: self.ssh_config.clone(),
            sudo: self.ssh_sudo.clone(),
            command: self.ssh_command.clone(),
            may_prompt,
        }
    }
}
