//! A Python Sydent as the peer that pushes.

use crate::harness::mesh::wait_until_found;
use crate::harness::{
    Node, TestDatabase, TestProcess, TestServer, fresh_address, mxid_of, wait_for,
};
use crate::python::RealSydent;

const NEW: &str = "new.example.test";

/// INT-03, INT-04, V1L-03
#[actix_web::test]
async fn changes_of_a_real_sydent_are_received() {
    let (new, old) = (Node::new(NEW), Node::new("old.example.test"));
    let server = TestServer::start(|settings| new.configure(&[&old], settings));
    let sydent = RealSydent::start(|conf| old.configure_sydent(&[&new], conf)).await;
    new.introduce_to(&sydent);
    let internal = sydent.internal();
    let (address, other) = (fresh_address("Mixed"), fresh_address("other"));
    for (address, mxid) in [
        (&other, "@bob:example.org"),
        (&address, "@first:example.org"),
        (&address, "@alice:example.org"),
    ] {
        internal.internal_bind("email", address, mxid).await.ok();
    }
    let folded = address.to_lowercase();
    wait_for("the binding", async || {
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
        signers.by_ref().eq([NEW, "old.example.test"]),
        "{}",
        found["signatures"]
    );

    internal
        .internal_unbind("email", &other, "@bob:example.org")
        .await
        .ok();
    wait_for("the removal", async || {
        let found = server.api().lookup("email", &other).await.ok();
        found["mxid"].is_null().then_some(())
    })
    .await;
    assert_eq!(mxid_of(&server, &other).await, None);
    assert!(mxid_of(&server, &folded).await.is_some());
}

/// INT-03, IDN-07
#[actix_web::test]
async fn invalid_rows_do_not_stop_the_feed() {
    let (new, old) = (Node::new(NEW), Node::new("old.example.test"));
    let database = TestDatabase::fresh();
    let server = TestProcess::start(&database, |settings| new.configure(&[&old], settings));
    let sydent = RealSydent::start(|conf| old.configure_sydent(&[&new], conf)).await;
    let internal = sydent.internal();
    let rows = ["historical", "odd", "last"].map(fresh_address);
    for (address, mxid) in [
        (rows[0].as_str(), "@Old Name:example.org"),
        ("no address at all", "@alice:example.org"),
        (&rows[1], "alice"),
        (&rows[2], "@:example.org"),
    ] {
        internal.internal_bind("email", address, mxid).await.ok();
    }
    new.introduce_to(&sydent);
    let expected = [
        (&rows[0], Some("@Old Name:example.org")),
        (&rows[1], None),
        (&rows[2], Some("@:example.org")),
    ];
    wait_until_found(&server.api(), &expected).await;
    let log = server
        .log_containing("a change of a peer is not valid")
        .await;
    assert!(log.contains("id=2") && log.contains("id=3"), "{log}");
    assert!(!log.contains("no address at all") && !log.contains(&rows[1]));
    let shown = server.command("peers --config sydent.toml").out;
    assert!(
        shown.contains("  skipped         2 changes of this peer that are not valid, last 3"),
        "{shown}"
    );
}
