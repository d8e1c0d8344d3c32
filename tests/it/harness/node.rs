//! Members of a mesh, and what each must know about the others.

use std::path::PathBuf;
use std::time::Duration;

use sydent::config::{PeerSettings, Settings};
use tempfile::TempDir;

use super::{ClosedPort, Peer, mesh_ca};

/// A member of a mesh, whether it runs or not.
pub struct Node {
    pub peer: Peer,
    /// Where it listens to the others.
    pub port: ClosedPort,
    pub certificate: PathBuf,
    pub private_key: PathBuf,
    folder: TempDir,
}

impl Node {
    /// The first letter of the name must be unique, since the key is derived from
    /// it.
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

    /// Where the others reach it.
    pub fn url(&self) -> String {
        format!("https://127.0.0.1:{}", self.port.number)
    }

    /// Makes a server this member, with those others as its peers.
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
                public_key: Some(other.peer.public_key().to_base64()),
                ca_file: Some(mesh_ca().file()),
            };
            replication.peers.insert(other.peer.name.clone(), peer);
        }
    }
}
