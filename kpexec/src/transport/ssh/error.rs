//! Why a node is not reached by SSH, or has no cnsenter to talk to.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::PushError;
use crate::stderr::chain;

/// Why a node is not reached by SSH, or has no cnsenter to talk to.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It could be taken for something else by a program that it is given to.
    #[error("{0:?} is no host's name: it begins with \"-\", or has characters that no name has")]
    Name(String),
    /// The same of a user's.
    #[error("{0:?} is no user's name: it begins with \"-\", or has characters that a shell minds")]
    User(String),
    /// A word of ours that a shell would change.
    #[error("the word {0:?} cannot be passed on to a node's shell")]
    Word(String),
    /// ssh(1) does not say what it would do.
    #[error("cannot ask ssh -G for the settings of {host}: {said}")]
    Settings {
        /// The host.
        host: String,
        /// What it says instead.
        said: String,
    },
    /// The user's configuration cannot be read.
    #[error("cannot read {}", path.display())]
    Config {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It has what only ssh(1) understands.
    #[error(
        "{} has {keyword}, which ssh(1) alone understands, and that is not installed here",
        path.display()
    )]
    Keyword {
        /// Which file.
        path: PathBuf,
        /// The keyword.
        keyword: String,
    },
    /// `--ssh-command` is none.
    #[error("--ssh-command {command:?} is no command: {why}")]
    Template {
        /// It.
        command: String,
        /// What is wrong with it.
        why: String,
    },
    /// A program of ours does not start.
    #[error("cannot start {program}")]
    Program {
        /// Which.
        program: String,
        /// Why.
        source: io::Error,
    },
    /// No connection.
    #[error("cannot connect to {host} by SSH")]
    Connect {
        /// Host and port.
        host: String,
        /// Why.
        source: io::Error,
    },
    /// Nobody answers.
    #[error("{host} did not answer by SSH within {}", humantime::format_duration(*limit))]
    TimedOut {
        /// Host and port.
        host: String,
        /// How long it had.
        limit: Duration,
    },
    /// No name server answers.
    #[error("the name of {host} was not resolved within {}", humantime::format_duration(*limit))]
    Unresolved {
        /// Host and port.
        host: String,
        /// How long that might take.
        limit: Duration,
    },
    /// What answers is no sshd, or one that we have nothing in common with.
    #[error("cannot speak SSH with {host}: {why}")]
    Handshake {
        /// Host and port.
        host: String,
        /// Why.
        why: String,
    },
    /// A jump host does not lead any further.
    #[error("{via} does not connect us to {host}: {why}")]
    Jump {
        /// The jump host.
        via: String,
        /// Host and port behind it.
        host: String,
        /// Its reason.
        why: String,
    },
    /// A jump host is not reached; other nodes may be behind it as well.
    #[error("the way leads through {via}")]
    Via {
        /// The jump host.
        via: String,
        /// Why not.
        source: Arc<Self>,
    },
    /// Jump hosts lead in circles.
    #[error("there are more than {0} jump hosts on the way; ProxyJump leads in a circle")]
    Circle(usize),
    /// Nobody knows the host's key.
    #[error("the key of {host} is not known: {key}")]
    UnknownKey {
        /// As known_hosts names it.
        host: String,
        /// Its kind and fingerprint.
        key: String,
        /// The file it would be written to.
        file: Option<PathBuf>,
        /// Whether that name is a HostKeyAlias.
        is_alias: bool,
    },
    /// It is another one than before.
    #[error(
        "the key of {host} is not the one that it had: it has {key} now, and {} line {line} another; \
         somebody may be in between",
        file.display()
    )]
    ChangedKey {
        /// As known_hosts names it.
        host: String,
        /// Its kind and fingerprint.
        key: String,
        /// Where the other one is.
        file: PathBuf,
        /// Which line.
        line: usize,
    },
    /// It must not be trusted any more.
    #[error("the key of {host}, {key}, is revoked by {} line {line}", file.display())]
    RevokedKey {
        /// As known_hosts names it.
        host: String,
        /// Its kind and fingerprint.
        key: String,
        /// Where.
        file: PathBuf,
        /// Which line.
        line: usize,
    },
    /// A host certificate that does not hold.
    #[error("the certificate of {host} does not hold: {why}")]
    Certificate {
        /// As known_hosts names it.
        host: String,
        /// Why.
        why: &'static str,
    },
    /// A node is at none of its addresses; why not, for each of them.
    #[error("{}", .0.iter().map(|error| chain(error)).collect::<Vec<_>>().join("; "))]
    Nowhere(Vec<Self>),
    /// It does not let us in.
    #[error("{host} does not let {user} in: {why}")]
    Denied {
        /// Host and port.
        host: String,
        /// Who.
        user: String,
        /// What was tried, and what it takes.
        why: String,
    },
    /// The user was to be asked, and did not answer.
    #[error("nobody answered on the terminal")]
    Unanswered(#[source] io::Error),
    /// The connection broke before there was a session.
    #[error("the connection to {host} was lost before cnsenter greeted: {reason}")]
    Lost {
        /// The host.
        host: String,
        /// Why, as far as it is known.
        reason: String,
    },
    /// sshd does not run commands.
    #[error("{host} does not run commands by SSH: {why}")]
    NoExec {
        /// The host.
        host: String,
        /// Why.
        why: String,
    },
    /// Neither greeting nor end.
    #[error(
        "cnsenter did not answer on {host} within {}",
        humantime::format_duration(*limit)
    )]
    Silent {
        /// The host.
        host: String,
        /// How long it had.
        limit: Duration,
    },
    /// What should be short is not.
    #[error("cnsenter says more than anybody could want on {host}")]
    TooMuch {
        /// The host.
        host: String,
    },
    /// It is not there.
    #[error("cnsenter is not installed on {host}, or not in the PATH of commands that come by SSH")]
    NoCnsenter {
        /// The host.
        host: String,
    },
    /// Something else answers in its place.
    #[error("cnsenter did not answer on {host}: {said}")]
    NoGreeting {
        /// The host.
        host: String,
        /// What was heard instead.
        said: String,
    },
    /// We are not root there, and nobody helps.
    #[error("{program} is not installed on {host}, and cnsenter needs to be root")]
    NoSudo {
        /// The host.
        host: String,
        /// sudo, doas or what was named.
        program: String,
    },
    /// It does not make us root.
    #[error("{program} does not run cnsenter as root on {host}: {said}")]
    Sudo {
        /// The host.
        host: String,
        /// sudo, doas or what was named.
        program: String,
        /// Its words.
        said: String,
    },
    /// Ours could not be brought there.
    #[error(transparent)]
    Push(#[from] PushError),
}

impl Error {
    /// Why a host is not reached, by what was said of each of its places.
    pub(super) fn of_places(mut errors: Vec<Self>) -> Self {
        match errors.len() {
            1 => errors.swap_remove(0),
            _ => Self::Nowhere(errors),
        }
    }

    /// Whether nobody answers at that address, which may be another network's.
    #[must_use]
    pub fn is_of_nobody_at(&self, address: &str) -> bool {
        match self {
            Self::Connect { host, .. }
            | Self::TimedOut { host, .. }
            | Self::Unresolved { host, .. }
            | Self::Jump { host, .. } => {
                let without_port = host.rsplit_once(':').map_or("", |(host, _)| host);
                without_port.trim_matches(['[', ']']) == address
            }
            Self::Nowhere(errors) => errors.iter().any(|error| error.is_of_nobody_at(address)),
            _ => false,
        }
    }

    /// Why nothing is known of what became of a session that was asked for, if that is so.
    #[must_use]
    pub fn silence(&self) -> Option<String> {
        match self {
            Self::Lost { reason, .. } => Some(reason.clone()),
            Self::Silent { .. } => Some(self.to_string()),
            _ => None,
        }
    }

    /// Whether the user was asked for something, and did not answer.
    #[must_use]
    pub fn is_unanswered(&self) -> bool {
        self.unanswered().is_some()
    }

    /// Whether that was by Ctrl-C.
    #[must_use]
    pub fn is_interrupted(&self) -> bool {
        self.unanswered() == Some(io::ErrorKind::Interrupted)
    }

    fn unanswered(&self) -> Option<io::ErrorKind> {
        match self {
            Self::Unanswered(error) => Some(error.kind()),
            Self::Via { source, .. } => source.unanswered(),
            _ => None,
        }
    }

    /// What to do.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Via { source, .. } => return source.hint(),
            Self::Nowhere(errors) => return errors.first().and_then(Self::hint),
            Self::Push(error) => return error.hint(),
            Self::UnknownKey {
                host,
                file,
                is_alias: false,
                ..
            } => {
                let file = file.as_ref().map(|file| file.display().to_string());
                format!(
                    "compare it with the host's own (ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub \
                     there), then add it: connect once on a terminal, or ssh-keyscan {} >>{}",
                    keyscan(host),
                    file.as_deref().unwrap_or("~/.ssh/known_hosts")
                )
            }
            // ssh-keyscan would write the name that is not looked for.
            Self::UnknownKey { .. } => {
                "compare it with the host's own (ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub there), \
                 then connect once on a terminal"
                    .to_owned()
            }
            Self::ChangedKey { host, file, .. } => format!(
                "if the host was made anew, forget the old key: ssh-keygen -R {host:?} -f {}",
                file.display()
            ),
            Self::Connect { .. } | Self::TimedOut { .. } => {
                "see whether ssh gets there; --ssh-port, -J and --node-address-type change the way"
                    .to_owned()
            }
            Self::Unresolved { .. } => "name the host by its address".to_owned(),
            Self::Denied { .. } => {
                "name a key with -I FILE or load it (ssh-add FILE); log in as another with \
                 --ssh-user NAME"
                    .to_owned()
            }
            Self::NoCnsenter { host } => format!(
                "--push sends it there for this command alone; or install it, as with scp cnsenter \
                 {host}:/usr/local/sbin/: it is one static file, and of kpexec's release. (If it is there: \
                 ssh {host} 'echo $PATH' tells where it is looked for)"
            ),
            Self::Sudo { program, said, .. }
                if program.ends_with("sudo") && said.contains("have a tty") =>
            {
                "requiretty is set there, and a session has no terminal: echo 'Defaults:USER \
                 !requiretty' >>/etc/sudoers.d/kpexec; or log in as root (--ssh-user)"
                    .to_owned()
            }
            Self::Sudo { program, .. } if program.ends_with("sudo") => {
                "allow it without a password, where it is: echo 'USER ALL=(root) NOPASSWD: \
                 /usr/local/sbin/cnsenter' >/etc/sudoers.d/kpexec; or log in as root (--ssh-user)"
                    .to_owned()
            }
            Self::Sudo { program, .. } if program.ends_with("doas") => format!(
                "allow it without a password: permit nopass USER cmd cnsenter, in /etc/doas.conf; \
                 {program} takes none otherwise"
            ),
            Self::Sudo { .. } => {
                "what --ssh-sudo names is run as sudo is: with -n -- and the command".to_owned()
            }
            Self::NoSudo { .. } => {
                "name what makes root there (--ssh-sudo PATH), or log in as root and without it \
                 (--ssh-user root --ssh-sudo auto)"
                    .to_owned()
            }
            Self::Keyword { .. } => "install OpenSSH's client".to_owned(),
            _ => return None,
        })
    }
}

/// `[host]:port` as ssh-keyscan takes it.
fn keyscan(host: &str) -> String {
    match host
        .strip_prefix('[')
        .and_then(|rest| rest.split_once("]:"))
    {
        Some((host, port)) => format!("-p {port} {host}"),
        None => host.to_owned(),
    }
}
