//! TLS of the replication listener: peers show certificates, and their names are
//! in them.

use std::any::Any;
use std::sync::Arc;

use actix_tls::accept::rustls_0_23::TlsStream;
use actix_web::dev::Extensions;
use actix_web::rt::net::TcpStream;
use rustls::crypto::ring;
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use rustls_pki_types::CertificateDer;

use super::ServerError;
use crate::config::{Replication, TlsIdentity};
use crate::domain::ids::ServerName;
use crate::federation::Pinned;
use crate::http::PeerName;

/// How the listener shows who it is and whose certificates it takes; `None` if it is
/// off.
pub(super) fn tls(settings: &Replication) -> Result<Option<ServerConfig>, ServerError> {
    let identity = settings.listen.and(settings.identity.as_ref());
    identity
        .map(|identity| tls_with(settings, identity))
        .transpose()
}

fn tls_with(settings: &Replication, identity: &TlsIdentity) -> Result<ServerConfig, ServerError> {
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
    let verifier = Arc::new(Pinned::new(verifier, &settings.client_authorities));
    ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .and_then(|builder| {
            builder
                .with_client_cert_verifier(verifier)
                .with_single_cert(identity.chain.clone(), identity.key.clone_key())
        })
        .map_err(|error| ServerError::Mesh(error.to_string()))
}

/// Lets the handlers know whose connection it is.
pub(super) fn remember_peer(connection: &dyn Any, data: &mut Extensions) {
    if let Some(stream) = connection.downcast_ref::<TlsStream<TcpStream>>() {
        let (_, session) = stream.get_ref();
        let certificate = session.peer_certificates().and_then(<[_]>::first);
        data.insert(PeerName(certificate.and_then(common_name)));
    }
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
