//! `sydent export sydent` at a member of a mesh: a real Sydent continues with what
//! several servers have said about an address.

use serde_json::json;

use crate::harness::{
    Api, CommandOutput, Peer, TestServer, configured, fresh_address, mesh::bound_user,
};
use crate::python::RealSydent;

/// Asserts that both lookups of a Sydent find these users.
async fn assert_found(sydent: &Api, user: &Api, expected: &[(String, Option<&str>)]) {
    let pepper = user.hash_details().await.ok()["lookup_pepper"].clone();
    let entry = |address: &str| format!("{address} email");
    let entries: Vec<String> = expected.iter().map(|(it, _)| entry(it)).collect();
    let asked = json!({"algorithm": "none", "pepper": pepper, "addresses": entries});
    let found = user.hashed_lookup(asked).await.ok();
    for (address, mxid) in expected {
        let by_hash = found["mappings"][entry(address)].as_str();
        assert_eq!(by_hash, *mxid, "{address}, by its hash");
        assert_eq!(bound_user(sydent, address).await.as_deref(), *mxid);
    }
}

/// OPS-07, INT-03
#[actix_web::test]
async fn sydent_continues_as_a_member_of_a_mesh() {
    const LOW: &str = "@alice:example.org";
    const HIGH: &str = "@zoe:example.org";
    let peer = Peer::new("peer.test");
    let mut server = TestServer::start(|settings| peer.configure(settings));
    let internal = server.internal();
    let names = ["own", "both", "ours", "left", "theirs", "ended"];
    let [own, both, ours, left, theirs, ended] = names.map(fresh_address);
    let now = || sydent::clock::Clock::system().now().as_i64();
    let push = async |number: &str, change| {
        peer.push(&server, json!({ (number): change })).await.ok();
    };
    // The last own binding that counts comes first, so that Sydent would repeat the
    // others.
    push("1", peer.bound(&ours, HIGH, now() - 5000)).await;
    internal.internal_bind("email", &ours, LOW).await.ok();
    internal.internal_bind("email", &own, HIGH).await.ok();
    for address in [&both, &left, &ended] {
        internal.internal_bind("email", address, HIGH).await.ok();
    }
    internal.internal_unbind("email", &left, HIGH).await.ok();
    push("2", peer.bound(&both, LOW, now() + 1)).await;
    push("3", peer.bound(&left, LOW, now() + 1)).await;
    push("4", peer.bound(&theirs, LOW, now() + 1)).await;
    push("5", peer.removed(&ended, now() + 1)).await;
    let mut expected = vec![
        (own.clone(), Some(HIGH)),
        (both, Some(LOW)),
        (ours, Some(LOW)),
        (left, Some(LOW)),
        (theirs, Some(LOW)),
        (ended, None),
    ];
    for (address, mxid) in &expected {
        assert_eq!(bound_user(&server.api(), address).await.as_deref(), *mxid);
    }
    server.stop();

    let folder = configured(&server.database, |settings| peer.configure(settings));
    let export = "export sydent --config sydent.toml --out back.db";
    let output = CommandOutput::run(folder.path(), export);
    assert_eq!(output.code, 0, "{}", output.err);
    let back = folder.path().join("back.db");
    let sydent = RealSydent::start_on(
        |path| {
            std::fs::copy(&back, path).unwrap();
        },
        |_conf| (),
    )
    .await;
    let user = sydent.account();
    assert_found(&sydent.api(), &user, &expected).await;

    // With each of its own changes, a Sydent repeats earlier ones.
    let (late, internal) = (fresh_address("late"), sydent.internal());
    internal.internal_bind("email", &late, HIGH).await.ok();
    expected.push((late.clone(), Some(HIGH)));
    assert_found(&sydent.api(), &user, &expected).await;
    for address in [late, own] {
        internal.internal_unbind("email", &address, HIGH).await.ok();
        let gone = expected.iter_mut().find(|(it, _)| *it == address);
        gone.unwrap().1 = None;
        assert_found(&sydent.api(), &user, &expected).await;
    }
    let last = fresh_address("last");
    internal.internal_bind("email", &last, LOW).await.ok();
    expected.push((last, Some(LOW)));
    assert_found(&sydent.api(), &user, &expected).await;
}
