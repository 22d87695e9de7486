//! How cnsenter becomes root on a node: sudo(8), doas(1), or nothing, for whoever is root already.

use std::path::Path;

use super::Error;
use super::ended::Ended;
use super::process::How;

/// What sudo asks for a password with: nobody else says that.
pub(super) const MARKER: &str = "kpexec-asks-for-the-password:";

/// The exit code of a shell that has not found a program.
const NOT_FOUND: How = How::Code(127);

/// `--ssh-sudo`: how cnsenter becomes root.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Sudo {
    /// Through sudo or doas, unless root logs in.
    #[default]
    Auto,
    /// Through sudo, whoever logs in.
    Always,
    /// It does not.
    Never,
    /// Through this program: a sudo, or, by its name, a doas.
    Program(String),
}

impl Sudo {
    /// Reads what `--ssh-sudo` takes.
    ///
    /// # Errors
    /// What it takes, in words.
    pub fn parse(text: &str) -> Result<Self, String> {
        let is_plain = cnsenter_protocol::request::is_plain(text);
        match text {
            "auto" => Ok(Self::Auto),
            "always" => Ok(Self::Always),
            "never" => Ok(Self::Never),
            path if path.starts_with('/') && is_plain => Ok(Self::Program(path.to_owned())),
            "doas" | "sudo" => Ok(Self::Program(text.to_owned())),
            _ => Err("it is auto, always, never, sudo, doas or a program's whole path".to_owned()),
        }
    }

    /// What is tried first for who is logged in, if that is known.
    pub(super) fn first(&self, user: Option<&str>) -> Prefix {
        let is_root = user.is_none_or(|user| user == "root");
        match self {
            Self::Never => Prefix::None,
            Self::Auto if is_root => Prefix::None,
            Self::Auto => Prefix::of("sudo", true),
            Self::Always => Prefix::of("sudo", false),
            Self::Program(program) => Prefix::of(program, false),
        }
    }
}

/// What comes before cnsenter on its command line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Prefix {
    /// Nothing.
    None,
    /// sudo.
    Sudo {
        program: String,
        /// It may ask for a password.
        asks: bool,
        /// There may be a doas in its place.
        or_doas: bool,
    },
    /// doas, which takes a password from a terminal only.
    Doas { program: String },
}

/// What ssh ends with when its connection does, or does not begin.
const BROKEN: u32 = 255;

impl Prefix {
    fn of(program: &str, or_doas: bool) -> Self {
        let program = program.to_owned();
        let name = Path::new(&program).file_name();
        match name.is_some_and(|name| name == "doas") {
            true => Self::Doas { program },
            false => Self::Sudo {
                program,
                asks: false,
                or_doas,
            },
        }
    }

    /// Its words. What follows is the command, whatever it begins with.
    pub(super) fn words(&self) -> Vec<String> {
        let words = match self {
            Self::None => vec![],
            Self::Sudo {
                program,
                asks: false,
                ..
            }
            | Self::Doas { program } => vec![program.as_str(), "-n", "--"],
            Self::Sudo { program, .. } => vec![program.as_str(), "-S", "-p", MARKER, "--"],
        };
        words.into_iter().map(str::to_owned).collect()
    }

    /// Whether it asks for a password, and by [`MARKER`].
    pub(super) fn asks(&self) -> bool {
        matches!(self, Self::Sudo { asks: true, .. })
    }

    /// Whether it has started cnsenter: what that says of itself begins with its name, and sudo ends
    /// with 1.
    pub(super) fn has_started_it(&self, ended: &Ended) -> bool {
        match ended.how {
            How::Code(0 | 125) => true,
            How::Code(127) | How::Lost(_) | How::Refused(_) => false,
            _ => *self == Self::None && !ended.has_not_found(),
        }
    }

    /// What else is to be tried after this came to nothing.
    pub(super) fn after(&self, ended: &Ended, may_ask: bool) -> Option<Self> {
        let Self::Sudo {
            program,
            asks,
            or_doas,
        } = self
        else {
            return None;
        };
        match &ended.how {
            how if *how == NOT_FOUND && *or_doas => Some(Self::of("doas", false)),
            // That it wants a password is known only by asking it for one.
            How::Code(1) if may_ask && !asks && !ended.has_not_found() => Some(Self::Sudo {
                program: program.clone(),
                asks: true,
                or_doas: false,
            }),
            _ => None,
        }
    }

    /// Why there is no cnsenter.
    pub(super) fn why(&self, host: &str, ended: Ended) -> Error {
        let host = host.to_owned();
        let said = ended.words();
        match ended.how {
            How::Lost(reason) => return Error::Lost { host, reason },
            How::Refused(why) => return Error::NoExec { host, why },
            How::Code(BROKEN) if ended.is_of_a_broken_line() => {
                return Error::Lost { host, reason: said };
            }
            _ => {}
        }
        // A shell's words are about the first word of all; sudo's and doas' own, about cnsenter.
        let is_missing = ended.how == NOT_FOUND;
        match self {
            Self::None if is_missing || ended.has_not_found() => Error::NoCnsenter { host },
            Self::None => Error::NoGreeting { host, said },
            Self::Sudo { program, .. } | Self::Doas { program } => {
                let program = program.clone();
                match (is_missing, ended.has_not_found()) {
                    (true, _) => Error::NoSudo { host, program },
                    (false, true) => Error::NoCnsenter { host },
                    (false, false) => Error::Sudo {
                        host,
                        program,
                        said,
                    },
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ended(code: u32, stderr: &str) -> Ended {
        Ended {
            how: How::Code(code),
            stdout: Vec::new(),
            stderr: stderr.as_bytes().to_vec(),
        }
    }

    #[test]
    fn root_needs_nobody() {
        let line = |sudo: &str, user| {
            let sudo = Sudo::parse(sudo).unwrap();
            sudo.first(user).words().join(" ")
        };
        assert_eq!(line("auto", Some("root")), "");
        assert_eq!(line("auto", None), "");
        assert_eq!(line("auto", Some("admin")), "sudo -n --");
        assert_eq!(line("always", Some("root")), "sudo -n --");
        assert_eq!(line("never", Some("admin")), "");
        assert_eq!(line("/opt/bin/doas", Some("admin")), "/opt/bin/doas -n --");
        assert_eq!(line("/opt/sudo-1.9", None), "/opt/sudo-1.9 -n --");
        assert!(Sudo::parse("su do").is_err());
        assert!(Sudo::parse("/bin/a b").is_err());
    }

    #[test]
    fn one_thing_is_tried_after_the_other() {
        let first = Sudo::Auto.first(Some("admin"));
        let password = ended(1, "sudo: a password is required\n");
        assert_eq!(first.after(&password, false), None);
        let asking = first.after(&password, true).unwrap();
        assert!(asking.asks() && asking.words().contains(&"-S".to_owned()));
        assert_eq!(asking.after(&password, true), None);
        let missing = ended(127, "bash: line 1: sudo: command not found\n");
        let doas = first.after(&missing, true).unwrap();
        assert_eq!(doas.words()[0], "doas");
        assert_eq!(doas.after(&missing, true), None);
        let always = Sudo::Always.first(Some("admin"));
        assert_eq!(always.after(&missing, true), None);
    }

    #[test]
    fn what_is_missing_is_told_apart() {
        let why = |sudo: Sudo, ended| sudo.first(Some("admin")).why("n", ended).to_string();
        let of_shell = || ended(127, "sh: 1: x: not found");
        let of_sudo = || ended(1, "sudo: cnsenter: command not found");
        assert!(why(Sudo::Never, of_shell()).contains("cnsenter is not installed"));
        assert!(why(Sudo::Always, of_shell()).contains("sudo is not installed"));
        assert!(why(Sudo::Always, of_sudo()).contains("cnsenter is not installed"));
        let refused = ended(1, "sudo: a password is required");
        assert!(why(Sudo::Always, refused).contains("a password is required"));
        let noisy = || {
            let noise = "bash: pyenv: command not found\n";
            ended(1, &format!("{noise}sudo: a password is required\n"))
        };
        assert!(why(Sudo::Always, noisy()).contains("a password is required"));
        let first = Sudo::Auto.first(Some("admin"));
        assert!(first.after(&noisy(), true).is_some());
        let french = || ended(1, "sudo: cnsenter : commande introuvable\n");
        assert!(why(Sudo::Always, french()).contains("cnsenter is not installed"));
        assert_eq!(first.after(&french(), true), None);
    }

    #[test]
    fn a_line_that_breaks_is_no_missing_cnsenter() {
        let why = |stderr: &str| Prefix::None.why("node-1", ended(255, stderr));
        for unknown in ["", "client_loop: send disconnect: Broken pipe\r\n"] {
            assert!(matches!(why(unknown), Error::Lost { .. }), "{unknown:?}");
        }
        let refused = why("ssh: connect to host node-1 port 22: Connection refused\r\n");
        assert!(matches!(refused, Error::NoGreeting { .. }));
    }
}
