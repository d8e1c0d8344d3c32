//! PEM files with certificates.

use std::path::Path;

use rustls::RootCertStore;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;

use super::checker::Checker;
use super::files;

/// The certificates of authorities in the file that the setting `key` names.
pub(super) fn authorities(
    key: &str,
    file: &Path,
    checker: &mut Checker<'_>,
) -> Vec<CertificateDer<'static>> {
    let file = checker.resolve(key, file);
    let pem = match std::fs::read(&file) {
        Ok(pem) => pem,
        Err(error) => {
            checker.error(key, files::unreadable(&file, &error));
            return Vec::new();
        }
    };
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).collect();
    let certificates = certificates.unwrap_or_default();
    let mut store = RootCertStore::empty();
    let usable = certificates
        .iter()
        .all(|certificate| store.add(certificate.clone()).is_ok());
    if certificates.is_empty() || !usable {
        checker.error(
            key,
            format!(
                "must be a file with certificates in PEM format: {}",
                file.display()
            ),
        );
    }
    certificates
}
