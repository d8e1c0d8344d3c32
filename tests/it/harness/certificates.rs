//! A certificate authority for tests.

use std::path::PathBuf;
use std::sync::Arc;

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, IsCa, Issuer, KeyPair,
};
use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use tempfile::TempDir;

/// Signs certificates. Its own is in a file, for clients that trust it.
pub struct TestCa {
    issuer: Issuer<'static, KeyPair>,
    folder: TempDir,
}

/// The content of a certificate for `common_name`, which may be an IP address.
/// Issuer and subject must differ, or OpenSSL confuses them.
fn params(common_name: &str, names: Vec<String>) -> CertificateParams {
    let mut params = CertificateParams::new(names).unwrap();
    params.distinguished_name = DistinguishedName::new();
    params
        .distinguished_name
        .push(DnType::CommonName, common_name);
    params
}

impl TestCa {
    pub fn new() -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = params("certificate authority of the tests", Vec::new());
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let folder = tempfile::tempdir().unwrap();
        let pem = params.self_signed(&key).unwrap().pem();
        std::fs::write(folder.path().join("ca.pem"), pem).unwrap();
        Self {
            issuer: Issuer::new(params, key),
            folder,
        }
    }

    /// The file with the authority's certificate, for the clients.
    pub fn file(&self) -> PathBuf {
        self.folder.path().join("ca.pem")
    }

    /// A certificate for `name`, which may be an IP address, and its key.
    pub fn certified(&self, name: &str) -> (CertificateDer<'static>, PrivateKeyDer<'static>) {
        let key = KeyPair::generate().unwrap();
        let params = params(name, vec![name.to_owned()]);
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        let key = PrivatePkcs8KeyDer::from(key.serialize_der());
        (certificate.der().clone(), key.into())
    }

    /// The TLS settings of a server with a certificate for `name`.
    pub fn server_config(&self, name: &str) -> Arc<ServerConfig> {
        let (certificate, key) = self.certified(name);
        let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate], key)
            .unwrap();
        Arc::new(config)
    }

    /// The files of a certificate for `name` and of its key.
    pub fn certify(&self, name: &str) -> (PathBuf, PathBuf) {
        self.certify_at(name, &[name])
    }

    /// The same for a server with other DNS names or IP addresses.
    pub fn certify_at(&self, name: &str, subjects: &[&str]) -> (PathBuf, PathBuf) {
        let key = KeyPair::generate().unwrap();
        let subjects = subjects.iter().map(|name| (*name).to_owned()).collect();
        let certificate = params(name, subjects)
            .signed_by(&key, &self.issuer)
            .unwrap();
        let at = |ending: &str| self.folder.path().join(format!("{name}.{ending}"));
        std::fs::write(at("crt"), certificate.pem()).unwrap();
        std::fs::write(at("key"), key.serialize_pem()).unwrap();
        (at("crt"), at("key"))
    }
}
