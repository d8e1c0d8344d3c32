//! TLS on a connection to the server (`PostgreSQL` documentation, sections "SSL Session
//! Encryption" and "SSL Support").

use std::io;
use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::ServerCertVerifier;
use rustls::crypto::ring;
use rustls::{CertificateError, ClientConfig, RootCertStore, SupportedProtocolVersion, version};
use rustls_pki_types::ServerName;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::Failure;
use super::verifier::PostgresCertificate;
use crate::config::{PostgresHost, PostgresTls, SslMode, TrustedAuthorities};
use crate::outgoing::Pinned;
use crate::outgoing::tls::{AcceptAnyCertificate, only_trust_anchors, trust_anchors};

/// What a client sends to ask for TLS: the length of the message and its code.
const SSL_REQUEST: [u8; 8] = [0, 0, 0, 8, 4, 210, 22, 47];

/// The name of the protocol inside TLS, which servers since version 17 expect.
const PROTOCOL: &[u8] = b"postgresql";

/// Asks the server for TLS and does the handshake.
pub(super) async fn start(
    mut stream: TcpStream,
    host: &PostgresHost,
    tls: &PostgresTls,
) -> Result<TlsStream<TcpStream>, Failure> {
    let config = client_config(tls).map_err(Failure::Tls)?;
    let name = server_name(host)?;
    if !tls.is_direct {
        ask_for_tls(&mut stream).await?;
    }
    let connector = TlsConnector::from(Arc::new(config));
    let stream = connector
        .connect(name, stream)
        .await
        .map_err(|error| Failure::Tls(reason(&error, host)))?;
    if tls.is_direct && stream.get_ref().1.alpn_protocol() != Some(PROTOCOL) {
        let unknown = "the server does not support sslnegotiation=direct";
        return Err(Failure::Tls(unknown.to_owned()));
    }
    Ok(stream)
}

/// Reads exactly the byte of the answer: what follows must come from inside of TLS.
async fn ask_for_tls(stream: &mut TcpStream) -> Result<(), Failure> {
    let mut answer = [0];
    let asking = async {
        stream.write_all(&SSL_REQUEST).await?;
        stream.read_exact(&mut answer).await
    };
    asking
        .await
        .map_err(|error| Failure::Network(format!("the server closed the connection: {error}")))?;
    match &answer {
        b"S" => Ok(()),
        b"N" => Err(Failure::NoTls),
        _ => Err(Failure::Tls(
            "the server did not answer the request for TLS".to_owned(),
        )),
    }
}

fn client_config(tls: &PostgresTls) -> Result<ClientConfig, String> {
    let files = tls.load()?;
    let verifier: Arc<dyn ServerCertVerifier> = match files.authorities {
        TrustedAuthorities::Any => Arc::new(AcceptAnyCertificate),
        TrustedAuthorities::System => verifier(trust_anchors(&[]), &[], tls)?,
        TrustedAuthorities::Listed(listed) => verifier(only_trust_anchors(&listed), &listed, tls)?,
    };
    let mut versions: Vec<&'static SupportedProtocolVersion> = Vec::new();
    versions.extend(tls.versions.has_1_3.then_some(&version::TLS13));
    versions.extend(tls.versions.has_1_2.then_some(&version::TLS12));
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_protocol_versions(&versions)
        .map_err(|error| error.to_string())?
        .dangerous()
        .with_custom_certificate_verifier(verifier);
    let mut config = match files.identity {
        None => builder.with_no_client_auth(),
        Some(own) => builder
            .with_client_auth_cert(own.chain, own.key.clone_key())
            .map_err(|error| format!("the client's certificate cannot be used: {error}"))?,
    };
    config.enable_sni = tls.sends_name;
    config.alpn_protocols = vec![PROTOCOL.to_vec()];
    Ok(config)
}

fn verifier(
    roots: RootCertStore,
    listed: &[rustls_pki_types::CertificateDer<'static>],
    tls: &PostgresTls,
) -> Result<Arc<dyn ServerCertVerifier>, String> {
    let provider = Arc::new(ring::default_provider());
    let chains = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider)
        .build()
        .map_err(|error| format!("there is no authority to verify with: {error}"))?;
    // The certificate of a server may be its own authority.
    let chains = Arc::new(Pinned::new(chains, listed));
    let verifies_name = tls.mode == SslMode::VerifyFull;
    Ok(Arc::new(PostgresCertificate::new(chains, verifies_name)))
}

/// The name that the certificate must be for, and that the handshake tells the server.
fn server_name(host: &PostgresHost) -> Result<ServerName<'static>, Failure> {
    let name = host.name.as_deref().or(host.address.as_deref());
    // A zone is no part of the address in a certificate.
    let name = name
        .unwrap_or_default()
        .split('%')
        .next()
        .unwrap_or_default();
    ServerName::try_from(name.to_owned()).map_err(|_no_detail_helps_more| {
        Failure::Tls("it has a name that no certificate can have".to_owned())
    })
}

/// What went wrong in the handshake or later.
pub(super) fn reason(error: &io::Error, host: &PostgresHost) -> String {
    let tls = error
        .get_ref()
        .and_then(|inner| inner.downcast_ref::<rustls::Error>());
    let host = host.shown();
    match tls {
        Some(rustls::Error::InvalidCertificate(why)) if is_unknown(why) => format!(
            "the certificate of {host} is not valid: no trusted authority has signed it \
             (sslrootcert)"
        ),
        Some(rustls::Error::InvalidCertificate(why)) => {
            format!("the certificate of {host} is not valid: {why}")
        }
        Some(rustls::Error::AlertReceived(alert)) => {
            format!("the server refused TLS: it sent the alert {alert:?}")
        }
        Some(other) => format!("TLS failed: {other}"),
        None if error.kind() == io::ErrorKind::UnexpectedEof => {
            "TLS failed: the server closed the connection".to_owned()
        }
        None => format!("TLS failed: {error}"),
    }
}

/// Whether the authority is not one of those that are trusted.
fn is_unknown(why: &CertificateError) -> bool {
    match why {
        // The second, if another authority has the same name.
        CertificateError::UnknownIssuer | CertificateError::BadSignature => true,
        // The server's certificate is its own authority.
        CertificateError::Other(other) => format!("{other:?}").contains("CaUsedAsEndEntity"),
        _ => false,
    }
}
