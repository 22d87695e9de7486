//! known_hosts files, as sshd(8) describes them: which keys a host may have.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use ring::hmac;
use ring::rand::{SecureRandom, SystemRandom};
use russh::keys::ssh_key::known_hosts::{Entry, HostPatterns, Marker};
use russh::keys::{Algorithm, PublicKey};

/// The port that known_hosts leaves out.
pub(super) const PORT: u16 = 22;

/// What a key revocation list begins with (PROTOCOL.krl of OpenSSH).
const KRL: &[u8] = b"SSHKRL\n";

/// A line of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) file: PathBuf,
    /// From 1.
    pub(super) line: usize,
}

/// What is known of one host.
#[derive(Debug, Default)]
pub(super) struct Known {
    /// Its keys.
    keys: Vec<(PublicKey, Place)>,
    /// Those whose certificates hold for it.
    authorities: Vec<PublicKey>,
    /// Keys that it must not have.
    revoked: Vec<(PublicKey, Place)>,
}

/// What a key is to a host.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict<'a> {
    /// One of its own.
    Its,
    /// Nobody has said anything.
    Unknown,
    /// It has others.
    Another(&'a Place),
    /// It may not be used.
    Revoked(&'a Place),
}

/// As known_hosts names a host.
pub(super) fn name_of(host: &str, port: u16) -> String {
    let host = host.to_lowercase();
    match port {
        PORT => host,
        port => format!("[{host}]:{port}"),
    }
}

/// What the files say of each of these names of one host; those that are not there say nothing.
///
/// # Errors
/// When one cannot be read.
pub(super) fn read(
    files: &[PathBuf],
    names: &[String],
) -> Result<Vec<Known>, (PathBuf, io::Error)> {
    let mut known: Vec<_> = names.iter().map(|_| Known::default()).collect();
    for file in files {
        match fs::read(file) {
            Ok(bytes) => {
                let text = String::from_utf8_lossy(&bytes);
                let each = known.iter_mut().zip(names);
                each.for_each(|(known, name)| known.add(file, &text, name));
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err((file.clone(), error)),
        }
    }
    Ok(known)
}

impl Known {
    /// Adds keys that no host may have, a public key a line: RevokedHostKeys of ssh_config(5).
    ///
    /// # Errors
    /// When the file cannot be read: then no key can be trusted.
    pub(super) fn revoke(&mut self, file: &Path) -> io::Result<()> {
        let bytes = fs::read(file)?;
        if bytes.starts_with(KRL) {
            let why =
                "it is a key revocation list, which kpexec does not read; --ssh-command ssh does";
            return Err(io::Error::other(why));
        }
        for (text, line) in String::from_utf8_lossy(&bytes).lines().zip(1..) {
            let text = text.trim();
            if text.is_empty() || text.starts_with('#') {
                continue;
            }
            let key = text.parse();
            let key = key.map_err(|_| io::Error::other(format!("line {line} is no public key")))?;
            let file = file.to_owned();
            self.revoked.push((key, Place { file, line }));
        }
        Ok(())
    }

    /// Adds what a text says of a host.
    pub(super) fn add(&mut self, file: &Path, text: &str, host: &str) {
        for (line, number) in text.lines().zip(1..) {
            // A line that nobody understands names nobody, as ssh has it.
            let Some(entry) = parse(line).filter(|entry| names(entry.host_patterns(), host)) else {
                continue;
            };
            let file = file.to_owned();
            let place = Place { file, line: number };
            let key = entry.public_key().clone();
            match entry.marker() {
                None => self.keys.push((key, place)),
                Some(Marker::CertAuthority) => self.authorities.push(key),
                Some(Marker::Revoked) => self.revoked.push((key, place)),
            }
        }
    }

    /// What a key is.
    pub(super) fn judge(&self, key: &PublicKey) -> Verdict<'_> {
        let is_it = |(other, _): &&(PublicKey, Place)| other.key_data() == key.key_data();
        if let Some((_, place)) = self.revoked.iter().find(is_it) {
            return Verdict::Revoked(place);
        }
        if self.keys.iter().any(|known| is_it(&known)) {
            return Verdict::Its;
        }
        // One of another kind as well: whoever is in between could choose that.
        let same_kind = |(other, _): &&(PublicKey, Place)| other.algorithm() == key.algorithm();
        let other = self.keys.iter().find(same_kind);
        match other.or_else(|| self.keys.first()) {
            Some((_, place)) => Verdict::Another(place),
            None => Verdict::Unknown,
        }
    }

    /// Those whose certificates hold for the host.
    pub(super) fn authorities(&self) -> &[PublicKey] {
        &self.authorities
    }

    /// Kinds of keys, those first that the host is known by: it shows the first that it has.
    pub(super) fn in_order(&self, kinds: &[Algorithm]) -> Vec<Algorithm> {
        let same = |kind: &Algorithm, key: &PublicKey| match (kind, key.algorithm()) {
            (Algorithm::Rsa { .. }, Algorithm::Rsa { .. }) => true,
            (kind, other) => *kind == other,
        };
        let is_known = |kind: &&Algorithm| self.keys.iter().any(|(key, _)| same(kind, key));
        let (known, others): (Vec<_>, Vec<_>) = kinds.iter().partition(is_known);
        known.into_iter().chain(others).cloned().collect()
    }
}

/// Writes a host's key to a file; by the hash of its name, if that is to stay unknown.
///
/// # Errors
/// When that fails.
pub(super) fn remember(file: &Path, host: &str, key: &PublicKey, hashed: bool) -> io::Result<()> {
    let key = key.to_openssh().map_err(io::Error::other)?;
    let mut fields = key.split(' ');
    let [kind, base64] = [fields.next(), fields.next()].map(Option::unwrap_or_default);
    let host = if hashed {
        hash_anew(host)?
    } else {
        host.to_owned()
    };
    if let Some(folder) = file.parent() {
        make_private(folder)?;
    }
    let text = fs::read(file).unwrap_or_default();
    let mut line = format!("{host} {kind} {base64}\n");
    if text.last().is_some_and(|byte| *byte != b'\n') {
        line.insert(0, '\n');
    }
    let mut file = OpenOptions::new().append(true).create(true).open(file)?;
    file.write_all(line.as_bytes())
}

/// Makes a folder for this user alone, if it is not there.
fn make_private(folder: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    match builder.recursive(true).create(folder) {
        Err(_) if folder.is_dir() => Ok(()),
        made => made,
    }
}

fn parse(line: &str) -> Option<Entry> {
    let line = line.trim();
    if line.is_empty() || line.starts_with('#') {
        return None;
    }
    // Tabs and several blanks are one to ssh.
    let fields: Vec<_> = line.split_whitespace().take(4).collect();
    let with_marker = line.starts_with('@');
    let fields = fields.get(..if with_marker { 4 } else { 3 })?;
    fields.join(" ").parse().ok()
}

fn names(patterns: &HostPatterns, host: &str) -> bool {
    match patterns {
        HostPatterns::HashedName { salt, hash } => hash_of(salt, host).as_ref() == hash,
        HostPatterns::Patterns(patterns) => matches_list(patterns.iter().map(String::as_str), host),
    }
}

/// Whether one of the patterns matches, and none of those after a "!" does (ssh_config(5)).
pub(super) fn matches_list<'a>(patterns: impl Iterator<Item = &'a str>, text: &str) -> bool {
    let mut found = false;
    for pattern in patterns {
        let (is_negated, pattern) = match pattern.strip_prefix('!') {
            Some(pattern) => (true, pattern),
            None => (false, pattern),
        };
        if matches(pattern.to_lowercase().as_bytes(), text.as_bytes()) {
            if is_negated {
                return false;
            }
            found = true;
        }
    }
    found
}

/// `*` is any text, `?` any character. Going back to the last `*` alone is enough.
fn matches(pattern: &[u8], text: &[u8]) -> bool {
    let (mut p, mut t) = (0, 0);
    let mut back = None;
    while t < text.len() {
        match pattern.get(p) {
            Some(b'*') => {
                back = Some((p + 1, t));
                p += 1;
            }
            Some(&c) if c == b'?' || c == text[t] => {
                p += 1;
                t += 1;
            }
            _ => {
                let Some((after, from)) = back else {
                    return false;
                };
                (p, t) = (after, from + 1);
                back = Some((after, t));
            }
        }
    }
    pattern[p..].iter().all(|c| *c == b'*')
}

fn hash_of(salt: &[u8], host: &str) -> hmac::Tag {
    let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, salt);
    hmac::sign(&key, host.as_bytes())
}

fn hash_anew(host: &str) -> io::Result<String> {
    let mut salt = [0; 20];
    let filled = SystemRandom::new().fill(&mut salt);
    filled.map_err(|_| io::Error::other("there are no random numbers"))?;
    let hash = hash_of(&salt, host);
    let [salt, hash] = [&salt, hash.as_ref()].map(|bytes: &[u8]| BASE64.encode(bytes));
    Ok(format!("|1|{salt}|{hash}"))
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(in super::super) const A: &str =
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIB9dG4kjRhQTtWTVzd2t27+t0DEHBPW7iOD23TUiYLio";
    pub(in super::super) const B: &str =
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJdD7y3aLq454yWBdwLWbieU1ebz9/cu7/QEXn9OIeZJ";

    fn key(text: &str) -> PublicKey {
        text.parse().unwrap()
    }

    fn known(text: &str, host: &str) -> Known {
        let mut known = Known::default();
        known.add(Path::new("f"), text, host);
        known
    }

    pub(in super::super) fn told(verdict: &Verdict<'_>) -> String {
        match verdict {
            Verdict::Its => "its".to_owned(),
            Verdict::Unknown => "unknown".to_owned(),
            Verdict::Another(place) => format!("another, line {}", place.line),
            Verdict::Revoked(place) => format!("revoked, line {}", place.line),
        }
    }

    fn verdict(text: &str, host: &str, which: &str) -> String {
        told(&known(text, host).judge(&key(which)))
    }

    #[test]
    fn keys_belong_to_hosts() {
        let file = format!("# a comment\n\nodd line\nweb,10.0.0.1 {A} someone@somewhere\n");
        assert_eq!(verdict(&file, "web", A), "its");
        assert_eq!(verdict(&file, "10.0.0.1", A), "its");
        assert_eq!(verdict(&file, "web", B), "another, line 4");
        assert_eq!(verdict(&file, "db", A), "unknown");
        let tabs = format!("\tweb\t \t{}\n", A.replace(' ', "\t"));
        assert_eq!(verdict(&tabs, "web", A), "its");
    }

    #[test]
    fn names_are_patterns() {
        let file = format!("*.example.org,!bad.example.org,[*]:2222,n? {A}\n");
        for (host, expected) in [
            ("a.example.org", "its"),
            ("a.b.example.org", "its"),
            ("bad.example.org", "unknown"),
            ("example.org", "unknown"),
            ("[anything]:2222", "its"),
            ("anything", "unknown"),
            ("n1", "its"),
            ("n10", "unknown"),
        ] {
            assert_eq!(verdict(&file, host, A), expected, "{host}");
        }
        assert_eq!(verdict(&format!("WEB {A}"), &name_of("Web", 22), A), "its");
        assert_eq!(name_of("Web", 2222), "[web]:2222");
        assert!(matches(b"a*b*c", b"abbbcxc") && !matches(b"a*b*c", b"abbbcx"));
        assert!(matches(b"*", b"") && !matches(b"?", b""));
    }

    #[test]
    fn names_may_be_hashed() {
        // By ssh-keygen -H.
        let file = format!("|1|JfKTdBh7rNbXkVAQCRp4OQoPfmI=|USECr3SWf1JUPsms5AqfD5QfxkM= {A}\n");
        assert_eq!(verdict(&file, "cvs.example.net", A), "unknown");
        let file = format!("{} {A}\n", hash_anew("web").unwrap());
        assert_eq!(verdict(&file, "web", A), "its");
        assert_eq!(verdict(&file, "db", A), "unknown");
    }

    #[test]
    fn marked_keys_are_no_hosts_keys() {
        let file = format!("@revoked * {A}\nweb {A}\n@cert-authority *.org {B}\n");
        assert_eq!(verdict(&file, "web", A), "revoked, line 1");
        assert_eq!(verdict(&file, "a.org", B), "unknown");
        assert_eq!(known(&file, "a.org").authorities(), [key(B)]);
        assert!(known(&file, "web").authorities().is_empty());
    }

    #[test]
    fn what_is_known_is_asked_for_first() {
        let kinds = [Algorithm::Rsa { hash: None }, Algorithm::Ed25519];
        let file = format!("web {A}\n");
        let order = known(&file, "web").in_order(&kinds);
        assert_eq!(order, [Algorithm::Ed25519, kinds[0].clone()]);
        assert_eq!(known(&file, "db").in_order(&kinds), kinds);
    }

    #[test]
    fn keys_are_remembered() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("ssh/known_hosts");
        for (host, hashed) in [("web", false), ("db", true)] {
            remember(&file, host, &key(A), hashed).unwrap();
            let text = fs::read_to_string(&file).unwrap();
            assert_eq!(verdict(&text, host, A), "its");
            let is_plain = text.lines().any(|line| line.starts_with(host));
            assert_eq!(is_plain, !hashed);
            // As an editor may leave it.
            fs::write(&file, text.trim_end()).unwrap();
        }
    }
}
