//! `cnsenter session --from-ssh-original-command`: what an SSH key may run that is for kpexec alone.
//!
//! sshd runs the command of authorized_keys(5), or ForceCommand, in place of what the client asks for,
//! and says that in a variable. Nothing of it is executed: it is read as the words of a session, or of
//! the one question by which kpexec searches for a pod.

use std::ffi::{OsStr, OsString};

use cnsenter_protocol::request::is_plain;

use super::Error;

/// The flag, in the place of a session's protocol number.
const FLAG: &str = "--from-ssh-original-command";

/// Where sshd says what the client asks for.
const VARIABLE: &str = "SSH_ORIGINAL_COMMAND";

/// Whether a session is asked for whose words are sshd's to know.
#[must_use]
pub fn asked_for(args: &[OsString]) -> bool {
    args.get(1).is_some_and(|word| word == "session")
        && args.get(2).is_some_and(|word| word == FLAG)
}

/// What the SSH client asks for.
#[derive(Debug, PartialEq, Eq)]
pub enum Asked {
    /// A session of these words.
    Session(Vec<OsString>),
    /// What runs here; the words after cnsenter's name.
    List(Vec<OsString>),
}

/// Reads what the SSH client asks for.
///
/// # Errors
/// When it asks for anything else, or the flag is not alone.
pub fn read(args: &[OsString]) -> Result<Asked, Error> {
    if args.len() > 3 {
        return Err(Error::Original(format!("{FLAG} stands alone")));
    }
    let line = std::env::var_os(VARIABLE);
    parse(line.as_deref()).map_err(Error::Original)
}

/// Reads `[sudo ...] cnsenter session ...`. What comes before is of no importance: who runs this, and
/// which cnsenter, has been decided.
fn parse(line: Option<&OsStr>) -> Result<Asked, String> {
    let line = line.ok_or_else(|| format!("sshd names no command in {VARIABLE}"))?;
    let line = line.to_str().ok_or("the command is not UTF-8")?;
    let words: Vec<_> = line.split_ascii_whitespace().collect();
    let is_cnsenter = |word: &&str| *word == "cnsenter" || word.ends_with("/cnsenter");
    let start = words.iter().position(is_cnsenter).map(|at| at + 1);
    let words = start
        .and_then(|start| words.get(start..))
        .unwrap_or_default();
    let asked = match words {
        ["session", ..] => Asked::Session,
        // These words alone: other flags would have files read, or sockets asked, of the client's choice.
        ["ls", "-o", "json"] => Asked::List,
        ["ls", "-o", "json", pod] if pod.starts_with("--pod=") => Asked::List,
        _ => return Err("the command is no session of kpexec".to_owned()),
    };
    // A shell would not have passed it on as it is, so kpexec has not written it.
    match words.iter().find(|word| !is_plain(word)) {
        Some(word) => Err(format!("the word {word:?} is none that kpexec writes")),
        None => Ok(asked(words.iter().map(OsString::from).collect())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sessions_alone_are_taken() {
        let read = |line: &str| parse(Some(OsStr::new(line)));
        let words = ["session", "1", "a/b", "full", "--", "ls", "-l"].map(OsString::from);
        for before in ["", "sudo -n -- ", "doas -n -- /usr/local/bin/"] {
            let line = format!("{before}cnsenter session 1 a/b full -- ls -l");
            assert_eq!(read(&line).unwrap(), Asked::Session(words.to_vec()));
        }
        for refused in [
            "",
            "sh",
            "ls session 1",
            "cnsenter ls",
            "cnsenter 3f4e8a -- session",
            "cnsenter --help session",
        ] {
            assert!(
                read(refused).unwrap_err().contains("no session"),
                "{refused}"
            );
        }
        for refused in ["$(id)", "'a", ";id", "=ls", "a`b"] {
            let line = format!("cnsenter session 1 a/b full -- {refused}");
            assert!(
                read(&line).unwrap_err().contains("kpexec writes"),
                "{refused}"
            );
        }
        assert!(parse(None).unwrap_err().contains(VARIABLE));
    }

    #[test]
    fn what_runs_may_be_asked_in_one_way() {
        let read = |line: &str| parse(Some(OsStr::new(line)));
        for line in ["ls -o json", "ls -o json --pod=shop/web-0"] {
            let words = line.split(' ').map(OsString::from).collect();
            let asked = read(&format!("sudo -n -- cnsenter {line}"));
            assert_eq!(asked, Ok(Asked::List(words)));
        }
        for line in [
            "ls -o yaml",
            "ls -a -o json",
            "ls -o json --runtime-endpoint=/s",
            "ls -o json --pod=a/b --runtime-endpoint=/s",
            "ls -o json --host-root=/tmp",
        ] {
            let refused = read(&format!("cnsenter {line}")).unwrap_err();
            assert!(refused.contains("no session"), "{line}");
        }
        let refused = read("cnsenter ls -o json --pod=$(id)").unwrap_err();
        assert!(refused.contains("kpexec writes"));
    }

    #[test]
    fn the_flag_has_its_place() {
        let asks = |line: &str| {
            let args: Vec<_> = line.split(' ').map(Into::into).collect();
            asked_for(&args)
        };
        assert!(asks("cnsenter session --from-ssh-original-command"));
        assert!(!asks("cnsenter session 1 --from-ssh-original-command"));
        assert!(!asks("cnsenter --from-ssh-original-command session"));
    }
}
