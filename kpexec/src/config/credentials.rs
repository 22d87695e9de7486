//! Exec credential plugins (client-go's `ExecCredential`), run once. kube would run them for each
//! thing that it builds, and give them a stdin that belongs to the command.

use std::io::{self, IsTerminal};
use std::process::{Command, Stdio};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::Builder;
use std::time::Duration;

use kube::config::{AuthInfo, ExecConfig, ExecInteractiveMode};
use serde::{Deserialize, Serialize};

use crate::stderr::{printable, say};

/// After how long of waiting for a plugin that is said.
const PATIENCE: Duration = Duration::from_secs(2);

/// What is wrong with a credential plugin.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The entry names no program.
    #[error("the kubeconfig's exec plugin names no command")]
    NoCommand,
    /// It is not to be had.
    #[error("cannot run the credential plugin {command}{hint}")]
    Start {
        /// Its program.
        command: String,
        /// How to install it, as the kubeconfig says.
        hint: String,
        /// Why.
        source: io::Error,
    },
    /// It said no.
    #[error("getting credentials: {command} failed with {status}")]
    Failed {
        /// Its program.
        command: String,
        /// How it ended.
        status: std::process::ExitStatus,
    },
    /// It needs somebody to talk to.
    #[error("the credential plugin {0} needs a terminal on stdin (interactiveMode Always)")]
    NeedsTerminal(String),
    /// What it said is no ExecCredential.
    #[error("cannot read what the credential plugin {command} wrote")]
    Parse {
        /// Its program.
        command: String,
        /// Why.
        source: serde_json::Error,
    },
    /// It gave nothing to log in with.
    #[error("the credential plugin {0} gave neither a token nor a certificate")]
    Nothing(String),
    /// The request cannot be written.
    #[error("cannot tell the credential plugin {command} what for")]
    Describe {
        /// Its program.
        command: String,
        /// Why.
        source: serde_json::Error,
    },
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Request<'a> {
    kind: &'static str,
    api_version: &'a str,
    spec: Spec<'a>,
}

#[derive(Serialize)]
struct Spec<'a> {
    interactive: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    cluster: Option<&'a kube::config::ExecAuthCluster>,
}

#[derive(Deserialize)]
struct Answer {
    status: Option<Status>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Status {
    token: Option<String>,
    client_certificate_data: Option<String>,
    client_key_data: Option<String>,
}

/// Replaces an exec entry by what its plugin gives. A session is over before that has to be
/// renewed: the API server asks once, when a connection begins.
pub(super) fn resolve(user: &mut AuthInfo, silent: bool) -> Result<(), Error> {
    let has_token = user.token.is_some() || user.token_file.is_some();
    let Some(exec) = user.exec.take().filter(|_| !has_token) else {
        return Ok(());
    };
    let command = exec.command.clone().ok_or(Error::NoCommand)?;
    let output = run(&exec, &command, silent)?;
    let answer: Answer = serde_json::from_slice(&output).map_err(|source| Error::Parse {
        command: command.clone(),
        source,
    })?;
    let status = answer
        .status
        .ok_or_else(|| Error::Nothing(command.clone()))?;
    let certificate = status.client_certificate_data.zip(status.client_key_data);
    if status.token.is_none() && certificate.is_none() {
        return Err(Error::Nothing(command));
    }
    user.token = status.token.map(Into::into);
    if let Some((certificate, key)) = certificate {
        // kube takes them as a kubeconfig has them.
        user.client_certificate_data = Some(base64(&certificate));
        user.client_key_data = Some(base64(&key).into());
    }
    Ok(())
}

fn base64(text: &str) -> String {
    use base64::Engine;
    base64::engine::general_purpose::STANDARD.encode(text)
}

fn run(exec: &ExecConfig, command: &str, silent: bool) -> Result<Vec<u8>, Error> {
    let on_terminal = !silent && io::stdin().is_terminal();
    let interactive = match exec.interactive_mode {
        Some(ExecInteractiveMode::Never) => false,
        Some(ExecInteractiveMode::Always) if !on_terminal => {
            return Err(Error::NeedsTerminal(command.to_owned()));
        }
        _ => on_terminal,
    };
    let request = serde_json::to_string(&Request {
        kind: "ExecCredential",
        api_version: exec
            .api_version
            .as_deref()
            .unwrap_or("client.authentication.k8s.io/v1"),
        spec: Spec {
            interactive,
            cluster: exec.cluster.as_ref(),
        },
    })
    .map_err(|source| Error::Describe {
        command: command.to_owned(),
        source,
    })?;

    let variables = exec.env.iter().flatten();
    let variables = variables.filter_map(|one| Some((one.get("name")?, one.get("value")?)));
    let on_time = remind(command, !silent && io::stderr().is_terminal());
    let output = Command::new(command)
        .args(exec.args.iter().flatten())
        .envs(variables)
        .env("KUBERNETES_EXEC_INFO", request)
        .stdin(if interactive {
            Stdio::inherit()
        } else {
            Stdio::null()
        })
        .stderr(if silent {
            Stdio::null()
        } else {
            Stdio::inherit()
        })
        .output();
    drop(on_time);
    let output = output.map_err(|source| Error::Start {
        command: command.to_owned(),
        hint: install_hint(exec),
        source,
    })?;
    if !output.status.success() {
        return Err(Error::Failed {
            command: command.to_owned(),
            status: output.status,
        });
    }
    Ok(output.stdout)
}

/// Says what is waited for, unless what this gives is dropped before that is a long time: a plugin may
/// wait for somebody to log in, for as long as that takes.
fn remind(command: &str, is_wanted: bool) -> Option<Sender<()>> {
    let (on_time, waits) = channel();
    let command = printable(command);
    let wait = move || {
        if waits.recv_timeout(PATIENCE) == Err(RecvTimeoutError::Timeout) {
            say(format_args!(
                "waiting for the credential plugin {command} (Ctrl-C ends this)"
            ));
        }
    };
    // Without a thread it is not said.
    let started = is_wanted && Builder::new().spawn(wait).is_ok();
    started.then_some(on_time)
}

fn install_hint(exec: &ExecConfig) -> String {
    let hint = exec
        .install_hint
        .as_deref()
        .map(str::trim)
        .filter(|hint| !hint.is_empty());
    hint.map(|hint| format!(" ({hint})")).unwrap_or_default()
}

// The plugins are shell scripts.
#[cfg(all(test, unix))]
mod tests {
    use super::*;

    fn plugin(script: &str) -> AuthInfo {
        let exec = ExecConfig {
            command: Some("sh".into()),
            args: Some(vec!["-c".into(), script.into()]),
            install_hint: Some("apt install it".into()),
            interactive_mode: Some(ExecInteractiveMode::Never),
            ..ExecConfig::default()
        };
        AuthInfo {
            exec: Some(exec),
            ..AuthInfo::default()
        }
    }

    #[test]
    fn a_token_is_taken_and_the_plugin_not_run_again() {
        let mut user = plugin(r#"echo '{"status":{"token":"t0"}}'"#);
        resolve(&mut user, false).unwrap();
        assert!(user.token.is_some() && user.exec.is_none());
    }

    #[test]
    fn a_certificate_is_taken_as_a_kubeconfig_has_it() {
        let mut user =
            plugin(r#"echo '{"status":{"clientCertificateData":"CERT","clientKeyData":"KEY"}}'"#);
        resolve(&mut user, false).unwrap();
        assert_eq!(user.client_certificate_data.as_deref(), Some("Q0VSVA=="));
        assert!(user.client_key_data.is_some());
    }

    #[test]
    fn the_plugin_hears_that_nobody_is_there() {
        let script = r#"case $KUBERNETES_EXEC_INFO in *'"interactive":false'*) ;; *) exit 3;; esac
            read line && exit 4
            echo '{"status":{"token":"t"}}'"#;
        resolve(&mut plugin(script), false).unwrap();
    }

    #[test]
    fn what_goes_wrong_is_told() {
        let error = |mut user: AuthInfo| resolve(&mut user, false).unwrap_err().to_string();
        assert!(error(plugin("exit 3")).starts_with("getting credentials: sh failed with"));
        assert!(error(plugin("echo no")).contains("cannot read what"));
        assert!(error(plugin("echo '{}'")).contains("neither a token nor"));
        let mut missing = plugin("");
        missing.exec.as_mut().unwrap().command = Some("/no/such/plugin".into());
        assert_eq!(
            error(missing),
            "cannot run the credential plugin /no/such/plugin (apt install it)"
        );
    }
}
