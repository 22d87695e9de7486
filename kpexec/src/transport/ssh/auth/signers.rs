//! Who signs what a host wants signed.

use std::sync::Arc;

use russh::keys::agent::AgentIdentity;
use russh::keys::signature::Signer as _;
use russh::keys::ssh_key::private::KeypairData;
use russh::keys::{HashAlg, PrivateKey};
use russh::{AgentAuthError, SendError, Signer};

use super::super::keys::Agent;

/// Signs for a certificate with a key of the agent, which does not know the certificate.
pub(super) struct PlainKey<'a>(pub(super) &'a mut Agent);

impl Signer for PlainKey<'_> {
    type Error = AgentAuthError;

    async fn auth_sign(
        &mut self,
        identity: &AgentIdentity,
        hash: Option<HashAlg>,
        to_sign: Vec<u8>,
    ) -> Result<Vec<u8>, AgentAuthError> {
        let key = AgentIdentity::PublicKey {
            key: identity.public_key().into_owned(),
            comment: String::new(),
        };
        self.0.auth_sign(&key, hash, to_sign).await
    }
}

/// Signs with a key of a file.
pub(super) struct Own(pub(super) Arc<PrivateKey>);

impl Signer for Own {
    type Error = SendError;

    /// What is signed and, as a string of RFC 4251, the signature.
    async fn auth_sign(
        &mut self,
        _: &AgentIdentity,
        hash: Option<HashAlg>,
        mut to_sign: Vec<u8>,
    ) -> Result<Vec<u8>, SendError> {
        let signature = match self.0.key_data() {
            KeypairData::Rsa(pair) => (pair, hash).try_sign(&to_sign),
            pair => pair.try_sign(&to_sign),
        };
        let signature = signature.map_err(|_| SendError {})?;
        let signature: Vec<u8> = signature.try_into().map_err(|_| SendError {})?;
        let length = u32::try_from(signature.len()).map_err(|_| SendError {})?;
        to_sign.extend(length.to_be_bytes());
        to_sign.extend(signature);
        Ok(to_sign)
    }
}

/// In whose place nobody signs: it says whether that was asked for.
pub(super) struct Asked(pub(super) bool);

impl Signer for Asked {
    type Error = SendError;

    async fn auth_sign(
        &mut self,
        _: &AgentIdentity,
        _: Option<HashAlg>,
        _: Vec<u8>,
    ) -> Result<Vec<u8>, SendError> {
        self.0 = true;
        Err(SendError {})
    }
}
