//! A certificate authority for tests.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, IsCa, Issuer, KeyPair,
};
use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use tempfile::TempDir;

/// Signs certificates. Its own is in a file, for clients that trust it.
pub struct TestCa {
    issuer: Issuer<'static, KeyPair>,
    folder: TempDir,
}

/// What is wrong with a certificate for `unusual.test`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unusual {
    /// It is that of an authority.
    Authority,
    Expired,
    NotYetValid,
    NoNames,
    /// X.509 version 1, without extensions.
    Version1,
    /// The same, with TLS 1.2.
    OldTls,
    /// Bytes that are no certificate.
    Garbage,
    /// Nothing, but that it is of an authority that nobody knows.
    Signed,
}

/// A DER element: its bytes, its content, and what follows it.
fn element(der: &[u8]) -> (&[u8], &[u8], &[u8]) {
    let (header, length) = match der[1] {
        length @ 0..=0x7f => (2, usize::from(length)),
        0x81 => (3, usize::from(der[2])),
        _ => (4, usize::from(u16::from_be_bytes([der[2], der[3]]))),
    };
    let (whole, rest) = der.split_at(header + length);
    (whole, &whole[header..], rest)
}

fn sequence(content: &[u8]) -> Vec<u8> {
    let length = u16::try_from(content.len()).unwrap().to_be_bytes();
    [&[0x30, 0x82], &length[..], content].concat()
}

/// The certificate without its version and its extensions, which is what version 1
/// has. The signature is no longer right.
fn version_1(certificate: &[u8]) -> Vec<u8> {
    let (_, certificate, _) = element(certificate);
    let (_, mut fields, signature) = element(certificate);
    let mut kept = Vec::new();
    while !fields.is_empty() {
        let (field, _, rest) = element(fields);
        if !matches!(field[0], 0xa0 | 0xa3) {
            kept.extend(field);
        }
        fields = rest;
    }
    sequence(&[sequence(&kept), signature.to_vec()].concat())
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

    /// TLS settings with a certificate that only a client takes that verifies
    /// nothing. A library that parsed it might refuse to serve it.
    pub fn unusual_server_config(&self, unusual: Unusual) -> Arc<ServerConfig> {
        let (certificate, key) = self.unusual(unusual);
        let key = ring::sign::any_supported_type(&key).unwrap();
        let certified = CertifiedKey::new(vec![certificate], key);
        let old = [&rustls::version::TLS12];
        let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_protocol_versions(match unusual {
                Unusual::OldTls => &old,
                _ => rustls::DEFAULT_VERSIONS,
            })
            .unwrap()
            .with_no_client_auth()
            .with_cert_resolver(Arc::new(SingleCertAndKey::from(certified)));
        Arc::new(config)
    }

    fn unusual(&self, unusual: Unusual) -> (CertificateDer<'static>, PrivateKeyDer<'static>) {
        let key = KeyPair::generate().unwrap();
        let names = match unusual {
            Unusual::NoNames => Vec::new(),
            _ => vec!["unusual.test".to_owned()],
        };
        let mut params = params("unusual", names);
        match unusual {
            Unusual::Authority => params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained),
            Unusual::Expired => params.not_after = rcgen::date_time_ymd(2001, 1, 1),
            Unusual::NotYetValid => params.not_before = rcgen::date_time_ymd(2999, 1, 1),
            _ => {}
        }
        let certificate = match unusual {
            Unusual::Signed => params.signed_by(&key, &self.issuer).unwrap(),
            _ => params.self_signed(&key).unwrap(),
        };
        let mut der = certificate.der().to_vec();
        match unusual {
            Unusual::Version1 | Unusual::OldTls => der = version_1(&der),
            Unusual::Garbage => der.truncate(40),
            _ => {}
        }
        let key = PrivatePkcs8KeyDer::from(key.serialize_der());
        (der.into(), key.into())
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

/// The files of a certificate for `name` that is its own authority, as
/// `openssl req -x509` makes it, and of its key.
pub fn self_signed_authority(folder: &Path, name: &str) -> (PathBuf, PathBuf) {
    let key = KeyPair::generate().unwrap();
    let mut params = params(name, vec![name.to_owned(), "127.0.0.1".to_owned()]);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let certificate = params.self_signed(&key).unwrap();
    let at = |ending: &str| folder.join(format!("{name}.{ending}"));
    std::fs::write(at("crt"), certificate.pem()).unwrap();
    std::fs::write(at("key"), key.serialize_pem()).unwrap();
    (at("crt"), at("key"))
}
