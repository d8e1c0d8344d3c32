//! A Python Sydent as the peer that pushes.

use crate::harness::{Node, TestServer, fresh_address, mxid_of, wait_for};
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
