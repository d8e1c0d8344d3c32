//! The import of the peers that Sydent replicates with.

use std::fs;

use serde_json::json;

use crate::harness::sydent_conf::{import, setting};
use crate::harness::{CommandOutput, KEY_FILE, SERVER_NAME, TestCa};
use crate::import_sydent::source::{Source, key};

/// A Sydent that replicates, with a certificate and its key in one file.
fn mesh(ca: &TestCa, certificate: &str) -> Source {
    let source = Source::of_schema(5);
    let folder = source.folder.path();
    let (certificate_file, key_file) = ca.certify(SERVER_NAME);
    let both = [certificate_file, key_file].map(|file| fs::read_to_string(file).unwrap());
    fs::write(folder.join("both.pem"), both.concat()).unwrap();
    let conf = format!(
        "[general]\nserver.name = {SERVER_NAME}\n[db]\ndb.file = old.db\n[http]\n\
         client_http_base = https://old.example.test\nreplication.https.certfile = {certificate}\n\
         replication.https.cacert = {}\nreplication.https.bind_address = 127.0.0.1\n\
         replication.https.port = 4435\n[crypto]\ned25519.signingkey = {KEY_FILE}\
         [peer.b.test]\nbase_replication_url = https://replica.b.test:9/\n\
         [peer.nobody.test]\nbase_replication_url = https://nobody.test\n",
        ca.file().display()
    );
    fs::write(folder.join("sydent.conf"), conf).unwrap();
    let public = key().public().to_base64();
    source.run(&format!(
        "INSERT INTO peers (name, port, lastSentVersion, active) VALUES \
         ('a.test', 1234, 0, 1), ('b.test', NULL, 0, 1), ('b.test.odd', 1, 0, 1), ('off.test', 1, 0, 0); \
         INSERT INTO peer_pubkeys (peername, alg, key) VALUES ('a.test', 'ed25519', '{public}'), \
         ('b.test', 'ed25519', '{public}'), ('b.test.odd', 'ed25519', 'no key'), \
         ('off.test', 'ed25519', '{public}')"
    ));
    source
}

/// OPS-07
#[test]
fn peers_come_from_the_file_and_the_database() {
    let ca = TestCa::new();
    let source = mesh(&ca, "both.pem");
    let folder = source.folder.path();
    let output = import(folder, "", &[]);
    let both = folder.join("both.pem").display().to_string();
    let authority = ca.file().display().to_string();
    let public = key().public().to_base64();
    let mut replication = setting(folder, "replication");
    let peers = replication.as_object_mut().unwrap().remove("peers");
    assert_eq!(
        replication,
        json!({
            "listen": "127.0.0.1:4435", "certificate": both, "private_key": both,
            "client_ca": authority,
        })
    );
    assert_eq!(
        peers.unwrap(),
        json!({
            "a.test": {
                "url": "https://a.test:1234", "public_key": public, "ca_file": authority,
            },
            "b.test": {
                "url": "https://replica.b.test:9/", "public_key": public, "ca_file": authority,
            },
        })
    );
    for expected in [
        "A peer is left out: replication.peers.b.test.odd.",
        "[peer.nobody.test]",
    ] {
        assert!(output.out.contains(expected), "{expected}: {}", output.out);
    }
}

/// OPS-07
#[test]
fn replication_needs_a_certificate() {
    let ca = TestCa::new();
    for certificate in ["", "none.pem"] {
        let source = mesh(&ca, certificate);
        let output: CommandOutput = import(source.folder.path(), "", &[]);
        assert_eq!(setting(source.folder.path(), "replication"), json!(null));
        assert!(
            output.out.contains("[replication] is left out"),
            "{}",
            output.out
        );
        let reason = "[peer.b.test] base_replication_url: replication is off";
        assert!(output.out.contains(reason), "{}", output.out);
    }
}
