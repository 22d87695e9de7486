//! The keys that may open a host's door: the agent's, and those of files, with their certificates.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use russh::keys::agent::AgentIdentity;
use russh::keys::agent::client::{AgentClient, AgentStream};
use russh::keys::{
    Certificate, Error as KeyError, PrivateKey, PublicKey, decode_secret_key,
    load_openssh_certificate, load_public_key,
};

use russh::keys::ssh_key::public::KeyData;

use super::settings::Settings;

/// What the first line of every private key has, whatever its format (RFC 7468, PROTOCOL.key of OpenSSH).
const PRIVATE: &[u8] = b"PRIVATE KEY-----";

pub(super) type Agent = AgentClient<Box<dyn AgentStream + Send + Unpin>>;

/// A key that may open a host's door.
pub(super) enum Candidate {
    /// The agent signs with it.
    Held(AgentIdentity),
    /// The agent signs with the key of a certificate that a file has.
    Certified(Certificate),
    /// A file has it; with its public part, if that can be known without a passphrase.
    File(PathBuf, Option<PublicKey>, Option<Certificate>),
}

/// The user's agent, if there is one.
pub(super) async fn agent(settings: &Settings) -> Option<Agent> {
    #[cfg(unix)]
    let agent = AgentClient::connect_uds(settings.agent.as_ref()?).await;
    #[cfg(windows)]
    let agent = {
        let usual = Path::new(r"\\.\pipe\openssh-ssh-agent");
        AgentClient::connect_named_pipe(settings.agent.as_deref().unwrap_or(usual)).await
    };
    Some(agent.ok()?.dynamic())
}

/// Private keys that a passphrase has opened, for all hosts of one run: nobody gives it twice.
#[derive(Debug, Clone, Default)]
pub(super) struct Unlocked(Arc<Mutex<BTreeMap<PathBuf, Arc<PrivateKey>>>>);

impl Unlocked {
    pub(super) fn get(&self, path: &Path) -> Option<Arc<PrivateKey>> {
        let keys = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        keys.get(path).cloned()
    }

    pub(super) fn put(&self, path: &Path, key: &Arc<PrivateKey>) {
        let mut keys = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        keys.insert(path.to_owned(), key.clone());
    }
}

/// Whether ssh looks for such a file by itself: nobody has named it then.
pub(super) fn is_usual(path: &Path) -> bool {
    let name = path.file_name().and_then(|name| name.to_str());
    let kind = name.and_then(|name| name.strip_prefix("id_"));
    let kinds = [
        "rsa",
        "ecdsa",
        "ecdsa_sk",
        "ed25519",
        "ed25519_sk",
        "xmss",
        "dsa",
    ];
    kind.is_some_and(|kind| kinds.contains(&kind))
}

/// All keys, in the order in which they are tried.
pub(super) fn candidates(settings: &Settings, held: Vec<AgentIdentity>) -> Vec<Candidate> {
    let mut files: Vec<_> = settings
        .identities
        .iter()
        .map(|path| (path, public_part(path)))
        .collect();
    let is = |public: &Option<PublicKey>, identity: &AgentIdentity| {
        let public = public.as_ref().map(PublicKey::key_data);
        public == Some(identity.public_key().key_data())
    };
    let named = |identity: &AgentIdentity| files.iter().any(|(_, public)| is(public, identity));
    let (mut chosen, mut others): (Vec<_>, Vec<_>) = held.into_iter().partition(named);
    // A key that the agent holds is not asked for at its file.
    files.retain(|(_, public)| !chosen.iter().any(|identity| is(public, identity)));
    if !settings.identities_only {
        chosen.append(&mut others);
    }
    let certificates = certificates(settings);
    let certificate_of = |key: &KeyData| {
        let mut all = certificates.iter();
        all.find(|certificate| certificate.public_key() == key)
            .cloned()
    };
    let files = files.into_iter().map(|(path, public)| {
        let certificate = public
            .as_ref()
            .and_then(|key| certificate_of(key.key_data()));
        Candidate::File(path.clone(), public, certificate)
    });
    // As ssh: certificates first. The agent may have been given its keys before there were any.
    let certified = chosen.iter().filter_map(|identity| match identity {
        AgentIdentity::PublicKey { key, .. } => certificate_of(key.key_data()),
        AgentIdentity::Certificate { .. } => None,
    });
    let certified: Vec<_> = certified.map(Candidate::Certified).collect();
    let held = chosen.into_iter().map(Candidate::Held);
    certified.into_iter().chain(held).chain(files).collect()
}

fn public_part(path: &Path) -> Option<PublicKey> {
    let beside = with_suffix(path, ".pub");
    let of_key = || {
        let text = fs::read_to_string(path).ok()?;
        // OpenSSH's own format has it in the clear.
        let key = PrivateKey::from_openssh(&text).ok()?;
        Some(key.public_key().clone())
    };
    // What is named may be a public key itself, whose private one only the agent has.
    of_key()
        .or_else(|| load_public_key(path).ok())
        .or_else(|| load_public_key(beside).ok())
}

/// Why a file is not read as a private key, though it is there.
pub(super) fn unfit(path: &Path) -> Option<&'static str> {
    if load_public_key(path).is_ok() {
        Some("a public key, whose private one the agent does not hold")
    } else if is_open_to_others(path) && is_private_key(path) {
        Some("which others may read: chmod 600")
    } else {
        None
    }
}

/// Whether a file looks like one: nobody is to close another.
fn is_private_key(path: &Path) -> bool {
    let text = fs::read(path).unwrap_or_default();
    text.windows(PRIVATE.len()).any(|part| part == PRIVATE)
}

/// As ssh has it: of somebody's own files alone.
#[cfg(unix)]
fn is_open_to_others(path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    let ours = rustix::process::getuid().as_raw();
    fs::metadata(path).is_ok_and(|file| file.uid() == ours && file.mode() & 0o077 != 0)
}

#[cfg(windows)]
fn is_open_to_others(_: &Path) -> bool {
    false
}

/// Those of CertificateFile, and those that ssh-keygen leaves beside the keys.
fn certificates(settings: &Settings) -> Vec<Certificate> {
    let beside = settings.identities.iter();
    let beside: Vec<_> = beside.map(|path| with_suffix(path, "-cert.pub")).collect();
    let files = settings.certificates.iter().chain(&beside);
    files
        .filter_map(|file| load_openssh_certificate(file).ok())
        .collect()
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

pub(super) fn read_key(path: &Path, passphrase: Option<&str>) -> Result<PrivateKey, KeyError> {
    decode_secret_key(&fs::read_to_string(path)?, passphrase)
}
