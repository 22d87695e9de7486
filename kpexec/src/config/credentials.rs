//! Exec credential plugins (client-go's `ExecCredential`), run once. kube would run them for each
//! thing that it builds, and give them a stdin that belongs to the command.

use std::future::pending;
use std::io::{self, IsTerminal};
use std::process::{Output, Stdio};
use std::time::Duration;

use kube::config::{AuthInfo, ExecConfig, ExecInteractiveMode};
use serde::{Deserialize, Serialize};
use tokio::process::{Child, Command};
use tokio::time::sleep;

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
    /// It takes too long.
    #[error(
        "the credential plugin {command} has not answered within {}",
        humantime::format_duration(*limit)
    )]
    TimedOut {
        /// Its program.
        command: String,
        /// How long that was.
        limit: Duration,
    },
    /// Nobody hears how it ends.
    #[error("cannot wait for the credential plugin {command}")]
    Wait {
        /// Its program.
        command: String,
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

/// Replaces an exec entry by what its plugin gives. That need not be renewed for a session: the API server
/// asks once, when a connection begins; who asks it anew later has to. Without a limit it may take as long as
/// somebody needs to log in.
pub(super) async fn resolve(
    user: &mut AuthInfo,
    silent: bool,
    limit: Option<Duration>,
) -> Result<(), Error> {
    let has_token = user.token.is_some() || user.token_file.is_some();
    let Some(exec) = user.exec.take().filter(|_| !has_token) else {
        return Ok(());
    };
    let command = exec.command.clone().ok_or(Error::NoCommand)?;
    let output = run(&exec, &command, silent, limit).await?;
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

async fn run(
    exec: &ExecConfig,
    command: &str,
    silent: bool,
    limit: Option<Duration>,
) -> Result<Vec<u8>, Error> {
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
    let plugin = Command::new(command)
        .args(exec.args.iter().flatten())
        .envs(variables)
        .env("KUBERNETES_EXEC_INFO", request)
        .stdin(if interactive {
            Stdio::inherit()
        } else {
            Stdio::null()
        })
        .stdout(Stdio::piped())
        .stderr(if silent {
            Stdio::null()
        } else {
            Stdio::inherit()
        })
        .kill_on_drop(true)
        .spawn()
        .map_err(|source| Error::Start {
            command: command.to_owned(),
            hint: install_hint(exec),
            source,
        })?;
    let is_told = !silent && io::stderr().is_terminal();
    let output = output_of(plugin, command, is_told, limit).await?;
    if !output.status.success() {
        return Err(Error::Failed {
            command: command.to_owned(),
            status: output.status,
        });
    }
    Ok(output.stdout)
}

/// Waits for a plugin, and says so after a while: it may wait for somebody to log in.
async fn output_of(
    plugin: Child,
    command: &str,
    is_told: bool,
    limit: Option<Duration>,
) -> Result<Output, Error> {
    let reminded = async {
        sleep(PATIENCE).await;
        if is_told {
            say(format_args!(
                "waiting for the credential plugin {} (Ctrl-C ends this)",
                printable(command)
            ));
        }
        pending().await
    };
    let over = async {
        match limit {
            Some(limit) => {
                sleep(limit).await;
                limit
            }
            None => pending().await,
        }
    };
    let command = command.to_owned();
    tokio::select! {
        output = plugin.wait_with_output() => output.map_err(|source| Error::Wait { command, source }),
        () = reminded => pending().await,
        limit = over => Err(Error::TimedOut { command, limit }),
    }
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

    #[tokio::test]
    async fn a_token_is_taken_and_the_plugin_not_run_again() {
        let mut user = plugin(r#"echo '{"status":{"token":"t0"}}'"#);
        resolve(&mut user, false, None).await.unwrap();
        assert!(user.token.is_some() && user.exec.is_none());
    }

    #[tokio::test]
    async fn a_certificate_is_taken_as_a_kubeconfig_has_it() {
        let mut user =
            plugin(r#"echo '{"status":{"clientCertificateData":"CERT","clientKeyData":"KEY"}}'"#);
        resolve(&mut user, false, None).await.unwrap();
        assert_eq!(user.client_certificate_data.as_deref(), Some("Q0VSVA=="));
        assert!(user.client_key_data.is_some());
    }

    #[tokio::test]
    async fn the_plugin_hears_that_nobody_is_there() {
        let script = r#"case $KUBERNETES_EXEC_INFO in *'"interactive":false'*) ;; *) exit 3;; esac
            read line && exit 4
            echo '{"status":{"token":"t"}}'"#;
        let mut user = plugin(script);
        resolve(&mut user, false, None).await.unwrap();
    }

    async fn error(mut user: AuthInfo, limit: Option<Duration>) -> String {
        match resolve(&mut user, false, limit).await {
            Err(error) => error.to_string(),
            Ok(()) => "nothing is wrong".to_owned(),
        }
    }

    #[tokio::test]
    async fn what_goes_wrong_is_told() {
        let failed = error(plugin("exit 3"), None).await;
        assert!(failed.starts_with("getting credentials: sh failed with"));
        assert!(
            error(plugin("echo no"), None)
                .await
                .contains("cannot read what")
        );
        let empty = error(plugin("echo '{}'"), None).await;
        assert!(empty.contains("neither a token nor"));
        let mut missing = plugin("");
        missing.exec.as_mut().unwrap().command = Some("/no/such/plugin".into());
        assert_eq!(
            error(missing, None).await,
            "cannot run the credential plugin /no/such/plugin (apt install it)"
        );
    }

    #[tokio::test]
    async fn one_that_hangs_is_ended() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("pid");
        let script = format!("echo $$ >{}; exec sleep 60", file.display());
        let limit = Duration::from_millis(500);
        assert_eq!(
            error(plugin(&script), Some(limit)).await,
            "the credential plugin sh has not answered within 500ms"
        );
        let pid = std::fs::read_to_string(file).unwrap();
        let state = format!("/proc/{}/stat", pid.trim());
        // Killed; whether it was waited for by now is tokio's.
        let is_gone = || std::fs::read_to_string(&state).map_or(true, |stat| stat.contains(") Z "));
        let ended = async {
            while !is_gone() {
                sleep(Duration::from_millis(10)).await;
            }
        };
        // Much sooner than it would end by itself.
        let ended = tokio::time::timeout(Duration::from_secs(10), ended).await;
        assert!(ended.is_ok(), "it still runs");
    }
}
