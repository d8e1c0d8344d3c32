//! The Python Sydent as the peer.

use diesel::connection::SimpleConnection as _;
use sydent::domain::base64;

use super::mxid_of;
use crate::harness::{
    Peer, RealSydent, SERVER_NAME, TestServer, eventually, fresh_address, mesh_ca, sqlite,
};

const OLD: &str = "old.example.test";

/// A Sydent that knows the server, and calls it.
async fn sydent_beside(server: &TestServer, peer: &Peer) -> RealSydent {
    let (certificate, key) = mesh_ca().certify_at(OLD, &[OLD, "127.0.0.1"]);
    let both = certificate.with_extension("pem");
    let pem = [certificate, key].map(|file| std::fs::read_to_string(file).unwrap());
    std::fs::write(&both, pem.concat()).unwrap();
    let url = format!("https://{}", server.addresses.replication[0]);
    let sydent = RealSydent::start(|conf| {
        for (section, key, value) in [
            ("general", "server.name", OLD.to_owned()),
            ("crypto", "ed25519.signingkey", peer.key_line()),
            (
                "http",
                "replication.https.certfile",
                both.display().to_string(),
            ),
            (
                "http",
                "replication.https.cacert",
                mesh_ca().file().display().to_string(),
            ),
            (
                &format!("peer.{SERVER_NAME}"),
                "base_replication_url",
                url.clone(),
            ),
        ] {
            let section = conf.entry(section.to_owned()).or_default();
            section.insert(key.to_owned(), value);
        }
    })
    .await;
    let key = base64::encode(&server.app.public_keys[0].1);
    let known = format!(
        "INSERT INTO peers (name, port, lastSentVersion, active) VALUES ('{SERVER_NAME}', 1, 0, 1);
         INSERT INTO peer_pubkeys (peername, alg, key) VALUES ('{SERVER_NAME}', 'ed25519', '{key}')"
    );
    let database = sydent.database();
    sqlite(database.to_str().unwrap())
        .batch_execute(&known)
        .unwrap();
    sydent
}

#[actix_web::test]
async fn int_03_int_04_v1l_03_a_sydent_pushes_what_is_bound_and_unbound_there() {
    let peer = Peer::new(OLD);
    let server = TestServer::start(|settings| peer.configure(settings));
    let sydent = sydent_beside(&server, &peer).await;
    let there = sydent.internal();
    let (address, other) = (fresh_address("Mixed"), fresh_address("other"));
    for (address, mxid) in [
        (&other, "@bob:example.org"),
        (&address, "@first:example.org"),
        (&address, "@alice:example.org"),
    ] {
        there.internal_bind("email", address, mxid).await.ok();
    }
    let folded = address.to_lowercase();
    eventually("the binding", async || {
        let found = server.api().lookup("email", &folded).await.ok();
        (found["mxid"] == "@alice:example.org").then_some(())
    })
    .await;
    assert_eq!(
        mxid_of(&server, &other).await.as_deref(),
        Some("@bob:example.org")
    );
    let found = server.api().lookup("email", &folded).await.ok();
    let mut signers = found["signatures"].as_object().unwrap().keys();
    assert!(
        signers.by_ref().eq([SERVER_NAME, OLD]),
        "{}",
        found["signatures"]
    );

    there
        .internal_unbind("email", &other, "@bob:example.org")
        .await
        .ok();
    eventually("the removal", async || {
        let found = server.api().lookup("email", &other).await.ok();
        found["mxid"].is_null().then_some(())
    })
    .await;
    assert_eq!(mxid_of(&server, &other).await, None);
    assert!(mxid_of(&server, &folded).await.is_some());
}
