//! Who we are to a host: keys of the agent and of files, certificates, and on a terminal what else it
//! asks for. In the order of ssh: what the agent holds needs no passphrase.

mod signers;
mod words;

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use russh::client::{AuthResult, Handle, Handler};
use russh::keys::agent::AgentIdentity;
use russh::keys::{
    Algorithm, Certificate, Error as KeyError, HashAlg, PrivateKey, PrivateKeyWithHashAlg,
    PublicKey,
};
use russh::{MethodKind, MethodSet};
use tokio::time::error::Elapsed;
use tokio::time::timeout;

use super::Error;
use super::banner::Banner;
use super::keys::{Agent, Candidate, Unlocked, agent, candidates, is_usual, read_key, unfit};
use super::prompt::Prompt;
use super::settings::Settings;
use signers::{Asked, Own, PlainKey};

/// How long a host may think about one answer.
const LIMIT: Duration = Duration::from_secs(30);

/// How long the agent may take to say which keys it holds; to sign with one it may have to ask its user.
const AGENT_LIMIT: Duration = Duration::from_secs(3);

/// How often a wrong password may be typed.
const TRIES: usize = 3;

/// What the host wants next, and what it has heard.
struct Door<'a, H: Handler> {
    handle: &'a mut Handle<H>,
    settings: &'a Settings,
    prompt: &'a Prompt,
    banner: &'a Banner,
    unlocked: &'a Unlocked,
    /// What it still takes.
    methods: MethodSet,
    tried: Vec<String>,
}

/// Logs in.
///
/// # Errors
/// When nothing that we have is enough.
pub(super) async fn log_in<H: Handler>(
    handle: &mut Handle<H>,
    settings: &Settings,
    prompt: &Prompt,
    banner: &Banner,
    unlocked: &Unlocked,
) -> Result<(), Error> {
    let mut door = Door {
        handle,
        settings,
        prompt,
        banner,
        unlocked,
        methods: MethodSet::empty(),
        tried: Vec::new(),
    };
    let none = door.handle.authenticate_none(settings.user.as_str());
    let none = in_time(banner, none).await;
    if door.is_open(none.map_err(|_| None))? || door.keys().await? || door.words().await? {
        return Ok(());
    }
    Err(door.shut())
}

/// Waits for an answer; without an end where the host has told the user something, which may be where to
/// confirm the login.
async fn in_time<T>(banner: &Banner, answer: impl Future<Output = T>) -> Result<T, Elapsed> {
    tokio::pin!(answer);
    match timeout(LIMIT, &mut answer).await {
        Err(_) if banner.is_shown() => Ok(answer.await),
        answer => answer,
    }
}

/// The agent, if there is one, and what it holds.
async fn of_agent(settings: &Settings) -> Option<(Agent, Vec<AgentIdentity>)> {
    let mut agent = agent(settings).await?;
    let held = agent.request_identities().await;
    Some((agent, held.unwrap_or_default()))
}

impl<H: Handler> Door<'_, H> {
    /// Takes an answer; whether that lets us in.
    fn is_open(
        &mut self,
        answer: Result<Result<AuthResult, russh::Error>, Option<Error>>,
    ) -> Result<bool, Error> {
        let answer = match answer {
            Ok(answer) => answer,
            Err(error) => {
                return Err(error.unwrap_or_else(|| Error::TimedOut {
                    host: self.settings.place(),
                    limit: LIMIT,
                }));
            }
        };
        match answer {
            Ok(AuthResult::Success) => Ok(true),
            Ok(AuthResult::Failure {
                remaining_methods, ..
            }) => {
                self.methods = remaining_methods;
                Ok(false)
            }
            Err(_) => Err(self.shut()),
        }
    }

    fn takes(&self, method: MethodKind) -> bool {
        self.methods.contains(&method)
    }

    fn shut(&self) -> Error {
        let tried = match self.tried.is_empty() {
            true => "there was no key to try".to_owned(),
            false => format!("tried {}", self.tried.join(", ")),
        };
        let methods: Vec<String> = self.methods.iter().map(String::from).collect();
        let takes = match methods.is_empty() {
            true => String::new(),
            false => format!("; it takes {}", methods.join(", ")),
        };
        Error::Denied {
            host: self.settings.place(),
            user: self.settings.user.clone(),
            why: tried + &takes,
        }
    }

    /// Tries all keys.
    async fn keys(&mut self) -> Result<bool, Error> {
        if !self.takes(MethodKind::PublicKey) {
            return Ok(false);
        }
        let (mut agent, held) = match timeout(AGENT_LIMIT, of_agent(self.settings)).await {
            Ok(found) => found.unzip(),
            Err(_) => {
                let limit = humantime::format_duration(AGENT_LIMIT);
                let told = format!("the ssh-agent has not answered within {limit}");
                self.prompt.note(&format!("Warning: {told}"));
                self.tried.push(told);
                (None, None)
            }
        };
        let held = held.unwrap_or_default();
        for candidate in candidates(self.settings, held) {
            if !self.takes(MethodKind::PublicKey) {
                break;
            }
            let let_in = match (candidate, &mut agent) {
                (Candidate::Held(identity), Some(agent)) => self.held(identity, agent).await?,
                (Candidate::Certified(certificate), Some(agent)) => {
                    self.certified(certificate, agent).await?
                }
                (Candidate::Held(_) | Candidate::Certified(_), None) => false,
                (Candidate::File(path, public, certificate), _) => {
                    self.file(&path, public, certificate).await?
                }
            };
            if let_in {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Tries a key that the agent holds.
    async fn held(&mut self, identity: AgentIdentity, agent: &mut Agent) -> Result<bool, Error> {
        let user = self.settings.user.as_str();
        let hash = self.hash(&identity.public_key().algorithm()).await;
        let fingerprint = identity.public_key().fingerprint(HashAlg::Sha256);
        // No limit: the agent may ask its user.
        let (name, answer) = match identity {
            AgentIdentity::PublicKey { key, comment } => {
                let answer = self
                    .handle
                    .authenticate_publickey_with(user, key, hash, agent);
                (comment, answer.await)
            }
            AgentIdentity::Certificate {
                certificate,
                comment,
            } => {
                let answer =
                    self.handle
                        .authenticate_certificate_with(user, certificate, hash, agent);
                (format!("{comment} (certificate)"), answer.await)
            }
        };
        self.tried
            .push(format!("{name} of the agent ({fingerprint})"));
        match answer {
            Ok(answer) => self.is_open(Ok(Ok(answer))),
            // The agent does not want to sign: there may be others.
            Err(_) => Ok(false),
        }
    }

    /// Tries a certificate of a file, whose key the agent holds.
    async fn certified(
        &mut self,
        certificate: Certificate,
        agent: &mut Agent,
    ) -> Result<bool, Error> {
        let user = self.settings.user.as_str();
        let hash = self.hash(&certificate.algorithm()).await;
        let key = PublicKey::new(certificate.public_key().clone(), "");
        let fingerprint = key.fingerprint(HashAlg::Sha256);
        self.tried
            .push(format!("a certificate of the agent's key {fingerprint}"));
        let mut signer = PlainKey(agent);
        // No limit: the agent may ask its user.
        let answer =
            self.handle
                .authenticate_certificate_with(user, certificate, hash, &mut signer);
        match answer.await {
            Ok(answer) => self.is_open(Ok(Ok(answer))),
            Err(_) => Ok(false),
        }
    }

    /// Tries a key of a file, and its certificate first, if there is one.
    async fn file(
        &mut self,
        path: &Path,
        public: Option<PublicKey>,
        certificate: Option<Certificate>,
    ) -> Result<bool, Error> {
        let found = self
            .opened(path, public.as_ref(), certificate.as_ref())
            .await?;
        let Some(key) = found else {
            return Ok(false);
        };
        let name = path.display().to_string();
        let user = self.settings.user.as_str();
        let hash = self.hash(&key.algorithm()).await;
        if let Some(certificate) = certificate {
            self.tried.push(format!("{name} (certificate)"));
            let mut signer = Own(key.clone());
            let answer =
                self.handle
                    .authenticate_certificate_with(user, certificate, hash, &mut signer);
            let answer = in_time(self.banner, answer).await;
            let answer = answer.map(|answer| answer.map_err(|_| russh::Error::SendError));
            if self.is_open(answer.map_err(|_| None))? {
                return Ok(true);
            }
        }
        self.tried.push(name);
        let key = PrivateKeyWithHashAlg::new(key, hash);
        let answer = self.handle.authenticate_publickey(user, key);
        let answer = in_time(self.banner, answer).await;
        self.is_open(answer.map_err(|_| None))
    }

    /// The private key of a file, if it is of any use here; else it is tried, and why in vain.
    async fn opened(
        &mut self,
        path: &Path,
        public: Option<&PublicKey>,
        certificate: Option<&Certificate>,
    ) -> Result<Option<Arc<PrivateKey>>, Error> {
        let name = path.display();
        if let Some(why) = unfit(path) {
            self.tried.push(format!("{name} ({why})"));
            return Ok(None);
        }
        let unlocked = self.unlocked.get(path);
        let read = unlocked.map_or_else(|| read_key(path, None).map(Arc::new), Ok);
        let why = match read {
            Ok(key) => return Ok(Some(key)),
            Err(KeyError::IO(error)) if error.kind() == io::ErrorKind::NotFound => {
                if is_usual(path) {
                    return Ok(None);
                }
                "which is not there".to_owned()
            }
            Err(KeyError::KeyIsEncrypted) => {
                // Nobody is asked for the passphrase of a key that is not wanted.
                if !self.is_wanted(public, certificate).await? {
                    self.tried.push(name.to_string());
                    return Ok(None);
                }
                if self.prompt.may() {
                    let unlocked = self.asked_for(path).await?;
                    if unlocked.is_some() {
                        return Ok(unlocked);
                    }
                    "with a wrong passphrase".to_owned()
                } else {
                    "which has a passphrase: load it with ssh-add".to_owned()
                }
            }
            Err(error) => format!("which cannot be read: {error}"),
        };
        self.tried.push(format!("{name} ({why})"));
        Ok(None)
    }

    /// Whether the host would take a key, or its certificate, if we could sign with it. One whose public
    /// part is not known may be.
    async fn is_wanted(
        &mut self,
        public: Option<&PublicKey>,
        certificate: Option<&Certificate>,
    ) -> Result<bool, Error> {
        let Some(public) = public else {
            return Ok(true);
        };
        let user = self.settings.user.as_str();
        let hash = self.hash(&public.algorithm()).await;
        let mut asked = Asked(false);
        if let Some(certificate) = certificate {
            let certificate = certificate.clone();
            let answer =
                self.handle
                    .authenticate_certificate_with(user, certificate, hash, &mut asked);
            if let Ok(Ok(answer)) = in_time(self.banner, answer).await {
                self.is_open(Ok(Ok(answer)))?;
            }
        }
        if !asked.0 {
            let answer =
                self.handle
                    .authenticate_publickey_with(user, public.clone(), hash, &mut asked);
            if let Ok(Ok(answer)) = in_time(self.banner, answer).await {
                self.is_open(Ok(Ok(answer)))?;
            }
        }
        Ok(asked.0)
    }

    /// Asks for a key's passphrase.
    async fn asked_for(&self, path: &Path) -> Result<Option<Arc<PrivateKey>>, Error> {
        for _ in 0..TRIES {
            let question = format!("Passphrase for {}: ", path.display());
            let passphrase = match self.prompt.secret(&question).await {
                // Ctrl-D: as with ssh, the next key may do.
                Err(Error::Unanswered(error)) if error.kind() == io::ErrorKind::UnexpectedEof => {
                    return Ok(None);
                }
                passphrase => passphrase?,
            };
            if let Ok(key) = read_key(path, Some(&passphrase)) {
                let key = Arc::new(key);
                self.unlocked.put(path, &key);
                return Ok(Some(key));
            }
        }
        Ok(None)
    }

    /// The hash that RSA keys sign with; others have one of their own.
    async fn hash(&self, algorithm: &Algorithm) -> Option<HashAlg> {
        if !matches!(algorithm, Algorithm::Rsa { .. }) {
            return None;
        }
        let told = self.handle.best_supported_rsa_hash().await;
        told.ok().flatten().unwrap_or(Some(HashAlg::Sha256))
    }
}
