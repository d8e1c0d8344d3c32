//! What this server's own key has signed, under any name, is its own.

use serde_json::json;

use super::found;
use super::source::{DAY, Source, key, now, signed, signed_by};
use crate::harness::{SERVER_NAME, TestDatabase, TestServer};

const FORMER: &str = "former.example.test";

/// OPS-07, UNB-09
#[actix_web::test]
async fn binding_under_a_former_name_can_be_removed() {
    let source = Source::of_schema(5);
    let t = now() - DAY;
    // Before and after the server was renamed, and one that only the former name has.
    let alice = source.bind(1, "alice@example.com", "@alice:example.org", t);
    source.state(SERVER_NAME, 1, &alice);
    let former = |address, mxid, ts| signed_by(&key(), address, mxid, ts, FORMER);
    for (id, address, mxid, ts) in [
        (1, "alice@example.com", "@alice:example.org", t),
        (7, "Alice@example.com", "@older:example.org", t - 1),
        (8, "bob@example.com", "@bob:example.org", t),
    ] {
        source.state(FORMER, id, &former(address, mxid, ts));
    }
    source.account("@alice:example.org", "alices-token", None);
    let database = TestDatabase::fresh();
    let output = source.import(&database, "");
    assert_eq!(output.code, 0, "{}", output.err);
    assert!(output.out.contains(FORMER), "{}", output.out);
    assert_eq!(output.row("bindings"), [3, 2, 1, 0], "{}", output.out);
    assert_eq!(output.row("replicated bindings"), [0; 4], "{}", output.out);

    let server = TestServer::start_on(database, |_| {});
    let answer = server.api().lookup("email", "bob@example.com").await.ok();
    for name in [FORMER, SERVER_NAME] {
        assert!(answer["signatures"][name].is_object(), "{answer}");
    }
    for (address, mxid) in [
        ("alice@example.com", "@alice:example.org"),
        ("bob@example.com", "@bob:example.org"),
    ] {
        let internal = server.internal();
        internal.internal_unbind("email", address, mxid).await.ok();
        assert_eq!(found(&server, &[address]).await, json!([null]));
    }
}

/// UNB-09
#[actix_web::test]
async fn own_key_under_another_name_is_adopted() {
    let source = Source::of_schema(5);
    source.account("@alice:example.org", "alices-token", None);
    let database = TestDatabase::fresh();
    assert_eq!(source.import(&database, "").code, 0);
    let server = TestServer::start_on(database, |_| {});
    let t = now() - DAY;
    for (address, key_is_own) in [
        ("alice@example.com", true),
        ("carol@example.com", false),
        ("dave@example.com", true),
    ] {
        let stored = if key_is_own {
            signed_by(&key(), address, "@old:example.org", t, FORMER)
        } else {
            signed(address, "@old:example.org", t, FORMER)
        };
        server.database.execute(&format!(
            "INSERT INTO associations (medium, address, origin, mxid, ts, not_before, not_after, \
             lookup_hash, signed) VALUES ('email', '{address}', '{FORMER}', '@old:example.org', \
             {t}, {t}, {}, '{}', '{stored}')",
            t + 100 * DAY,
            super::hash(address)
        ));
        let user = match address {
            "dave@example.com" => "@somebody:example.org",
            _ => "@old:example.org",
        };
        let internal = server.internal();
        internal.internal_unbind("email", address, user).await.ok();
    }
    let addresses = ["alice@example.com", "carol@example.com", "dave@example.com"];
    let users = found(&server, &addresses).await;
    assert_eq!(users, json!([null, "@old:example.org", "@old:example.org"]));
    // Peers are to hear of what is this server's own now, and of nothing else.
    for (address, removed, changes) in [
        ("alice@example.com", "IS NOT NULL", 1),
        ("carol@example.com", "IS NULL", 0),
        ("dave@example.com", "IS NULL", 1),
    ] {
        let journal =
            format!("association_journal WHERE address = '{address}' AND removed_at {removed}");
        assert_eq!(server.database.count(&journal), changes, "{address}");
    }
    let own = format!("associations WHERE origin = '{SERVER_NAME}' AND number = 0");
    assert_eq!(server.database.count(&own), 1);
}

/// CRY-09
#[test]
fn wrong_server_name_is_refused_with_the_signer() {
    let source = Source::of_schema(5);
    let alice = source.bind(1, "alice@example.com", "@alice:example.org", now());
    source.state(SERVER_NAME, 1, &alice);
    let database = TestDatabase::fresh();
    let output = source.import(&database, "--server-name other.example.test");
    assert_eq!((output.code, output.out.as_str()), (1, ""));
    assert!(output.err.contains(SERVER_NAME), "{}", output.err);
    assert_eq!(source.import(&database, "").code, 0);
}

/// OPS-07
#[actix_web::test]
async fn removals_by_peers_stay() {
    let source = Source::of_schema(5);
    let t = now() - DAY;
    for (id, name) in [(1, "alice"), (2, "bob"), (3, "carol")] {
        let bound = source.bind(
            id,
            &format!("{name}@example.com"),
            &format!("@{name}:example.org"),
            t,
        );
        source.state(SERVER_NAME, id, &bound);
    }
    // So does Sydent when a peer pushes a removal; the newest row is one of them.
    for name in ["alice", "carol"] {
        source.run(&format!(
            "DELETE FROM global_threepid_associations WHERE address = '{name}@example.com'"
        ));
    }
    source.account("@alice:example.org", "alices-token", None);
    let database = TestDatabase::fresh();
    let output = source.import(&database, "");
    assert!(
        output.out.contains("2 bindings have no signed"),
        "{}",
        output.out
    );
    assert_eq!(
        database.count("association_journal WHERE removed_at IS NOT NULL"),
        2
    );
    let server = TestServer::start_on(database, |_| {});
    let addresses = ["alice@example.com", "bob@example.com", "carol@example.com"];
    assert_eq!(
        found(&server, &addresses).await,
        json!([null, "@bob:example.org", null])
    );
}
