//! `[replication.peers."NAME"]`: a peer in the mesh.

use std::path::PathBuf;

use rustls_pki_types::CertificateDer;
use serde::{Deserialize, Serialize};
use url::Url;

use super::certificates::authorities;
use super::checker::Checker;
use crate::domain::ids::ServerName;
use crate::domain::public_key::PublicKey;

/// A peer as set.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct PeerSettings {
    /// The URL that changes are pushed to; by default `https://NAME:1001`.
    pub url: Option<String>,
    /// The Ed25519 key that signs its associations, in base64 or hexadecimal. Required.
    pub public_key: Option<String>,
    /// Certificates of authorities to trust instead of the system's, PEM.
    pub ca_file: Option<PathBuf>,
}

/// A peer as checked.
#[derive(Debug, Clone)]
pub struct Peer {
    /// The base URL of its API: https, without a trailing slash.
    pub url: String,
    /// The key that signs its associations.
    pub public_key: PublicKey,
    /// The authorities that may issue its certificate; empty means those of the system.
    pub authorities: Vec<CertificateDer<'static>>,
}

/// The port of a peer without a URL, as in Sydent.
const DEFAULT_PORT: u16 = 1001;

const OWN_NAME: &str = "is this server itself; remove it";
const NOT_A_URL: &str = "must be an https:// URL such as \"https://other.example.org:4434\", \
    without a query";
const KEY_MISSING: &str = "is missing: set the public key that the peer returns at \
    /_matrix/identity/api/v1/pubkey/ed25519:0 (with the ID of its key)";
const NOT_A_KEY: &str = "must be an Ed25519 public key: 32 bytes in base64, or 64 hexadecimal \
    digits";

impl PeerSettings {
    pub(super) fn check(
        self,
        key: &str,
        name: &str,
        own_name: Option<&ServerName>,
        checker: &mut Checker<'_>,
    ) -> Option<(ServerName, Peer)> {
        let server_name = match ServerName::parse(name) {
            Ok(parsed) if Some(&parsed) == own_name => {
                checker.error(key, OWN_NAME);
                None
            }
            Ok(parsed) => Some(parsed),
            Err(error) => {
                checker.error(key, error.to_string());
                None
            }
        };
        let url = match &self.url {
            Some(url) => base_url(url),
            // Not a URL if the name contains a port; then the URL is required.
            None => base_url(&format!("https://{name}:{DEFAULT_PORT}")),
        };
        if url.is_none() {
            checker.error(&format!("{key}.url"), NOT_A_URL);
        }
        let public_key = self.public_key.as_deref().and_then(PublicKey::parse);
        if public_key.is_none() {
            let message = match self.public_key {
                None => KEY_MISSING,
                Some(_) => NOT_A_KEY,
            };
            checker.error(&format!("{key}.public_key"), message);
        }
        let authorities = self.ca_file.as_deref().map_or_else(Vec::new, |file| {
            authorities(&format!("{key}.ca_file"), file, checker)
        });
        let peer = Peer {
            url: url?,
            public_key: public_key?,
            authorities,
        };
        Some((server_name?, peer))
    }
}

/// An https URL without login, query, fragment, path of the API and trailing slash.
fn base_url(text: &str) -> Option<String> {
    let url = Url::parse(text).ok()?;
    let has_suffix = url.query().is_some() || url.fragment().is_some();
    let has_login = !url.username().is_empty() || url.password().is_some();
    let has_host = url.host_str().is_some_and(|host| !host.is_empty());
    let has_api_path = url.path().split('/').any(|part| part == "_matrix");
    (url.scheme() == "https" && has_host && !has_login && !has_suffix && !has_api_path)
        .then(|| url.as_str().trim_end_matches('/').to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parses_peer_urls() {
        for (text, url) in [
            ("https://a.example", Some("https://a.example")),
            ("https://a.example:1001/", Some("https://a.example:1001")),
            ("https://[::1]:1/b/", Some("https://[::1]:1/b")),
            ("http://a.example", None),
            ("a.example:1001", None),
            ("https://", None),
            ("https://u:p@a.example", None),
            ("https://a.example/?b", None),
            ("https://a.example/_matrix/identity", None),
        ] {
            assert_eq!(base_url(text).as_deref(), url, "{text}");
        }
    }
}
