//! Changes of a peer whose time is in the future, and bindings of a peer that an
//! administrator removes.

use serde_json::json;

use crate::harness::mesh::bound_user;
use crate::harness::{CommandOutput, Peer, TestServer, encode, fresh_address, test_settings};

const MINUTE: i64 = 60_000;
const EVIL: &str = "@evil:example.org";
const OWN: &str = "@own:example.org";

fn start(peers: &[&Peer]) -> TestServer {
    TestServer::start_with_clock(|settings| {
        for peer in peers {
            peer.configure(settings);
        }
    })
}

async fn expect(server: &TestServer, address: &str, user: Option<&str>) {
    let found = bound_user(&server.api(), address).await;
    assert_eq!(found.as_deref(), user);
}

/// INT-07
#[actix_web::test]
async fn later_changes_win_over_a_time_ahead() {
    let (evil, honest) = (Peer::new("evil.test"), Peer::new("honest.test"));
    for ahead in [7 * MINUTE, 60 * MINUTE, 24 * 60 * MINUTE, i64::MAX] {
        let server = start(&[&evil, &honest]);
        let internal = server.internal();
        let address = fresh_address("ahead");
        let ts = server.now().saturating_add(ahead).min((1 << 53) - 1);
        // Valid already, although it is dated ahead.
        let bound = evil.signed(json!({
            "medium": "email", "address": address, "mxid": EVIL, "ts": ts, "not_before": 0,
            "not_after": (1_i64 << 53) - 1,
        }));
        evil.push(&server, json!({"1": bound})).await.ok();
        expect(&server, &address, Some(EVIL)).await;

        // Another peer, a moment later.
        server.advance(1000);
        let other = honest.bound(&address, "@b:example.org", server.now());
        honest.push(&server, json!({"1": other})).await.ok();
        expect(&server, &address, Some("@b:example.org")).await;
        // The same once more is not newer, nor under another number.
        for number in ["1", "2"] {
            server.advance(1000);
            evil.push(&server, json!({number: bound})).await.ok();
            expect(&server, &address, Some("@b:example.org")).await;
        }

        // The owner binds here, and removes the binding again.
        server.advance(1000);
        internal.internal_bind("email", &address, OWN).await.ok();
        expect(&server, &address, Some(OWN)).await;
        let query = encode(&[("medium", "email"), ("address", &address)]);
        let path = format!("/_matrix/identity/internal/lookup?{query}");
        let dated = internal.get(&path).await.ok()["ts"].as_i64().unwrap();
        assert!(dated <= server.now() + 10, "{dated}");
        server.advance(1000);
        internal.internal_unbind("email", &address, OWN).await.ok();
        expect(&server, &address, None).await;
        evil.push(&server, json!({"2": bound_again(&evil, &address, ts)}))
            .await
            .ok();
        expect(&server, &address, None).await;
    }
}

fn bound_again(peer: &Peer, address: &str, ts: i64) -> serde_json::Value {
    peer.signed(json!({
        "medium": "email", "address": address, "mxid": EVIL, "ts": ts, "not_before": 0,
        "not_after": (1_i64 << 53) - 1,
    }))
}

/// INT-07
#[actix_web::test]
async fn removal_from_the_future_hides_nothing_later() {
    let evil = Peer::new("evil.test");
    let server = start(&[&evil]);
    let address = fresh_address("removal");
    let internal = server.internal();
    internal.internal_bind("email", &address, OWN).await.ok();
    let removed = evil.removed(&address, server.now() + 60 * MINUTE);
    server.advance(1000);
    evil.push(&server, json!({"1": removed})).await.ok();
    expect(&server, &address, None).await;
    server.advance(1000);
    internal.internal_bind("email", &address, OWN).await.ok();
    expect(&server, &address, Some(OWN)).await;
    server.advance(3 * 60 * MINUTE);
    expect(&server, &address, Some(OWN)).await;
}

/// INT-07
#[actix_web::test]
async fn clocks_five_minutes_apart_count() {
    let (one, two) = (Peer::new("ahead.test"), Peer::new("behind.test"));
    let server = start(&[&one, &two]);
    let address = fresh_address("honest");
    let now = server.now();
    let first = one.bound(&address, "@one:example.org", now + 5 * MINUTE);
    let second = two.bound(&address, "@two:example.org", now + 5 * MINUTE - 1);
    // Whichever arrives first, the times decide.
    one.push(&server, json!({"1": first})).await.ok();
    server.advance(10);
    two.push(&server, json!({"1": second})).await.ok();
    expect(&server, &address, Some("@one:example.org")).await;
    // And what is bound here comes after it.
    let internal = server.internal();
    internal.internal_bind("email", &address, OWN).await.ok();
    expect(&server, &address, Some(OWN)).await;
}

/// INT-07
#[actix_web::test]
async fn earlier_rows_from_the_future_are_reset() {
    let evil = Peer::new("evil.test");
    let server = start(&[&evil]);
    let address = fresh_address("earlier");
    let now = server.now();
    let bound = evil.bound(&address, EVIL, now);
    evil.push(&server, json!({"1": bound})).await.ok();
    let far = (1_i64 << 53) - 1;
    server
        .database
        .execute(&format!("UPDATE associations SET ts = {far}"));
    let server = server.start_again_at(now + 1000, |settings| evil.configure(settings));
    expect(&server, &address, Some(EVIL)).await;
    server.advance(1000);
    let internal = server.internal();
    internal.internal_bind("email", &address, OWN).await.ok();
    expect(&server, &address, Some(OWN)).await;
    let dated = server.database.count(&format!(
        "associations WHERE mxid = '{OWN}' AND ts < {}",
        now + MINUTE
    ));
    assert_eq!(dated, 1);
}

/// A command on the database of the server.
fn command(server: &TestServer, peer: &Peer, arguments: &str) -> CommandOutput {
    let folder = tempfile::tempdir().unwrap();
    let mut settings = test_settings(&folder, &server.database);
    peer.configure(&mut settings);
    let text = crate::pepper::unmasked(&settings, &server.database.url);
    std::fs::write(folder.path().join("sydent.toml"), text).unwrap();
    CommandOutput::run(folder.path(), &format!("{arguments} --config sydent.toml"))
}

/// INT-08
#[actix_web::test]
async fn binding_of_a_peer_is_removed_and_stays_so() {
    let evil = Peer::new("evil.test");
    let server = start(&[&evil]);
    let (address, other) = (fresh_address("peer"), fresh_address("peer"));
    let now = server.now();
    let push = async |number: &str, address: &str, user: &str, ts: i64| {
        let bound = evil.bound(address, user, ts);
        evil.push(&server, json!({number: bound})).await.ok();
    };
    push("1", &address, EVIL, now).await;
    push("2", &other, EVIL, now).await;

    let unbind = format!("unbind email {address} {EVIL} --peer evil.test");
    let wrong = command(&server, &evil, &unbind.replace("@evil", "@nobody"));
    assert_eq!((wrong.code, wrong.out.as_str()), (1, ""), "{}", wrong.err);
    let wrong = command(&server, &evil, &unbind.replace("evil.test", "other.test"));
    assert_eq!(wrong.code, 1, "{}", wrong.err);
    expect(&server, &address, Some(EVIL)).await;

    let removed = command(&server, &evil, &unbind);
    assert_eq!(removed.code, 0, "{}", removed.err);
    assert!(
        removed.out.starts_with("The binding was removed."),
        "{}",
        removed.out
    );
    expect(&server, &address, None).await;
    // Neither the same again nor anything new brings it back.
    push("1", &address, EVIL, now).await;
    push("3", &address, EVIL, now + 1000).await;
    push("4", &address, "@second:example.org", now + 2000).await;
    expect(&server, &address, None).await;
    expect(&server, &other, Some(EVIL)).await;
    assert_eq!(command(&server, &evil, &unbind).code, 1);
    server
        .internal()
        .internal_bind("email", &address, OWN)
        .await
        .ok();
    expect(&server, &address, Some(OWN)).await;
    server
        .internal()
        .internal_unbind("email", &address, OWN)
        .await
        .ok();

    let again = command(&server, &evil, &format!("{unbind} --accept-again"));
    assert_eq!(again.code, 0, "{}", again.err);
    let not_ignored = command(&server, &evil, &format!("{unbind} --accept-again"));
    assert_eq!(not_ignored.code, 1);
    expect(&server, &address, None).await;
    push("5", &address, EVIL, server.now() + 3000).await;
    expect(&server, &address, Some(EVIL)).await;
}
