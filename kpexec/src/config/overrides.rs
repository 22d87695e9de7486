//! What the command line says in the place of a kubeconfig's entries.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use kube::config::{AuthInfo, Cluster};

/// What nobody is to see in messages.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

/// What the command line says of the server, and of who logs in.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Overrides {
    /// `--server`.
    pub server: Option<String>,
    /// `--tls-server-name`.
    pub tls_server_name: Option<String>,
    /// `--certificate-authority`.
    pub authority: Option<PathBuf>,
    /// `--insecure-skip-tls-verify`.
    pub insecure: Option<bool>,
    /// `--token`.
    pub token: Option<Secret>,
    /// `--client-certificate`.
    pub certificate: Option<PathBuf>,
    /// `--client-key`.
    pub key: Option<PathBuf>,
}

impl Overrides {
    /// As client-go: what was said of the certificate of one server is not said of another's.
    pub(super) fn change_cluster(&self, cluster: &mut Cluster) {
        if let Some(server) = &self.server {
            cluster.server = Some(server.clone());
            cluster.tls_server_name = None;
        }
        if self.tls_server_name.is_some() {
            cluster.tls_server_name.clone_from(&self.tls_server_name);
        }
        if let Some(insecure) = self.insecure {
            cluster.insecure_skip_tls_verify = Some(insecure);
            if insecure {
                cluster.certificate_authority = None;
                cluster.certificate_authority_data = None;
            }
        }
        if let Some(file) = &self.authority {
            cluster.certificate_authority = Some(file.display().to_string());
            cluster.certificate_authority_data = None;
            // Who names an authority wants the server to be checked, whatever the file says.
            cluster.insecure_skip_tls_verify = self.insecure;
        }
    }

    pub(super) fn change_user(&self, user: &mut AuthInfo) {
        if let Some(Secret(token)) = &self.token {
            user.token = Some(token.clone().into());
            user.token_file = None;
        }
        if let Some(file) = &self.certificate {
            user.client_certificate = Some(file.display().to_string());
            user.client_certificate_data = None;
        }
        if let Some(file) = &self.key {
            user.client_key = Some(file.display().to_string());
            user.client_key_data = None;
        }
    }

    /// Whether somebody else than the kubeconfig's user logs in.
    pub(super) fn is_other_user(&self) -> bool {
        self.token.is_some() || self.certificate.is_some()
    }
}

impl FromStr for Secret {
    type Err = std::convert::Infallible;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(secret)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_server_has_another_name_and_perhaps_no_authority() {
        let mut cluster = Cluster {
            server: Some("https://a".into()),
            tls_server_name: Some("a.example".into()),
            certificate_authority_data: Some("AAAA".into()),
            ..Cluster::default()
        };
        let overrides = Overrides {
            server: Some("https://b".into()),
            insecure: Some(true),
            ..Overrides::default()
        };
        overrides.change_cluster(&mut cluster);
        assert_eq!(cluster.server.as_deref(), Some("https://b"));
        assert_eq!(cluster.tls_server_name, None);
        assert_eq!(cluster.certificate_authority_data, None);
    }

    #[test]
    fn whoever_names_an_authority_has_the_server_checked() {
        let mut cluster = Cluster {
            insecure_skip_tls_verify: Some(true),
            ..Cluster::default()
        };
        let overrides = Overrides {
            authority: Some("/ca".into()),
            ..Overrides::default()
        };
        overrides.change_cluster(&mut cluster);
        assert_eq!(cluster.insecure_skip_tls_verify, None);
        assert_eq!(cluster.certificate_authority.as_deref(), Some("/ca"));
    }

    #[test]
    fn a_token_is_never_shown() {
        let overrides = Overrides {
            token: Some(Secret("abc".into())),
            ..Overrides::default()
        };
        assert!(!format!("{overrides:?}").contains("abc"));
        let mut user = AuthInfo {
            token_file: Some("/t".into()),
            ..AuthInfo::default()
        };
        overrides.change_user(&mut user);
        assert!(user.token.is_some() && user.token_file.is_none());
    }
}
