//! TLS of the replication listener: peers show certificates, and their names are
//! in them.

use std::sync::Arc;

use log::warn;
use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::ring;
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, RootCertStore, ServerConfig,
    ServerConnection, SignatureScheme,
};
use rustls_pki_types::{CertificateDer, UnixTime};

use super::ServerError;
use crate::config::{Replication, TlsIdentity};
use crate::domain::ids::ServerName;
use crate::federation::Pinned;
use crate::http::PeerName;
use crate::metrics::Metrics;

/// How the listener shows who it is and whose certificates it takes; `None` if it is
/// off.
pub(super) fn tls(
    settings: &Replication,
    metrics: &Arc<Metrics>,
) -> Result<Option<ServerConfig>, ServerError> {
    let identity = settings.listen.and(settings.identity.as_ref());
    identity
        .map(|identity| tls_with(settings, identity, metrics))
        .transpose()
}

fn tls_with(
    settings: &Replication,
    identity: &TlsIdentity,
    metrics: &Arc<Metrics>,
) -> Result<ServerConfig, ServerError> {
    let provider = Arc::new(ring::default_provider());
    let mut roots = RootCertStore::empty();
    if settings.client_authorities.is_empty() {
        let system = rustls_native_certs::load_native_certs();
        roots.add_parsable_certificates(system.certs);
    }
    roots.add_parsable_certificates(settings.client_authorities.iter().cloned());
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider.clone())
        .build()
        .map_err(|error| ServerError::Mesh(error.to_string()))?;
    let verifier = Arc::new(OnlyPeers {
        verifier: Pinned::new(verifier, &settings.client_authorities),
        peers: settings.peers.keys().cloned().collect(),
        metrics: Arc::clone(metrics),
    });
    let mut tls = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .and_then(|builder| {
            builder
                .with_client_cert_verifier(verifier)
                .with_single_cert(identity.chain.clone(), identity.key.clone_key())
        })
        .map_err(|error| ServerError::Mesh(error.to_string()))?;
    tls.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(tls)
}

/// Refuses in the handshake the certificates that are valid, and not those of a peer.
#[derive(Debug)]
struct OnlyPeers<V> {
    verifier: V,
    peers: Vec<ServerName>,
    metrics: Arc<Metrics>,
}

impl<V: ClientCertVerifier> ClientCertVerifier for OnlyPeers<V> {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.verifier.root_hint_subjects()
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        let valid = self
            .verifier
            .verify_client_cert(end_entity, intermediates, now)?;
        let name = common_name(end_entity);
        if name.as_ref().is_some_and(|name| self.peers.contains(name)) {
            return Ok(valid);
        }
        let certificate = name.as_ref().map_or("", ServerName::as_str);
        warn!(certificate; "connection rejected: the client certificate is not one of a peer");
        self.metrics.push_received("", "unknown");
        Err(CertificateError::ApplicationVerificationFailure.into())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.verifier
            .verify_tls12_signature(message, certificate, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.verifier
            .verify_tls13_signature(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.verifier.supported_verify_schemes()
    }
}

/// Whose connection it is.
pub(super) fn peer_name(session: &ServerConnection) -> PeerName {
    let certificate = session.peer_certificates().and_then(<[_]>::first);
    PeerName(certificate.and_then(common_name))
}

/// The one common name of a certificate's subject, if it is that of a server. Of
/// several it would be unclear which one the authority has checked.
fn common_name(certificate: &CertificateDer<'_>) -> Option<ServerName> {
    let (_, parsed) = x509_parser::parse_x509_certificate(certificate).ok()?;
    let mut names = parsed.subject().iter_common_name();
    let (Some(only), None) = (names.next(), names.next()) else {
        return None;
    };
    ServerName::parse(only.as_str().ok()?).ok()
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, DnType, KeyPair};

    use super::*;

    fn certificate(common_name: Option<&str>) -> CertificateDer<'static> {
        let mut params = CertificateParams::new(vec!["other.example".to_owned()]).unwrap();
        params.distinguished_name = rcgen::DistinguishedName::new();
        params
            .distinguished_name
            .push(DnType::OrganizationName, "org.example");
        if let Some(name) = common_name {
            params.distinguished_name.push(DnType::CommonName, name);
        }
        let key = KeyPair::generate().unwrap();
        params.self_signed(&key).unwrap().der().clone()
    }

    /// INT-03
    #[test]
    fn peer_name_is_the_common_name() {
        for (written, read) in [
            (Some("peer.example"), Some("peer.example")),
            (Some("peer.example:1234"), Some("peer.example:1234")),
            (Some("a peer"), None),
            (Some(""), None),
            (None, None),
        ] {
            let name = common_name(&certificate(written));
            assert_eq!(name.as_ref().map(ServerName::as_str), read, "{written:?}");
        }
        assert!(common_name(&CertificateDer::from(vec![1, 2, 3])).is_none());
    }
}
