//! An identity server of a mesh that pushes to others.

use std::sync::{Arc, OnceLock};

use rustls::crypto::ring;
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use serde_json::{Value, json};
use sydent::config::{PeerSettings, Settings};
use sydent::domain::base64;
use sydent::domain::ids::{KeyId, ServerName};
use sydent::domain::public_key::PublicKey;
use sydent::domain::signing::KeyPair;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::{Answer, SERVER_NAME, TestCa, TestServer, raw};

pub const PUSH: &str = "/_matrix/identity/replicate/v1/push";

/// A peer with its signing key and its client certificate.
pub struct Peer {
    pub name: String,
    key: KeyPair,
    certificate: Option<(CertificateDer<'static>, PrivateKeyDer<'static>)>,
}

impl Peer {
    /// A peer with a certificate of the mesh's certificate authority.
    pub fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            key: key(&seed(name)),
            certificate: Some(mesh_ca().certified(name)),
        }
    }

    /// The same peer with a certificate of another authority.
    pub fn certified_by(self, ca: &TestCa) -> Self {
        let certificate = Some(ca.certified(&self.name));
        Self {
            certificate,
            ..self
        }
    }

    /// The same peer without a certificate.
    pub fn without_certificate(self) -> Self {
        Self {
            certificate: None,
            ..self
        }
    }

    /// The same peer with a signing key that the server does not know.
    pub fn with_wrong_key(self) -> Self {
        Self {
            key: key(&[0; 32]),
            ..self
        }
    }

    /// Makes it a peer of a server.
    pub fn configure(&self, settings: &mut Settings) {
        listen(settings);
        let peer = PeerSettings {
            public_key: Some(self.key.public().to_base64()),
            // Nothing listens there.
            url: Some("https://127.0.0.1:1".to_owned()),
            ..PeerSettings::default()
        };
        let peers = &mut settings.replication.peers;
        peers.insert(self.name.clone(), peer);
    }

    /// The public key that it signs with.
    pub fn public_key(&self) -> PublicKey {
        self.key.public()
    }

    /// Its key in the form of a key file.
    pub fn key_line(&self) -> String {
        format!("ed25519 0 {}", base64::encode(&seed(&self.name)))
    }

    /// An object with its signature.
    pub fn signed(&self, object: Value) -> Value {
        let Value::Object(mut object) = object else {
            panic!("an object")
        };
        let name = ServerName::parse(&self.name).unwrap();
        self.key.sign(&name, &mut object).unwrap();
        Value::Object(object)
    }

    /// A signed association: the address is bound to the user since `ts`.
    pub fn bound(&self, address: &str, mxid: &str, ts: i64) -> Value {
        self.signed(json!({
            "medium": "email", "address": address, "mxid": mxid,
            "ts": ts, "not_before": ts, "not_after": ts + 1_000_000_000_000_i64,
        }))
    }

    /// A signed removal: the address is unbound since `ts`.
    pub fn removed(&self, address: &str, ts: i64) -> Value {
        self.signed(json!({
            "medium": "email", "address": address, "mxid": null,
            "ts": ts, "not_before": null, "not_after": null,
        }))
    }

    /// Pushes associations, by their numbers.
    pub async fn push(&self, server: &TestServer, associations: Value) -> Answer {
        let body = json!({ "sgAssocs": associations }).to_string();
        let answer = self.post(server, PUSH, "application/json", body.as_bytes());
        answer.await.expect("an answer")
    }

    /// Posts a body; `None` if there is no response.
    pub async fn post(
        &self,
        server: &TestServer,
        path: &str,
        kind: &str,
        body: &[u8],
    ) -> Option<Answer> {
        let head = head(path, kind, body.len());
        let mut stream = self.connect(server).await?;
        // A refused certificate is an error of the read, not of the write.
        let _ = stream.write_all(&[head.as_bytes(), body].concat()).await;
        let mut bytes = Vec::new();
        let _ = stream.read_to_end(&mut bytes).await;
        raw::parse(&bytes)
    }

    /// A fresh connection; `None` if the server refuses it.
    pub async fn connect(&self, server: &TestServer) -> Option<TlsStream<TcpStream>> {
        self.connect_offering(server, &[]).await
    }

    /// The same with an offer of these protocols (ALPN).
    pub async fn connect_offering(
        &self,
        server: &TestServer,
        protocols: &[&str],
    ) -> Option<TlsStream<TcpStream>> {
        let stream = TcpStream::connect(server.addresses.replication[0]).await;
        let name = SERVER_NAME.try_into().unwrap();
        let connecting = self.connector(protocols).connect(name, stream.unwrap());
        connecting.await.ok()
    }

    fn connector(&self, protocols: &[&str]) -> TlsConnector {
        let mut roots = RootCertStore::empty();
        let authority = CertificateDer::from_pem_file(mesh_ca().file()).unwrap();
        roots.add(authority).unwrap();
        let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots);
        let mut config = match &self.certificate {
            Some((certificate, key)) => builder
                .with_client_auth_cert(vec![certificate.clone()], key.clone_key())
                .unwrap(),
            None => builder.with_no_client_auth(),
        };
        let protocols = protocols.iter().map(|name| name.as_bytes().to_vec());
        config.alpn_protocols = protocols.collect();
        TlsConnector::from(Arc::new(config))
    }
}

/// The head of a `POST`.
pub fn head(path: &str, kind: &str, length: usize) -> String {
    format!(
        "POST {path} HTTP/1.1\r\nHost: {SERVER_NAME}\r\nContent-Type: {kind}\r\n\
         Content-Length: {length}\r\nConnection: close\r\n\r\n"
    )
}

/// Makes a server listen to peers, without any peer yet.
pub fn listen(settings: &mut Settings) {
    static FILES: OnceLock<(std::path::PathBuf, std::path::PathBuf)> = OnceLock::new();
    let (certificate, key) =
        FILES.get_or_init(|| mesh_ca().certify_at(SERVER_NAME, &[SERVER_NAME, "127.0.0.1"]));
    let replication = &mut settings.replication;
    "127.0.0.1:0".clone_into(&mut replication.listen);
    replication.certificate = Some(certificate.clone());
    replication.private_key = Some(key.clone());
    replication.client_ca = Some(mesh_ca().file());
}

/// The certificate authority of the mesh.
pub fn mesh_ca() -> &'static TestCa {
    static CA: OnceLock<TestCa> = OnceLock::new();
    CA.get_or_init(TestCa::new)
}

fn key(seed: &[u8; 32]) -> KeyPair {
    KeyPair::from_seed(KeyId::parse("ed25519:0").unwrap(), seed)
}

fn seed(name: &str) -> [u8; 32] {
    [name.as_bytes()[0]; 32]
}
