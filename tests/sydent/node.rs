//! A Python Sydent as a member of a mesh.

use diesel::connection::SimpleConnection as _;

use crate::harness::database::sqlite;
use crate::harness::{Node, mesh_ca};
use crate::python::{Conf, RealSydent};

impl Node {
    /// Makes a Python Sydent this member, with the URLs of those others.
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

    /// Adds this member to the peers of a running Sydent, in its database.
    pub fn introduce_to(&self, sydent: &RealSydent) {
        let name = &self.peer.name;
        let key = self.peer.public_key().to_base64();
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
