//! The command lines of `kpexec install` and its like. No I/O.

use std::time::Duration;

use clap::{Args, Subcommand, ValueEnum};

use crate::agent;
use crate::cli::access::AccessArgs;
use crate::cli::values::{parse_namespace, parse_timeout};

/// What an administrator asks for.
#[derive(Debug, Subcommand)]
pub enum Task {
    /// Put nodepause, kpexec's agent, on every node, or update it
    Install(InstallArgs),
    /// Remove what install made
    Uninstall(UninstallArgs),
    /// See whether kpexec can work in this cluster, and say what to do if not
    Check(TellArgs),
    /// Print the versions of kpexec and of its agents
    Version(TellArgs),
}

/// Where nodepause is.
#[derive(Debug, Args)]
pub struct PlaceArgs {
    /// The namespace of the nodepause pods
    #[arg(
        short,
        long,
        visible_alias = "agent-namespace",
        value_name = "NAME",
        default_value = agent::NAMESPACE,
        value_parser = parse_namespace
    )]
    pub namespace: String,
    /// Which cluster, as whom.
    #[command(flatten)]
    pub access: AccessArgs,
}

/// `kpexec install`.
#[derive(Debug, Args)]
pub struct InstallArgs {
    /// The image of nodepause [default: the one of this version, loaded on each node]
    #[arg(long, value_name = "IMAGE")]
    pub image: Option<String>,
    /// The secret, in the namespace, that the image is pulled with
    #[arg(long, value_name = "NAME")]
    pub image_pull_secret: Option<String>,
    /// Have the server check all of it, print it as YAML and change nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Take fields over that somebody else manages, such as kubectl apply
    #[arg(long)]
    pub force_conflicts: bool,
    /// How long to wait until every node is ready, 0 for ever
    #[arg(long, value_name = "TIME", default_value = "5m", value_parser = parse_timeout)]
    pub timeout: Duration,
    /// Say nothing but errors
    #[arg(short, long)]
    pub quiet: bool,
    /// Where.
    #[command(flatten)]
    pub place: PlaceArgs,
}

/// `kpexec uninstall`.
#[derive(Debug, Args)]
pub struct UninstallArgs {
    /// How long to wait until all of it is gone, 0 for ever
    #[arg(long, value_name = "TIME", default_value = "2m", value_parser = parse_timeout)]
    pub timeout: Duration,
    /// Say nothing but errors
    #[arg(short, long)]
    pub quiet: bool,
    /// Where.
    #[command(flatten)]
    pub place: PlaceArgs,
}

/// `kpexec check` and `kpexec version`, which only tell.
#[derive(Debug, Args)]
pub struct TellArgs {
    /// How to print it
    #[arg(short, long, value_enum, default_value_t)]
    pub output: Format,
    /// Where.
    #[command(flatten)]
    pub place: PlaceArgs,
}

/// `-o`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people.
    #[default]
    Text,
    /// For programs.
    Json,
}
