//! The command line of the cache. No I/O.

use std::time::Duration;

use clap::{Args, Subcommand};

use crate::cli::access::AccessArgs;
use crate::cli::values::parse_namespace;
use crate::listing::Format;

/// How long something is remembered.
#[derive(Debug, Args)]
pub struct AgeArgs {
    /// How long is remembered which pods were where, for when the API server does not answer; or "off"
    #[arg(
        long,
        value_name = "TIME",
        default_value = "30d",
        value_parser = parse_age,
        help_heading = "Cluster"
    )]
    pub cache_age: Duration,
}

/// `kpexec cache`.
#[derive(Debug, Subcommand)]
pub enum CacheArgs {
    /// Print what is remembered of the cluster
    Show(ShowArgs),
    /// Ask the cluster for all pods and nodes, and remember them
    Refresh(RefreshArgs),
    /// Forget what is remembered of the cluster
    Clear(ClearArgs),
}

/// `kpexec cache show`.
#[derive(Debug, Args)]
pub struct ShowArgs {
    /// How to print it
    #[arg(short, long, value_enum, default_value_t)]
    pub output: Format,
    /// Which cluster, as whom.
    #[command(flatten)]
    pub access: AccessArgs,
    /// What counts.
    #[command(flatten)]
    pub age: AgeArgs,
}

/// `kpexec cache refresh`.
#[derive(Debug, Args)]
pub struct RefreshArgs {
    /// Only the pods of this namespace, if you may not list all
    #[arg(short, long, value_name = "NAME", value_parser = parse_namespace)]
    pub namespace: Option<String>,
    /// Say nothing but errors
    #[arg(short, long)]
    pub quiet: bool,
    /// Which cluster, as whom.
    #[command(flatten)]
    pub access: AccessArgs,
    /// What counts.
    #[command(flatten)]
    pub age: AgeArgs,
}

/// `kpexec cache clear`.
#[derive(Debug, Args)]
pub struct ClearArgs {
    /// Of all clusters
    #[arg(long)]
    pub all: bool,
    /// Which cluster, as whom.
    #[command(flatten)]
    pub access: AccessArgs,
}

/// A time, or none.
fn parse_age(text: &str) -> Result<Duration, String> {
    match text {
        "off" | "0" => Ok(Duration::ZERO),
        _ => humantime::parse_duration(text)
            .map_err(|_| "write a time such as 12h or 30d, or off".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_age_is_a_time_or_none() {
        assert_eq!(parse_age("2d"), Ok(Duration::from_secs(2 * 86_400)));
        assert_eq!(parse_age("off"), Ok(Duration::ZERO));
        assert!(parse_age("soon").is_err());
    }
}
