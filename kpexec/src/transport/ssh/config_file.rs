//! ssh_config(5), where there is no ssh to ask: Host, Include and what is simple. Where a file has Match,
//! only half of it would be understood, so that is refused.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::known_hosts::matches_list;
use super::{Error, Options};

/// How deep files may include one another, as with ssh.
const MAX_DEPTH: usize = 16;

/// Keys that ssh looks for by itself, in ~/.ssh.
const IDENTITIES: [&str; 3] = ["id_rsa", "id_ecdsa", "id_ed25519"];

/// What the keyword of a line is, and its value. Keywords are in small letters.
pub(super) type Pairs = Vec<(String, String)>;

/// What the user's file, and the flags on top of it, say of a host, in the words of `ssh -G`.
///
/// # Errors
/// When the file cannot be read or understood.
pub(super) fn read(name: &str, options: &Options) -> Result<Pairs, Error> {
    let mut pairs = Pairs::new();
    let mut add = |keyword: &str, value: Option<String>| {
        pairs.extend(value.map(|value| (keyword.to_owned(), value)));
    };
    let (user, host) = match name.rsplit_once('@') {
        Some((user, host)) => (Some(user.to_owned()), host),
        None => (None, name),
    };
    add("user", options.user.clone().or(user));
    add("port", options.port.map(|port| port.to_string()));
    add("proxyjump", options.jump.clone());
    for identity in &options.identities {
        add("identityfile", Some(identity.display().to_string()));
    }
    let host = host.to_lowercase();
    let own = std::env::home_dir().map(|home| home.join(".ssh"));
    let own = own.unwrap_or_default();
    let mut read = |folder: PathBuf, file: &Path| {
        let mut reader = Reader {
            host: &host,
            folder,
            pairs: &mut pairs,
        };
        reader.file(file, 0)
    };
    match &options.config {
        Some(file) => read(own, file)?,
        None => {
            let global = global_folder();
            for file in [own.join("config"), global.join("ssh_config")] {
                // Nobody needs to have one.
                if file.exists() {
                    let folder = file.parent().map(Path::to_owned);
                    read(folder.unwrap_or_default(), &file)?;
                }
            }
        }
    }
    let of_way = |keyword: &str| ["proxyjump", "proxycommand"].contains(&keyword);
    // The one that is said first is the way.
    if let Some((first, _)) = pairs.iter().find(|(keyword, _)| of_way(keyword)).cloned() {
        pairs.retain(|(keyword, _)| !of_way(keyword) || *keyword == first);
    }
    add_usual(&mut pairs);
    Ok(pairs)
}

/// What ssh does if nothing is said.
fn add_usual(pairs: &mut Pairs) {
    let is_said = |pairs: &Pairs, keyword: &str| pairs.iter().any(|(name, _)| name == keyword);
    if !is_said(pairs, "identityfile") {
        let paths = IDENTITIES.map(|name| format!("~/.ssh/{name}"));
        pairs.extend(paths.map(|path| ("identityfile".to_owned(), path)));
    }
    let global = global_folder()
        .join("ssh_known_hosts")
        .display()
        .to_string();
    for (keyword, value) in [
        (
            "userknownhostsfile",
            "~/.ssh/known_hosts ~/.ssh/known_hosts2",
        ),
        ("globalknownhostsfile", &global),
    ] {
        if !is_said(pairs, keyword) {
            pairs.push((keyword.to_owned(), value.to_owned()));
        }
    }
}

fn global_folder() -> PathBuf {
    match std::env::var_os("ProgramData") {
        Some(folder) => Path::new(&folder).join("ssh"),
        None => PathBuf::from("/etc/ssh"),
    }
}

/// What files say of a host, as far as they are read.
struct Reader<'a> {
    host: &'a str,
    /// Where files are that are included by a relative path.
    folder: PathBuf,
    pairs: &'a mut Pairs,
}

impl Reader<'_> {
    /// Reads a file that begins within `depth` others.
    fn file(&mut self, path: &Path, depth: usize) -> Result<(), Error> {
        let bad = |source| Error::Config {
            path: path.to_owned(),
            source,
        };
        if depth > MAX_DEPTH {
            return Err(bad(io::Error::other(
                "too many files include one another; Include leads in a circle",
            )));
        }
        let text = fs::read_to_string(path).map_err(bad)?;
        let mut is_meant = true;
        for (keyword, value) in text.lines().filter_map(split) {
            match keyword.to_lowercase().as_str() {
                "host" => is_meant = matches_list(value.split_whitespace(), self.host),
                "match" => {
                    return Err(Error::Keyword {
                        path: path.to_owned(),
                        keyword: keyword.to_owned(),
                    });
                }
                "include" if is_meant => {
                    let patterns = shlex::split(value)
                        .ok_or_else(|| bad(io::Error::other("a quote is not closed")))?;
                    for pattern in patterns {
                        self.included(&pattern, depth)
                            .map_err(|error| match error {
                                Included::Pattern(error) => bad(io::Error::other(error)),
                                Included::File(error) => error,
                            })?;
                    }
                }
                keyword if is_meant => {
                    let value = unquoted(value);
                    let value = match keyword {
                        "hostname" => value.replace("%h", self.host),
                        _ => value.to_owned(),
                    };
                    self.pairs.push((keyword.to_owned(), value));
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Reads what a path of Include leads to, in the order of the names; nothing is nothing.
    fn included(&mut self, pattern: &str, depth: usize) -> Result<(), Included> {
        let (folder, pattern) = match (pattern.strip_prefix("~/"), std::env::home_dir()) {
            (Some(rest), Some(home)) => (home, rest),
            _ => (self.folder.clone(), pattern),
        };
        let folder = glob::Pattern::escape(&folder.to_string_lossy());
        let pattern = Path::new(&folder).join(pattern);
        let files = glob::glob(&pattern.to_string_lossy()).map_err(Included::Pattern)?;
        for file in files.flatten() {
            self.file(&file, depth + 1).map_err(Included::File)?;
        }
        Ok(())
    }
}

/// What may be wrong with an Include.
enum Included {
    Pattern(glob::PatternError),
    File(Error),
}

/// A value that is one word in quotes; others may have quotes of their own, as commands do.
fn unquoted(value: &str) -> &str {
    let inner = value.strip_prefix('"').and_then(|v| v.strip_suffix('"'));
    inner.filter(|inner| !inner.contains('"')).unwrap_or(value)
}

/// A line's keyword and value; None of comments and empty lines.
fn split(line: &str) -> Option<(&str, &str)> {
    let line = line.trim();
    let is_space = |c: char| c.is_whitespace() || c == '=';
    let (keyword, value) = line.split_at(line.find(is_space)?);
    let value = value.trim_start_matches(is_space);
    (!keyword.starts_with('#')).then_some((keyword, value))
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = "\
# a comment
Host node-* !node-9
    User = admin
    IdentityFile \"~/.ssh/my key\"
    HostName %h.example.org
    Include more/*.conf \"absent file\"
Host other
    Include more/*.conf
Host *
    User everybody
    port=2222
";

    fn read_all(folder: &Path, host: &str) -> Result<String, Error> {
        let mut pairs = Pairs::new();
        let mut reader = Reader {
            host,
            folder: folder.to_owned(),
            pairs: &mut pairs,
        };
        reader.file(&folder.join("config"), 0)?;
        let lines: Vec<_> = pairs.iter().map(|(k, v)| format!("{k} {v}")).collect();
        Ok(lines.join("; "))
    }

    fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("more")).unwrap();
        for (name, text) in files {
            fs::write(folder.path().join(name), text).unwrap();
        }
        folder
    }

    #[test]
    fn hosts_are_patterns_and_files_include_others() {
        let folder = folder(&[
            ("config", FILE),
            ("more/b.conf", "Port 2\nHost node-1\n  ProxyJump b\n"),
            ("more/a.conf", "Port 1\nHost other\n  ProxyJump a\n"),
            ("more/c.bak", "Port 3\n"),
        ]);
        let read = |host| read_all(folder.path(), host).unwrap();
        assert_eq!(
            read("node-1"),
            "user admin; identityfile ~/.ssh/my key; hostname node-1.example.org; port 1; port 2; \
             proxyjump b; user everybody; port 2222"
        );
        assert_eq!(read("node-9"), "user everybody; port 2222");
    }

    #[test]
    fn nothing_is_understood_by_half() {
        let refused = |text: &str| {
            let folder = folder(&[("config", text), ("more/bad", "Match all\n")]);
            read_all(folder.path(), "a").unwrap_err()
        };
        for text in ["match all\n", "Include more/bad\n"] {
            assert!(matches!(refused(text), Error::Keyword { .. }), "{text}");
        }
        for text in ["Include config\n", "Include \"a\n", "Include ***\n"] {
            assert!(matches!(refused(text), Error::Config { .. }), "{text}");
        }
    }

    #[test]
    fn flags_come_first() {
        let text = "User b\nPort 2\nIdentityFile /2\nProxyCommand sh -c \"nc %h %p\"\n";
        let folder = folder(&[("config", text)]);
        let mut options = Options {
            config: Some(folder.path().join("config")),
            user: Some("a".into()),
            port: Some(1),
            identities: vec!["/1".into()],
            jump: Some("bastion".into()),
            ..Options::default()
        };
        let said = |options: &Options| {
            let pairs = read("node-1", options).unwrap();
            let own = pairs
                .iter()
                .filter(|(keyword, _)| !keyword.ends_with("hostsfile"));
            let own: Vec<_> = own
                .map(|(keyword, value)| format!("{keyword} {value}"))
                .collect();
            own.join("; ")
        };
        assert_eq!(
            said(&options),
            "user a; port 1; proxyjump bastion; identityfile /1; user b; port 2; identityfile /2"
        );
        options.jump = None;
        assert!(said(&options).ends_with("; proxycommand sh -c \"nc %h %p\""));
        options.config = Some("/nonexistent/config".into());
        assert!(matches!(read("a", &options), Err(Error::Config { .. })));
    }

    #[test]
    fn what_is_usual_is_no_more() {
        let mut pairs = vec![("identityfile".to_owned(), "/k".to_owned())];
        add_usual(&mut pairs);
        let keywords: Vec<_> = pairs.iter().map(|(keyword, _)| keyword.as_str()).collect();
        assert_eq!(
            keywords,
            ["identityfile", "userknownhostsfile", "globalknownhostsfile"]
        );
    }
}
