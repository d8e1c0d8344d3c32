//! `[replication]`: the peers of a mesh, and the certificates that authenticate them.

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

use super::certificates::authorities;
use super::checker::Checker;
use super::peer::{Peer, PeerSettings};
use super::{duration, files};
use crate::domain::ids::{KeyId, ServerName};

/// `[replication]` as set.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ReplicationSettings {
    /// The address of the replication listener; empty means off.
    pub listen: String,
    /// The certificate of this server, PEM.
    pub certificate: Option<PathBuf>,
    /// The private key of the certificate, PEM.
    pub private_key: Option<PathBuf>,
    /// The authorities that issue the certificates of peers, PEM.
    pub client_ca: Option<PathBuf>,
    /// How often changes are pushed to peers.
    #[serde(with = "duration")]
    pub push_every: Duration,
    /// How far apart the clocks of the mesh may be (INT-07).
    #[serde(with = "duration")]
    pub max_clock_skew: Duration,
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
            max_clock_skew: Duration::from_mins(5),
            peers: BTreeMap::new(),
        }
    }
}

/// `[replication]` as checked.
#[derive(Debug, Clone)]
pub struct Replication {
    /// The address of the replication listener; `None` means off.
    pub listen: Option<SocketAddr>,
    /// The certificate of this server; present if there is a listener or a peer.
    pub identity: Option<TlsIdentity>,
    /// The authorities that issue the certificates of peers; empty means those of the
    /// system.
    pub client_authorities: Vec<CertificateDer<'static>>,
    /// How often changes are pushed to peers.
    pub push_every: Duration,
    /// How far apart the clocks of the mesh may be.
    pub max_clock_skew: Duration,
    /// The peers by name, which their certificates and signatures contain.
    pub peers: BTreeMap<ServerName, Peer>,
}

/// A certificate chain and its private key.
#[derive(Debug, Clone)]
pub struct TlsIdentity {
    /// The certificate itself, then those of its issuers.
    pub chain: Vec<CertificateDer<'static>>,
    /// The private key, which `Debug` does not show.
    pub key: Arc<PrivateKeyDer<'static>>,
}

impl TlsIdentity {
    /// `None` if the key is not that of the certificate.
    pub(super) fn new(
        chain: Vec<CertificateDer<'static>>,
        key: PrivateKeyDer<'static>,
    ) -> Option<Self> {
        let provider = ring::default_provider();
        CertifiedKey::from_der(chain.clone(), key.clone_key(), &provider).ok()?;
        let key = Arc::new(key);
        Some(Self { chain, key })
    }
}

const LISTEN: &str = "must be an IP address and a port, such as \"[::]:4434\", or empty";
const FILE_MISSING: &str = "is missing: set a file in PEM format. Servers of a mesh authenticate \
    each other by certificates";
const NOT_A_KEY: &str = "must be a file with the private key of replication.certificate in PEM \
    format";
const NOT_A_CERTIFICATE: &str = "must be a file with a certificate in PEM format";
const ANY_AUTHORITY: &str = "is missing: any authority that the system trusts can issue a \
    certificate for the name of a peer, with which someone who also has the peer's signing key can \
    impersonate it";
const NO_PEERS: &str = "contains no peers, so none can push to replication.listen";
const MIN_PUSH_EVERY: Duration = Duration::from_millis(100);
const MAX_PUSH_EVERY: Duration = Duration::from_hours(24);

/// The only key id whose signatures a Python Sydent verifies.
pub const SYDENT_KEY_ID: &str = "ed25519:0";

impl Replication {
    /// Warns about a key whose signatures a Python Sydent rejects.
    pub(super) fn check_key_id(&self, id: &KeyId, checker: &mut Checker<'_>) {
        if !self.peers.is_empty() && id.as_str() != SYDENT_KEY_ID {
            checker.warn(
                "server.signing_key_file",
                format!(
                    "signs with the key id {id}: a peer that is a Python Sydent rejects every \
                     push, since it verifies only {SYDENT_KEY_ID}. Other servers of this kind \
                     accept any key id"
                ),
            );
        }
    }
}

impl ReplicationSettings {
    pub(super) fn check(
        self,
        own_name: Option<&ServerName>,
        checker: &mut Checker<'_>,
    ) -> Replication {
        checker.duration(
            "replication.push_every",
            self.push_every,
            MIN_PUSH_EVERY,
            MAX_PUSH_EVERY,
        );
        let (none, max) = (Duration::ZERO, Duration::from_mins(9));
        checker.duration("replication.max_clock_skew", self.max_clock_skew, none, max);
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
            checker.warn("replication.peers", NO_PEERS);
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
            max_clock_skew: self.max_clock_skew,
            peers: peers.collect(),
        }
    }

    fn address(&self, checker: &mut Checker<'_>) -> Option<SocketAddr> {
        if self.listen.is_empty() {
            return None;
        }
        let address = self.listen.parse().ok();
        if address.is_none() {
            checker.error("replication.listen", LISTEN);
        }
        address
    }

    fn identity(&self, needed: bool, checker: &mut Checker<'_>) -> Option<TlsIdentity> {
        const CERTIFICATE: &str = "replication.certificate";
        const KEY: &str = "replication.private_key";
        let any = self.certificate.is_some() || self.private_key.is_some();
        for (key, file) in [(CERTIFICATE, &self.certificate), (KEY, &self.private_key)] {
            if file.is_none() && (needed || any) {
                checker.error(key, FILE_MISSING);
            }
        }
        let (certificate, key_file) = (self.certificate.as_deref()?, self.private_key.as_deref()?);
        let chain = read(CERTIFICATE, certificate, checker).and_then(|pem| {
            let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).collect();
            let chain = chain.ok().filter(|chain| !chain.is_empty());
            if chain.is_none() {
                checker.error(CERTIFICATE, NOT_A_CERTIFICATE);
            }
            chain
        });
        let key = read(KEY, key_file, checker).and_then(|pem| {
            let key = PrivateKeyDer::from_pem_slice(&pem).ok();
            if key.is_none() {
                checker.error(KEY, NOT_A_KEY);
            }
            key
        });
        checker.warn_if_world_accessible(KEY, key_file);
        let (chain, key) = (chain?, key?);
        let identity = TlsIdentity::new(chain, key);
        if identity.is_none() {
            checker.error(KEY, NOT_A_KEY);
        }
        identity
    }
}

fn read(key: &str, file: &Path, checker: &mut Checker<'_>) -> Option<Vec<u8>> {
    let file = checker.resolve(key, file);
    match std::fs::read(&file) {
        Ok(pem) => Some(pem),
        Err(error) => {
            checker.error(key, files::unreadable(&file, &error));
            None
        }
    }
}
