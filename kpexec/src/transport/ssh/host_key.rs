//! Whether a host is who it was: what is done with the key that it shows.

use std::io;
use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

use russh::keys::ssh_key::certificate::CertType;
use russh::keys::{Algorithm, Certificate, HashAlg, PublicKey, PublicKeyOrCertificate};

use super::Error;
use super::known_hosts::{self, Known, Verdict};
use super::known_hosts_command;
use super::prompt::Prompt;
use super::settings::{Settings, Strict};

/// A host, and what is known of it.
pub(super) struct HostKeys {
    /// As known_hosts names it.
    host: String,
    /// The same without its port, and the node's own name: so certificates have it.
    principals: Vec<String>,
    /// What is known by that name, and after it by its others.
    known: Vec<Known>,
    /// Whether that is HostKeyAlias.
    is_alias: bool,
    strict: Strict,
    /// Where keys are remembered, and whether by a hash.
    file: Option<PathBuf>,
    hashed: bool,
}

impl HostKeys {
    /// Reads what is known of a host.
    ///
    /// # Errors
    /// When a file cannot be read.
    pub(super) async fn read(settings: &Settings, prompt: &Prompt) -> Result<Self, Error> {
        let mut keys = Self::of_files(settings)?;
        if let Some(known) = keys.known.first_mut() {
            known_hosts_command::ask(settings, &keys.host, known, prompt).await;
        }
        Ok(keys)
    }

    fn of_files(settings: &Settings) -> Result<Self, Error> {
        let host = match &settings.host_key_alias {
            Some(alias) => alias.to_lowercase(),
            None => known_hosts::name_of(&settings.host, settings.port),
        };
        let principals: Vec<_> = match &settings.host_key_alias {
            Some(alias) => vec![alias],
            None => [&settings.host].into_iter().chain(&settings.node).collect(),
        };
        let user_files = settings.user_known_hosts.iter();
        let files: Vec<_> = user_files
            .chain(&settings.global_known_hosts)
            .cloned()
            .collect();
        let mut names = vec![host.clone()];
        names.extend(others(settings));
        let bad = |(path, source)| Error::Config { path, source };
        let mut known = known_hosts::read(&files, &names).map_err(bad)?;
        if let (Some(file), Some(known)) = (&settings.revoked_host_keys, known.first_mut()) {
            // Without it, no key can be trusted.
            let file = file.as_ref().map_err(|text| {
                let why = "RevokedHostKeys has a token or variable that kpexec does not know";
                bad((text.into(), io::Error::other(why)))
            })?;
            let revoked = known.revoke(file);
            revoked.map_err(|source| bad((file.clone(), source)))?;
        }
        Ok(Self {
            principals: principals.iter().map(|name| name.to_lowercase()).collect(),
            known,
            host,
            is_alias: settings.host_key_alias.is_some(),
            strict: settings.strict,
            file: settings.user_known_hosts.first().cloned(),
            hashed: settings.hash_known_hosts,
        })
    }

    /// What a key is to the host, by any of its names: by the first that says something good, else by the
    /// first of all.
    fn judge(&self, key: &PublicKey) -> Verdict<'_> {
        let mut verdicts: Vec<_> = self.known.iter().map(|known| known.judge(key)).collect();
        let is_revoked = |verdict: &Verdict<'_>| matches!(verdict, Verdict::Revoked(_));
        if let Some(at) = verdicts.iter().position(is_revoked) {
            return verdicts.swap_remove(at);
        }
        let first = verdicts.swap_remove(0);
        match first {
            Verdict::Unknown if verdicts.contains(&Verdict::Its) => Verdict::Its,
            first => first,
        }
    }

    /// Those whose certificates hold for the host.
    pub(super) fn authorities(&self) -> impl Iterator<Item = &PublicKey> {
        self.known.iter().flat_map(Known::authorities)
    }

    /// Kinds of keys, those first that the host is known by.
    pub(super) fn in_order(&self, kinds: &[Algorithm]) -> Vec<Algorithm> {
        let mut kinds = kinds.to_vec();
        // What the first says counts most.
        for known in self.known.iter().rev() {
            kinds = known.in_order(&kinds);
        }
        kinds
    }

    /// Decides on what the host shows; asks, if the user may be asked.
    ///
    /// # Errors
    /// Why it is not the host, as far as is known.
    pub(super) async fn check(
        &self,
        shown: &PublicKeyOrCertificate,
        prompt: &Prompt,
    ) -> Result<(), Error> {
        let key = shown.public_key();
        let verdict = self.judge(&key);
        if let Verdict::Revoked(place) = verdict {
            return Err(Error::RevokedKey {
                host: self.host.clone(),
                key: described(&key),
                file: place.file.clone(),
                line: place.line,
            });
        }
        if let Some(certificate) = shown.certificate() {
            let Some(why) = self.fault_of(certificate)? else {
                return Ok(());
            };
            // As ssh: a certificate that does not hold is a key, which may be known all the same.
            match verdict {
                Verdict::Its => {}
                Verdict::Unknown if self.may_meet(prompt) => {
                    let host = &self.host;
                    prompt.note(&format!("The certificate of {host} does not hold: {why}"));
                }
                _ => return Err(self.bad_certificate(why)),
            }
        }
        match verdict {
            Verdict::Its | Verdict::Revoked(_) => Ok(()),
            Verdict::Another(place) => Err(Error::ChangedKey {
                host: self.host.clone(),
                key: described(&key),
                file: place.file.clone(),
                line: place.line,
            }),
            Verdict::Unknown => self.meet(&key, prompt).await,
        }
    }

    /// Whether a key that nobody knows may become known.
    fn may_meet(&self, prompt: &Prompt) -> bool {
        match self.strict {
            Strict::AcceptNew => true,
            Strict::Ask => prompt.may(),
            Strict::Yes => false,
        }
    }

    /// A host that nobody has met.
    async fn meet(&self, key: &PublicKey, prompt: &Prompt) -> Result<(), Error> {
        let is_met = self.may_meet(prompt)
            && (self.strict == Strict::AcceptNew || self.asked(key, prompt).await?);
        if !is_met {
            return Err(Error::UnknownKey {
                host: self.host.clone(),
                key: described(key),
                file: self.file.clone(),
                is_alias: self.is_alias,
            });
        }
        let Some(file) = &self.file else {
            return Ok(());
        };
        if let Err(error) = known_hosts::remember(file, &self.host, key, self.hashed) {
            let (host, file) = (&self.host, file.display());
            prompt.note(&format!(
                "Warning: cannot add the key of {host} to {file}: {error}"
            ));
        } else if self.strict == Strict::AcceptNew {
            prompt.note(&format!(
                "Warning: the key of {}, {}, was not known; it is now, in {}",
                self.host,
                described(key),
                file.display()
            ));
        }
        Ok(())
    }

    /// As ssh asks: the fingerprint is an answer as well.
    async fn asked(&self, key: &PublicKey, prompt: &Prompt) -> Result<bool, Error> {
        let fingerprint = key.fingerprint(HashAlg::Sha256).to_string();
        let mut question = format!(
            "The key of {} is not known: {}.\nIs this the host? (yes, no or its fingerprint) ",
            self.host,
            described(key)
        );
        loop {
            match prompt.line(&question).await?.as_str() {
                "yes" => return Ok(true),
                "no" => return Ok(false),
                answer if answer == fingerprint => return Ok(true),
                _ => "Write yes, no or its fingerprint: ".clone_into(&mut question),
            }
        }
    }

    /// Why a certificate does not hold (PROTOCOL.certkeys of OpenSSH), if it does not.
    ///
    /// # Errors
    /// When its authority is revoked: its word is as bad as none at all.
    fn fault_of(&self, certificate: &Certificate) -> Result<Option<&'static str>, Error> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        let now = now.map_or(0, |time| time.as_secs());
        let trusted = self
            .authorities()
            .map(|key| key.fingerprint(HashAlg::Sha256));
        let trusted: Vec<_> = trusted.collect();
        let signer = PublicKey::new(certificate.signature_key().clone(), "");
        if matches!(self.judge(&signer), Verdict::Revoked(_)) {
            return Err(self.bad_certificate("the key that has signed it is revoked"));
        }
        Ok(if !trusted.contains(&signer.fingerprint(HashAlg::Sha256)) {
            Some("no @cert-authority of known_hosts has signed it")
        } else if certificate.cert_type() != CertType::Host {
            Some("it is a user's")
        } else if !certificate.critical_options().is_empty() {
            Some("it has critical options, and hosts have none")
        } else if !self.is_named_by(certificate) {
            Some("it is another host's")
        } else if now < certificate.valid_after() || now >= certificate.valid_before() {
            Some("it is not valid yet, or not any more")
        } else if certificate.validate_at(now, &trusted).is_err() {
            Some("its signature is wrong")
        } else {
            None
        })
    }

    fn bad_certificate(&self, why: &'static str) -> Error {
        Error::Certificate {
            host: self.host.clone(),
            why,
        }
    }

    fn is_named_by(&self, certificate: &Certificate) -> bool {
        let mut names = certificate.valid_principals().iter().map(String::as_str);
        names.any(|name| {
            let mut ours = self.principals.iter();
            ours.any(|own| known_hosts::matches_list(std::iter::once(name), own))
        })
    }
}

/// Names that a host may be known by as well: without its port, as ssh has it, and the node's own and its
/// other addresses, where one address is all that was looked for. Whoever shows that node's key is that
/// node.
fn others(settings: &Settings) -> Vec<String> {
    if settings.host_key_alias.is_some() {
        return Vec::new();
    }
    let mut names = Vec::new();
    let hosts = [&settings.host].into_iter().chain(&settings.node);
    for host in hosts.chain(&settings.others) {
        for port in [settings.port, known_hosts::PORT] {
            names.push(known_hosts::name_of(host, port));
        }
    }
    names.dedup();
    names.split_off(1)
}

fn described(key: &PublicKey) -> String {
    let fingerprint = key.fingerprint(HashAlg::Sha256);
    format!("{} {fingerprint}", key.algorithm())
}

#[cfg(test)]
mod tests {
    use super::super::known_hosts::tests::{A, B, told};
    use super::*;

    /// What key A is to a node, which this is known of.
    fn verdict(known: &str, said: &[(&str, &str)]) -> Result<String, Error> {
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
        std::fs::write(file("known"), known).unwrap();
        std::fs::write(file("revoked"), format!("# Lost\n{A}\n")).unwrap();
        std::fs::write(file("krl"), b"SSHKRL\n\0\0").unwrap();
        let mut pairs = vec![("userknownhostsfile".to_owned(), file("known"))];
        let said = said.iter().map(|&(keyword, value)| match keyword {
            "revokedhostkeys" if !value.starts_with('%') => (keyword.to_owned(), file(value)),
            _ => (keyword.to_owned(), value.to_owned()),
        });
        pairs.extend(said);
        let settings = Settings {
            node: Some("node-3".to_owned()),
            ..Settings::new("10.0.0.3", &pairs)
        };
        let keys = HostKeys::of_files(&settings)?;
        Ok(told(&keys.judge(&A.parse().unwrap())))
    }

    #[test]
    fn a_host_has_several_names() {
        let is = |known: &str, said: &[(&str, &str)]| verdict(known, said).unwrap();
        let port = [("port", "2222")];
        assert_eq!(is(&format!("10.0.0.3 {A}"), &[]), "its");
        assert_eq!(is(&format!("10.0.0.3 {A}"), &port), "its");
        assert_eq!(is(&format!("[node-3]:2222 {A}"), &port), "its");
        assert_eq!(is(&format!("node-3 {A}"), &port), "its");
        assert_eq!(is(&format!("[node-3]:2222 {A}"), &[]), "unknown");
        assert_eq!(
            is(&format!("node-3 {A}"), &[("hostkeyalias", "x")]),
            "unknown"
        );
        // What is said of the name that was looked for counts most; what is revoked, by any of them.
        let changed = format!("node-3 {A}\n10.0.0.3 {B}");
        assert_eq!(is(&changed, &[]), "another, line 2");
        assert_eq!(is(&format!("node-3 {B}"), &[]), "unknown");
        let revoked = format!("10.0.0.3 {A}\n@revoked node-3 {A}");
        assert_eq!(is(&revoked, &[]), "revoked, line 2");
    }

    #[test]
    fn keys_may_be_revoked_for_all_hosts() {
        let known = format!("10.0.0.3 {A}");
        let is = |file| verdict(&known, &[("revokedhostkeys", file)]);
        assert_eq!(is("revoked").unwrap(), "revoked, line 2");
        for file in ["krl", "known", "missing", "%C"] {
            assert!(is(file).is_err(), "{file}");
        }
    }
}
