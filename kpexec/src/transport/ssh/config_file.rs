//! ssh_config(5), where there is no ssh to ask: Host and what is simple. Where a file has Match or
//! Include, only half of it would be understood, so that is refused.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::known_hosts::matches_list;
use super::settings::Pairs;
use super::{Error, Options};

/// Keys that ssh looks for by itself, in ~/.ssh.
const IDENTITIES: [&str; 3] = ["id_rsa", "id_ecdsa", "id_ed25519"];

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
    let usual = std::env::home_dir().map(|home| home.join(".ssh/config"));
    if let Some(file) = options.config.clone().or(usual) {
        let text = match fs::read_to_string(&file) {
            Err(error) if error.kind() == io::ErrorKind::NotFound && options.config.is_none() => {
                String::new()
            }
            text => text.map_err(|source| Error::Config {
                path: file.clone(),
                source,
            })?,
        };
        let found = parse(&text, host);
        pairs.extend(found.map_err(|keyword| Error::Keyword {
            path: file.clone(),
            keyword,
        })?);
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

/// What a file says of a host, or the keyword that it cannot be understood for.
fn parse(text: &str, host: &str) -> Result<Pairs, String> {
    let host = host.to_lowercase();
    let mut pairs = Pairs::new();
    let mut is_meant = true;
    for line in text.lines() {
        let line = line.trim();
        let Some(end) = line.find(|c: char| c.is_whitespace() || c == '=') else {
            continue;
        };
        let (keyword, value) = line.split_at(end);
        let value = value.trim_start_matches(|c: char| c.is_whitespace() || c == '=');
        match keyword.to_lowercase().as_str() {
            comment if comment.starts_with('#') => {}
            "host" => is_meant = matches_list(value.split_whitespace(), &host),
            "match" | "include" => return Err(keyword.to_owned()),
            keyword if is_meant => {
                let value = value.trim_matches('"');
                let value = match keyword {
                    "hostname" => value.replace("%h", &host),
                    _ => value.to_owned(),
                };
                pairs.push((keyword.to_owned(), value));
            }
            _ => {}
        }
    }
    Ok(pairs)
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
Host *
    User everybody
    port=2222
";

    fn parsed(host: &str) -> String {
        let pairs = parse(FILE, host).unwrap();
        let lines: Vec<_> = pairs.iter().map(|(k, v)| format!("{k} {v}")).collect();
        lines.join("; ")
    }

    #[test]
    fn hosts_are_patterns() {
        assert_eq!(
            parsed("Node-1"),
            "user admin; identityfile ~/.ssh/my key; hostname node-1.example.org; \
             user everybody; port 2222"
        );
        assert_eq!(parsed("node-9"), "user everybody; port 2222");
    }

    #[test]
    fn nothing_is_understood_by_half() {
        assert_eq!(parse("match all\n", "a"), Err("match".into()));
        assert_eq!(parse("Host b\nInclude x\n", "a"), Err("Include".into()));
    }

    #[test]
    fn flags_come_first() {
        let options = Options {
            config: Some("/nonexistent/config".into()),
            ..Options::default()
        };
        assert!(matches!(read("a", &options), Err(Error::Config { .. })));
        let mut pairs = vec![("identityfile".to_owned(), "/k".to_owned())];
        add_usual(&mut pairs);
        let keywords: Vec<_> = pairs.iter().map(|(keyword, _)| keyword.as_str()).collect();
        assert_eq!(
            keywords,
            ["identityfile", "userknownhostsfile", "globalknownhostsfile"]
        );
    }
}
