//! Which cluster, as whom: kubectl's words.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Arg, ArgAction, Args, ValueHint};

use super::values::parse_timeout;
use crate::config::{Overrides, Secret, Selection};

/// Which cluster, as whom: kubectl's words.
#[derive(Debug, Args)]
#[command(
    next_help_heading = "Cluster",
    mut_arg("insecure_skip_tls_verify", switch)
)]
pub struct AccessArgs {
    /// The kubeconfig file [default: $KUBECONFIG, else ~/.kube/config]
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub kubeconfig: Option<PathBuf>,
    /// The kubeconfig's context
    #[arg(long, value_name = "NAME")]
    pub context: Option<String>,
    /// The kubeconfig's cluster
    #[arg(long, value_name = "NAME")]
    pub cluster: Option<String>,
    /// The kubeconfig's user (kubectl's --user; here that is who runs the command)
    #[arg(long, value_name = "NAME")]
    pub kubeconfig_user: Option<String>,
    /// The API server, instead of the kubeconfig's
    #[arg(short, long, value_name = "URL", value_hint = ValueHint::Url)]
    pub server: Option<String>,
    /// The name in the server's certificate, if not the URL's
    #[arg(long, value_name = "NAME")]
    pub tls_server_name: Option<String>,
    /// The certificate authority of the server, in a file
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub certificate_authority: Option<PathBuf>,
    /// Believe any certificate: whoever is on the way can read and change everything
    #[arg(long)]
    pub insecure_skip_tls_verify: Option<bool>,
    /// Log in with this token (other users of this machine can see it)
    #[arg(long, value_name = "TOKEN")]
    pub token: Option<Secret>,
    /// Log in with the certificate in this file
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub client_certificate: Option<PathBuf>,
    /// Its key's file
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub client_key: Option<PathBuf>,
    /// Act as this user
    #[arg(long = "as", value_name = "USER")]
    pub as_user: Option<String>,
    /// Act as a member of this group; may be repeated
    #[arg(long, value_name = "GROUP")]
    pub as_group: Vec<String>,
    /// Act as the user of this UID
    #[arg(long, value_name = "UID")]
    pub as_uid: Option<String>,
    /// Act as a user of whom this is said too; may be repeated
    #[arg(long, value_name = "KEY=VALUE", value_parser = parse_extra)]
    pub as_user_extra: Vec<(String, String)>,
    /// How long one answer of the API server may take, 0 for ever [default: 5s]
    #[arg(long, value_name = "TIME", value_parser = parse_timeout)]
    pub request_timeout: Option<Duration>,
}

impl AccessArgs {
    /// Which cluster, as whom.
    #[must_use]
    pub fn selection(&self) -> Selection {
        Selection {
            file: self.kubeconfig.clone(),
            context: self.context.clone(),
            cluster: self.cluster.clone(),
            user: self.kubeconfig_user.clone(),
            overrides: Overrides {
                server: self.server.clone(),
                tls_server_name: self.tls_server_name.clone(),
                authority: self.certificate_authority.clone(),
                insecure: self.insecure_skip_tls_verify,
                token: self.token.clone(),
                certificate: self.client_certificate.clone(),
                key: self.client_key.clone(),
            },
            as_user: self.as_user.clone(),
            as_groups: self.as_group.clone(),
            as_uid: self.as_uid.clone(),
            as_extra: self.as_user_extra.clone(),
            silent: false,
        }
    }
}

/// A flag as kubectl takes it: alone, or with a value behind "=".
fn switch(flag: Arg) -> Arg {
    flag.action(ArgAction::Set)
        .num_args(0..=1)
        .require_equals(true)
        .value_name("BOOL")
        .default_missing_value("true")
        .value_parser(parse_bool)
        .hide_possible_values(true)
}

/// The same, and false if it is not there.
pub(super) fn off_switch(flag: Arg) -> Arg {
    switch(flag).default_value("false").hide_default_value(true)
}

/// What kubectl takes for a boolean.
fn parse_bool(text: &str) -> Result<bool, String> {
    match text {
        "1" | "t" | "T" | "TRUE" | "true" | "True" => Ok(true),
        "0" | "f" | "F" | "FALSE" | "false" | "False" => Ok(false),
        _ => Err("it is true or false".to_owned()),
    }
}

fn parse_extra(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err("write KEY=VALUE".to_owned()),
    }
}
