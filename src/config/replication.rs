//! `[replication]`: the other identity servers of a mesh, and how they and this
//! one know each other.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rustls::crypto::ring;
use rustls::sign::CertifiedKey;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use serde::{Deserialize, Serialize};

use super::checker::Checker;
use super::peer::{Peer, PeerSettings};
use super::{authorities, file_access, period};
use crate::domain::ids::ServerName;

/// `[replication]` as written.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ReplicationSettings {
    /// The address on which peers are listened to; empty means off.
    pub listen: String,
    /// The certificate that this server shows to its peers, PEM.
    pub certificate: Option<PathBuf>,
    /// The key of the certificate, PEM.
    pub private_key: Option<PathBuf>,
    /// The authorities whose certificates peers may show, PEM.
    pub client_ca: Option<PathBuf>,
    /// How often peers are told what changed.
    #[serde(with = "period")]
    pub push_every: Duration,
    /// `[replication.peers."NAME"]`.
    pub peers: BTreeMap<String, PeerSettings>,
}

impl Default for ReplicationSettings {
    fn default() -> Self {
        Self {
            listen: String::new(),
            certificate: None,
            private_key: None,
            client_ca: None,
            push_every: Duration::from_secs(10),
            peers: BTreeMap::new(),
        }
    }
}

/// `[replication]` as checked.
#[derive(Debug, Clone)]
pub struct Replication {
    /// Where peers are listened to; `None` means off.
    pub listen: Option<SocketAddr>,
    /// What this server shows to its peers: there wherever it listens to one
    /// or has one.
    pub identity: Option<TlsIdentity>,
    /// The authorities whose certificates peers may show; empty means those of
    /// the system.
    pub client_authorities: Vec<CertificateDer<'static>>,
    /// How often peers are told what changed.
    pub push_every: Duration,
    /// The peers by name: that of their certificate and of their signatures.
    pub peers: BTreeMap<ServerName, Peer>,
}

/// A certificate, with those that lead to its authority, and its key.
#[derive(Debug, Clone)]
pub struct TlsIdentity {
    /// The certificate itself comes first.
    pub chain: Vec<CertificateDer<'static>>,
    /// Its key, which `Debug` does not show.
    pub key: Arc<PrivateKeyDer<'static>>,
}

const LISTEN: &str = "must be an IP address and a port, such as \"[::]:4434\", or empty";
const NEEDED: &str = "is missing; peers know each other by their certificates. Give a file in PEM \
    form";
const NO_KEY: &str = "must hold the private key of replication.certificate in PEM form";
const NO_CHAIN: &str = "must hold a certificate in PEM form";
const ANY_AUTHORITY: &str = "is missing: whoever has a certificate for the name of a peer from any \
    authority that the system trusts can speak as that peer, if it has its signing key too";
const NOBODY: &str = "names none: nobody can push to replication.listen";
const SHORTEST: Duration = Duration::from_millis(100);
const LONGEST: Duration = Duration::from_hours(24);

impl ReplicationSettings {
    pub(super) fn check(
        self,
        own_name: Option<&ServerName>,
        checker: &mut Checker<'_>,
    ) -> Replication {
        checker.period(
            "replication.push_every",
            self.push_every,
            SHORTEST,
            LONGEST,
        );
        let listen = self.address(checker);
        let used = !self.listen.is_empty() || !self.peers.is_empty();
        let identity = self.identity(used, checker);
        let client_authorities = self.client_ca.as_deref().map_or_else(Vec::new, |file| {
            authorities("replication.client_ca", file, checker)
        });
        if listen.is_some() && self.client_ca.is_none() {
            checker.warn("replication.client_ca", ANY_AUTHORITY);
        }
        if listen.is_some() && self.peers.is_empty() {
            checker.warn("replication.peers", NOBODY);
        }
        let peers = self.peers.into_iter().filter_map(|(name, peer)| {
            let key = format!("replication.peers.{name}");
            peer.check(&key, &name, own_name, checker)
        });
        Replication {
            listen,
            identity,
            client_authorities,
            push_every: self.push_every,
            peers: peers.collect(),
        }
    }

    fn address(&self, checker: &mut Checker<'_>) -> Option<SocketAddr> {
        if self.listen.is_empty() {
            return None;
        }
        let address = self.listen.parse().ok();
        if address.is_none() {
            checker.refuse("replication.listen", LISTEN);
        }
        address
    }

    fn identity(&self, needed: bool, checker: &mut Checker<'_>) -> Option<TlsIdentity> {
        const CERTIFICATE: &str = "replication.certificate";
        const KEY: &str = "replication.private_key";
        for (key, file) in [(CERTIFICATE, &self.certificate), (KEY, &self.private_key)] {
            let other = self.certificate.is_some() || self.private_key.is_some();
            if file.is_none() && (needed || other) {
                checker.refuse(key, NEEDED);
            }
        }
        let (certificate, key_file) = (self.certificate.as_deref()?, self.private_key.as_deref()?);
        let chain = read(CERTIFICATE, certificate, checker).and_then(|pem| {
            let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).collect();
            let chain = chain.ok().filter(|chain| !chain.is_empty());
            if chain.is_none() {
                checker.refuse(CERTIFICATE, NO_CHAIN);
            }
            chain
        });
        let key = read(KEY, key_file, checker).and_then(|pem| {
            let key = PrivateKeyDer::from_pem_slice(&pem).ok();
            if key.is_none() {
                checker.refuse(KEY, NO_KEY);
            }
            key
        });
        checker.warn_if_others_may_read(KEY, key_file);
        let (chain, key) = (chain?, key?);
        let provider = ring::default_provider();
        if CertifiedKey::from_der(chain.clone(), key.clone_key(), &provider).is_err() {
            checker.refuse(KEY, NO_KEY);
            return None;
        }
        Some(TlsIdentity {
            chain,
            key: Arc::new(key),
        })
    }
}

fn read(key: &str, file: &Path, checker: &mut Checker<'_>) -> Option<Vec<u8>> {
    let file = checker.resolve(key, file);
    match std::fs::read(&file) {
        Ok(pem) => Some(pem),
        Err(error) => {
            checker.refuse(key, file_access::unreadable(&file, &error));
            None
        }
    }
}
