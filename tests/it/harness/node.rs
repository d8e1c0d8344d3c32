//! Members of a mesh: what each must know of the others.

use std::path::PathBuf;
use std::time::Duration;

use sydent::config::{PeerSettings, Settings};
use sydent::domain::base64;
use tempfile::TempDir;

use super::sydent::Conf;
use super::{ClosedPort, Peer, RealSydent, mesh_ca, sqlite};

/// A member of a mesh, whether it runs or not.
pub struct Node {
    pub peer: Peer,
    port: ClosedPort,
    certificate: PathBuf,
    private_key: PathBuf,
    folder: TempDir,
}

impl Node {
    /// A member with a name whose first letter no other has: its key comes from
    /// that.
    pub fn new(name: &str) -> Self {
        let (certificate, private_key) = mesh_ca().certify_at(name, &[name, "127.0.0.1"]);
        Self {
            peer: Peer::new(name),
            port: ClosedPort::new(),
            certificate,
            private_key,
            folder: tempfile::tempdir().unwrap(),
        }
    }

    fn url(&self) -> String {
        format!("https://127.0.0.1:{}", self.port.number)
    }

    /// Makes a server this member, which knows those others.
    pub fn configure(&self, others: &[&Self], settings: &mut Settings) {
        let key_file = self.folder.path().join("signing.key");
        std::fs::write(&key_file, format!("{}\n", self.peer.key_line())).unwrap();
        settings.server.name = Some(self.peer.name.parse().unwrap());
        settings.server.signing_key_file = Some(key_file);
        settings.delivery.retry_first = Duration::from_millis(300);
        let replication = &mut settings.replication;
        replication.listen = format!("127.0.0.1:{}", self.port.number);
        replication.certificate = Some(self.certificate.clone());
        replication.private_key = Some(self.private_key.clone());
        replication.client_ca = Some(mesh_ca().file());
        replication.push_every = Duration::from_millis(100);
        for other in others {
            let peer = PeerSettings {
                url: Some(other.url()),
                public_key: Some(base64::encode(&other.peer.public_key())),
                ca_file: Some(mesh_ca().file()),
            };
            replication.peers.insert(other.peer.name.clone(), peer);
        }
    }

    /// Makes a Python Sydent this member, which reaches those others.
    pub fn configure_sydent(&self, others: &[&Self], conf: &mut Conf) {
        let both = self.certificate.with_extension("pem");
        let pem = [&self.certificate, &self.private_key];
        let pem = pem.map(|file| std::fs::read_to_string(file).unwrap());
        std::fs::write(&both, pem.concat()).unwrap();
        let ca = mesh_ca().file();
        for (section, key, value) in [
            ("general", "server.name", self.peer.name.clone()),
            ("crypto", "ed25519.signingkey", self.peer.key_line()),
            (
                "http",
                "replication.https.certfile",
                both.display().to_string(),
            ),
            ("http", "replication.https.cacert", ca.display().to_string()),
            (
                "http",
                "replication.https.port",
                self.port.number.to_string(),
            ),
        ] {
            let section = conf.entry(section.to_owned()).or_default();
            section.insert(key.to_owned(), value);
        }
        for other in others {
            let section = conf.entry(format!("peer.{}", other.peer.name)).or_default();
            section.insert("base_replication_url".to_owned(), other.url());
        }
    }

    /// Lets a running Sydent know this member: it reads that from its database.
    pub fn introduce_to(&self, sydent: &RealSydent) {
        use diesel::connection::SimpleConnection as _;
        let name = &self.peer.name;
        let key = base64::encode(&self.peer.public_key());
        let known = format!(
            "INSERT INTO peers (name, port, lastSentVersion, active) VALUES ('{name}', 1, 0, 1);
             INSERT INTO peer_pubkeys (peername, alg, key) VALUES ('{name}', 'ed25519', '{key}')"
        );
        let database = sydent.database();
        sqlite(database.to_str().unwrap())
            .batch_execute(&known)
            .unwrap();
    }
}
