//! What a URL demands of TLS, as libpq's documentation defines it ("SSL Support").

use std::path::{Path, PathBuf};

use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

use super::options::Options;
use crate::config::{TlsIdentity, files};

/// Whether a connection uses TLS, and what is verified.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum SslMode {
    /// Never.
    Disable,
    /// If the server refuses a connection without it.
    Allow,
    /// If the server supports it.
    Prefer,
    /// Always.
    Require,
    /// Always, with a certificate of a known authority.
    VerifyCa,
    /// The same, and the certificate is for the name of the server.
    VerifyFull,
}

/// Versions of TLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TlsVersions {
    /// TLS 1.2.
    pub has_1_2: bool,
    /// TLS 1.3.
    pub has_1_3: bool,
}

/// The demands of a URL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PostgresTls {
    /// Whether TLS is used.
    pub mode: SslMode,
    /// Whether the client tells the name of the server in the handshake.
    pub sends_name: bool,
    /// Whether the handshake starts without asking the server (since version 17).
    pub is_direct: bool,
    /// The versions of TLS that may be used.
    pub versions: TlsVersions,
    authorities: Authorities,
    identity: Identity,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Authorities {
    System,
    File(PathBuf),
    /// Those of libpq's file if it exists; without a home folder there is none.
    Default(Option<PathBuf>),
}

/// The certificate of the client and its key.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Identity {
    None,
    /// If libpq's file of the certificate exists.
    IfPresent(PathBuf, PathBuf),
    Files(PathBuf, PathBuf),
}

/// The authorities that a certificate of the server is verified with.
#[derive(Debug)]
pub enum TrustedAuthorities {
    /// It is not verified.
    Any,
    /// Those of the operating system.
    System,
    /// These.
    Listed(Vec<CertificateDer<'static>>),
}

/// What the files of a [`PostgresTls`] contain.
#[derive(Debug)]
pub struct TlsFiles {
    /// The authorities.
    pub authorities: TrustedAuthorities,
    /// The certificate of the client.
    pub identity: Option<TlsIdentity>,
}

impl PostgresTls {
    pub(super) fn parse(options: &Options) -> Result<Self, String> {
        let folder = std::env::home_dir().map(|home| home.join(".postgresql"));
        let folder = folder.as_deref();
        let authorities = match options.get("sslrootcert") {
            None => Authorities::Default(folder.map(|folder| folder.join("root.crt"))),
            Some("system") => Authorities::System,
            Some(file) => Authorities::File(file.into()),
        };
        let mode = parse_mode(options, &authorities)?;
        let is_direct = match options.get("sslnegotiation") {
            None | Some("postgres") => false,
            Some(_direct) if mode >= SslMode::Require => true,
            Some(_direct) => return Err(WEAK_DIRECT.to_owned()),
        };
        Ok(Self {
            mode,
            sends_name: options.get("sslsni") != Some("0"),
            is_direct,
            versions: parse_versions(options)?,
            authorities,
            identity: Identity::parse(options, folder)?,
        })
    }

    /// Reads the files, which may have been renewed since the last time.
    ///
    /// # Errors
    /// One of them cannot be used.
    pub fn load(&self) -> Result<TlsFiles, String> {
        let authorities = match &self.authorities {
            Authorities::System => TrustedAuthorities::System,
            Authorities::File(file) => TrustedAuthorities::Listed(read_certificates(file)?),
            Authorities::Default(Some(file)) if file.exists() => {
                TrustedAuthorities::Listed(read_certificates(file)?)
            }
            Authorities::Default(_) => match self.mode {
                SslMode::VerifyFull => TrustedAuthorities::System,
                SslMode::VerifyCa => return Err(ANY_AUTHORITY.to_owned()),
                _ => TrustedAuthorities::Any,
            },
        };
        let identity = self.identity.files();
        let identity = identity.map(|(certificate, key)| read_identity(certificate, key));
        let identity = identity.transpose()?;
        Ok(TlsFiles {
            authorities,
            identity,
        })
    }

    /// The file with the private key of the client, if it has a certificate.
    pub(super) fn key_file(&self) -> Option<&Path> {
        self.identity.files().map(|(_, key)| key)
    }
}

impl Identity {
    fn parse(options: &Options, folder: Option<&Path>) -> Result<Self, String> {
        match options.get("sslcertmode") {
            Some("disable") => return Ok(Self::None),
            None | Some("allow") => {}
            Some(_require) => return Err(CERTIFICATE_MODE.to_owned()),
        }
        let file = |name: &str, default: &str| {
            let set = options.get(name).map(PathBuf::from);
            set.or_else(|| folder.map(|folder| folder.join(default)))
        };
        let certificate = file("sslcert", "postgresql.crt");
        let key = file("sslkey", "postgresql.key");
        match (certificate, key) {
            (Some(certificate), Some(key)) if options.get("sslcert").is_some() => {
                Ok(Self::Files(certificate, key))
            }
            (Some(certificate), Some(key)) => Ok(Self::IfPresent(certificate, key)),
            (Some(_), None) => Err("has sslcert, which needs sslkey".to_owned()),
            (None, _) => Ok(Self::None),
        }
    }

    /// Those that are used.
    fn files(&self) -> Option<(&Path, &Path)> {
        match self {
            Self::IfPresent(certificate, key) if certificate.exists() => Some((certificate, key)),
            Self::Files(certificate, key) => Some((certificate, key)),
            Self::None | Self::IfPresent(..) => None,
        }
    }
}

const CERTIFICATE_MODE: &str = "has sslcertmode=require, which this build does not support; the \
    server can require a certificate (clientcert in pg_hba.conf)";
const WEAK_DIRECT: &str = "has sslnegotiation=direct, which needs sslmode=require or stronger";
const WEAK_SYSTEM: &str = "has sslrootcert=system, which needs sslmode=verify-full: anybody can get \
    a certificate of one of these authorities";
const ANY_AUTHORITY: &str = "sslmode=verify-ca needs sslrootcert: anybody can get a certificate of \
    one of the system's authorities. With sslmode=verify-full, which verifies the name as well, \
    they are used";

fn parse_mode(options: &Options, authorities: &Authorities) -> Result<SslMode, String> {
    let is_system = *authorities == Authorities::System;
    let mode = match options.get("sslmode") {
        None if is_system => SslMode::VerifyFull,
        None | Some("prefer") => SslMode::Prefer,
        Some("disable") => SslMode::Disable,
        Some("allow") => SslMode::Allow,
        Some("require") => SslMode::Require,
        Some("verify-ca") => SslMode::VerifyCa,
        // The values are checked: it is verify-full.
        Some(_) => SslMode::VerifyFull,
    };
    if is_system && !matches!(mode, SslMode::VerifyFull | SslMode::Disable) {
        return Err(WEAK_SYSTEM.to_owned());
    }
    Ok(mode)
}

/// Those between the lowest and the highest version.
fn parse_versions(options: &Options) -> Result<TlsVersions, String> {
    let version = |name: &str, default: u8| match options.get(name) {
        None => default,
        Some("TLSv1") => 0,
        Some("TLSv1.1") => 1,
        Some("TLSv1.2") => 2,
        Some(_highest) => 3,
    };
    let lowest = version("ssl_min_protocol_version", 2);
    let highest = version("ssl_max_protocol_version", 3);
    let allowed = |version: u8| (lowest..=highest).contains(&version);
    if !allowed(2) && !allowed(3) {
        return Err("allows neither TLS 1.2 nor TLS 1.3, the versions of this build".to_owned());
    }
    Ok(TlsVersions {
        has_1_2: allowed(2),
        has_1_3: allowed(3),
    })
}

fn read_certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let pem = std::fs::read(file).map_err(|error| files::unreadable(file, &error))?;
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).collect();
    let certificates = certificates.ok().filter(|list| !list.is_empty());
    certificates.ok_or_else(|| format!("{} has no certificate in PEM format", file.display()))
}

fn read_identity(certificate: &Path, key: &Path) -> Result<TlsIdentity, String> {
    let chain = read_certificates(certificate)?;
    let pem = std::fs::read(key).map_err(|error| files::unreadable(key, &error))?;
    let parsed = PrivateKeyDer::from_pem_slice(&pem).map_err(|_no_detail_helps_more| {
        format!(
            "{} has no private key in PEM format, without a password",
            key.display()
        )
    })?;
    let identity = TlsIdentity::new(chain, parsed);
    identity.ok_or_else(|| {
        format!(
            "{} has not the key of {}",
            key.display(),
            certificate.display()
        )
    })
}
