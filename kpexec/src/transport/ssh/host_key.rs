//! Whether a host is who it was: what is done with the key that it shows.

use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

use russh::keys::ssh_key::certificate::CertType;
use russh::keys::{Certificate, HashAlg, PublicKey, PublicKeyOrCertificate};

use super::Error;
use super::known_hosts::{self, Known, Verdict};
use super::prompt::Prompt;
use super::settings::{Settings, Strict};

/// A host, and what is known of it.
pub(super) struct HostKeys {
    /// As known_hosts names it.
    host: String,
    /// The same without its port: so certificates have it.
    principal: String,
    pub(super) known: Known,
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
    pub(super) fn read(settings: &Settings) -> Result<Self, Error> {
        let host = match &settings.host_key_alias {
            Some(alias) => alias.to_lowercase(),
            None => known_hosts::name_of(&settings.host, settings.port),
        };
        let principal = settings.host_key_alias.as_ref().unwrap_or(&settings.host);
        let user_files = settings.user_known_hosts.iter();
        let files: Vec<_> = user_files
            .chain(&settings.global_known_hosts)
            .cloned()
            .collect();
        let known = Known::read(&files, &host);
        Ok(Self {
            principal: principal.to_lowercase(),
            known: known.map_err(|(path, source)| Error::Config { path, source })?,
            host,
            is_alias: settings.host_key_alias.is_some(),
            strict: settings.strict,
            file: settings.user_known_hosts.first().cloned(),
            hashed: settings.hash_known_hosts,
        })
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
        let verdict = self.known.judge(&key);
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
        known_hosts::remember(file, &self.host, key, self.hashed).map_err(|source| {
            Error::Remember {
                host: self.host.clone(),
                file: file.clone(),
                source,
            }
        })?;
        if self.strict == Strict::AcceptNew {
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
        let authorities = self.known.authorities().iter();
        let trusted: Vec<_> = authorities
            .map(|key| key.fingerprint(HashAlg::Sha256))
            .collect();
        let signer = PublicKey::new(certificate.signature_key().clone(), "");
        if matches!(self.known.judge(&signer), Verdict::Revoked(_)) {
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
        names.clone().next().is_some()
            && names.any(|name| known_hosts::matches_list(std::iter::once(name), &self.principal))
    }
}

fn described(key: &PublicKey) -> String {
    let fingerprint = key.fingerprint(HashAlg::Sha256);
    format!("{} {fingerprint}", key.algorithm())
}
