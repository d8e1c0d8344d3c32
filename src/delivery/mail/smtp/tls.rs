//! TLS connections to the relay. The certificate and the host name are always
//! verified.

use std::sync::Arc;

use rustls::{ClientConfig, crypto::ring};
use rustls_pki_types::CertificateDer;
use tokio_rustls::TlsConnector;

use crate::delivery::mail::TransportError;
use crate::outgoing::tls::trust_anchors;

/// Creates the connector for all connections. Its trust anchors are those of the
/// system and the `extra` ones.
pub(super) fn connector(extra: &[CertificateDer<'static>]) -> Result<TlsConnector, TransportError> {
    let roots = trust_anchors(extra);
    if roots.is_empty() {
        return Err(TransportError::NoAuthorities);
    }
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(TransportError::Tls)?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(TlsConnector::from(Arc::new(config)))
}
