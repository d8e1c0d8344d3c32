//! `[replication.peers."NAME"]`: another identity server of the mesh.

use std::path::PathBuf;

use rustls_pki_types::CertificateDer;
use serde::{Deserialize, Serialize};
use url::Url;

use super::authorities;
use super::checker::Checker;
use crate::domain::ids::ServerName;
use crate::domain::public_key::PublicKey;

/// A peer as written.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct PeerSettings {
    /// Where it is told what changed; without one, `https://NAME:1001`.
    pub url: Option<String>,
    /// The Ed25519 key that its associations are signed with, in base64 or in
    /// hexadecimal digits. Required.
    pub public_key: Option<String>,
    /// Certificates of authorities to trust instead of the system's, PEM.
    pub ca_file: Option<PathBuf>,
}

/// A peer as checked.
#[derive(Debug, Clone)]
pub struct Peer {
    /// Where its API begins: https, without a slash at the end.
    pub url: String,
    /// The key that its associations are signed with.
    pub public_key: PublicKey,
    /// The authorities whose certificate it may show; empty means those of the
    /// system.
    pub authorities: Vec<CertificateDer<'static>>,
}

/// The port of a peer whose URL is not given, as in Sydent.
const USUAL_PORT: u16 = 1001;

const OWN_NAME: &str = "is the name of this server, which is no peer of its own";
const NO_URL: &str = "must be an address such as https://other.example.org:4434, without a query";
const KEY_MISSING: &str = "is missing; give the public key of this peer, which it tells \
    at /_matrix/identity/api/v1/pubkey/ed25519:0 (or the id of its key)";
const NO_KEY: &str = "must be an Ed25519 public key: the base64 of 32 bytes, or 64 hexadecimal \
    digits";

impl PeerSettings {
    /// The peer, if enough of it is right to go on with.
    pub(super) fn check(
        self,
        key: &str,
        name: &str,
        own_name: Option<&ServerName>,
        checker: &mut Checker<'_>,
    ) -> Option<(ServerName, Peer)> {
        let server_name = match ServerName::parse(name) {
            Ok(parsed) if Some(&parsed) == own_name => {
                checker.refuse(key, OWN_NAME);
                None
            }
            Ok(parsed) => Some(parsed),
            Err(wrong) => {
                checker.refuse(key, wrong.to_string());
                None
            }
        };
        let url = match &self.url {
            Some(written) => base(written),
            // A name with a port of its own makes no URL so.
            None => base(&format!("https://{name}:{USUAL_PORT}")),
        };
        if url.is_none() {
            checker.refuse(&format!("{key}.url"), NO_URL);
        }
        let public_key = self.public_key.as_deref().and_then(PublicKey::parse);
        if public_key.is_none() {
            let wrong = if self.public_key.is_none() {
                KEY_MISSING
            } else {
                NO_KEY
            };
            checker.refuse(&format!("{key}.public_key"), wrong);
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

/// The URL of an API's beginning, without a slash at the end.
fn base(written: &str) -> Option<String> {
    let url = Url::parse(written).ok()?;
    let bare = url.query().is_none() && url.fragment().is_none();
    let nobody = url.username().is_empty() && url.password().is_none();
    let host = url.host_str().is_some_and(|host| !host.is_empty());
    (url.scheme() == "https" && bare && nobody && host)
        .then(|| url.as_str().trim_end_matches('/').to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_a_peer_is() {
        for (written, read) in [
            ("https://a.example", Some("https://a.example")),
            ("https://a.example:1001/", Some("https://a.example:1001")),
            ("https://[::1]:1/b/", Some("https://[::1]:1/b")),
            ("http://a.example", None),
            ("a.example:1001", None),
            ("https://", None),
            ("https://u:p@a.example", None),
            ("https://a.example/?b", None),
        ] {
            assert_eq!(base(written).as_deref(), read, "{written}");
        }
    }
}
