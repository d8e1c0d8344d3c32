//! Which certificates of servers are accepted.

use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::{CertificateError, DigitallySignedStruct, SignatureScheme};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};

use crate::outgoing::pinned::ask_inner;

/// Verifies as libpq does: the name only for `sslmode=verify-full`, and then also the
/// common name of a certificate that lists no names.
#[derive(Debug)]
pub(super) struct PostgresCertificate<V> {
    inner: Arc<V>,
    verifies_name: bool,
}

impl<V> PostgresCertificate<V> {
    pub(super) fn new(inner: Arc<V>, verifies_name: bool) -> Self {
        Self {
            inner,
            verifies_name,
        }
    }
}

impl<V: ServerCertVerifier> ServerCertVerifier for PostgresCertificate<V> {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let verified = self.inner.verify_server_cert(
            end_entity,
            intermediates,
            server_name,
            ocsp_response,
            now,
        );
        match verified {
            // The chain is verified before the name.
            Err(rustls::Error::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            )) if !self.verifies_name || has_common_name(end_entity, server_name) => {
                Ok(ServerCertVerified::assertion())
            }
            verified => verified,
        }
    }

    ask_inner!();
}

/// Whether the name is the common name of a certificate without alternative names, such
/// as `openssl req -x509 -subj /CN=…` makes it.
fn has_common_name(certificate: &CertificateDer<'_>, name: &ServerName<'_>) -> bool {
    let Ok((_, parsed)) = x509_parser::parse_x509_certificate(certificate) else {
        return false;
    };
    if !matches!(parsed.subject_alternative_name(), Ok(None)) {
        return false;
    }
    let mut names = parsed.subject().iter_common_name();
    let (Some(only), None) = (names.next(), names.next()) else {
        return false;
    };
    only.as_str()
        .is_ok_and(|only| only.eq_ignore_ascii_case(&name.to_str()))
}
