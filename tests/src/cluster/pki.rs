//! The cluster's certificate authority, and those whom it vouches for.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyPair, KeyUsagePurpose,
};
use serde_json::{Value, json};

/// Signs the certificates of servers and of users alike.
#[derive(Debug)]
pub(super) struct Authority(CertifiedIssuer<'static, KeyPair>);

/// Somebody with a certificate.
#[derive(Debug)]
pub(super) struct Identity {
    pub(super) certificate: String,
    pub(super) key: String,
}

impl Authority {
    pub(super) fn new() -> Self {
        let mut params = params("kpexec-tests", None, &[]);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![
            KeyUsagePurpose::DigitalSignature,
            KeyUsagePurpose::KeyCertSign,
        ];
        let issuer = CertifiedIssuer::self_signed(params, key());
        Self(issuer.expect("a certificate can be signed"))
    }

    /// The authority's own certificate, as PEM.
    pub(super) fn certificate(&self) -> String {
        self.0.pem()
    }

    /// A certificate for a user (a member of a group or not) and for a server of these names and
    /// addresses.
    pub(super) fn issue(&self, user: &str, group: Option<&str>, names: &[&str]) -> Identity {
        let mut params = params(user, group, names);
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![
            ExtendedKeyUsagePurpose::ServerAuth,
            ExtendedKeyUsagePurpose::ClientAuth,
        ];
        self.sign(params)
    }

    fn sign(&self, params: CertificateParams) -> Identity {
        let key = key();
        let certificate = params.signed_by(&key, &self.0);
        Identity {
            certificate: certificate.expect("a certificate can be signed").pem(),
            key: key.serialize_pem(),
        }
    }

    /// A certificate of a user's that has expired.
    pub(super) fn issue_expired(&self, user: &str) -> Identity {
        let mut params = params(user, None, &[]);
        params.not_before = rcgen::date_time_ymd(2020, 1, 1);
        params.not_after = rcgen::date_time_ymd(2021, 1, 1);
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        self.sign(params)
    }

    /// A kubeconfig that needs no other file (a kubeconfig is YAML, and so is JSON).
    pub(super) fn kubeconfig(&self, server: &str, identity: &Identity) -> String {
        let name = "kpexec-tests";
        let cluster = json!({
            "server": server,
            "certificate-authority-data": base64(&self.certificate()),
        });
        let user = json!({
            "client-certificate-data": base64(&identity.certificate),
            "client-key-data": base64(&identity.key),
        });
        let config: Value = json!({
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{ "name": name, "cluster": cluster }],
            "users": [{ "name": name, "user": user }],
            "contexts": [{ "name": name, "context": { "cluster": name, "user": name } }],
            "current-context": name,
        });
        config.to_string()
    }
}

/// A key of its own, on the curve that is quickest to make.
pub(super) fn key() -> KeyPair {
    KeyPair::generate().expect("a key can be made")
}

fn params(user: &str, group: Option<&str>, names: &[&str]) -> CertificateParams {
    let names: Vec<_> = names.iter().map(|&name| name.to_owned()).collect();
    let mut params = CertificateParams::new(names).expect("names are as in DNS");
    params.distinguished_name.remove(DnType::CommonName);
    params.distinguished_name.push(DnType::CommonName, user);
    if let Some(group) = group {
        params
            .distinguished_name
            .push(DnType::OrganizationName, group);
    }
    params
}

fn base64(text: &str) -> String {
    BASE64_STANDARD.encode(text)
}
