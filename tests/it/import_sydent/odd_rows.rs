//! Rows that no server of today would write: each is imported, or named.

use serde_json::{Value, json};

use super::found;
use super::source::{DAY, Source, now, signed};
use crate::harness::{SERVER_NAME, TestDatabase, TestServer};

const LOCAL: &str = "local_threepid_associations";
const GLOBAL: &str = "global_threepid_associations";

/// OPS-07, EML-04
#[actix_web::test]
async fn odd_mailboxes_are_found_as_typed() {
    let source = Source::of_schema(5);
    let t = now() - DAY;
    let addresses = [
        "abc..def@docomo.ne.jp",
        "abc.@ezweb.ne.jp",
        ".abc@docomo.ne.jp",
        "john@abc_d.com",
        "a@ex--ample.com",
        "x@xn--bcher-kva.example",
        "y@bücher.example",
        "z@bu\u{308}cher.example",
    ];
    for (id, address) in (1..).zip(addresses) {
        let mxid = format!("@user{id}:example.org");
        let bound = source.bind(id, address, &mxid, t);
        source.state(SERVER_NAME, id, &bound);
    }
    source.account("@alice:example.org", "alices-token", None);
    let database = TestDatabase::fresh();
    let output = source.import(&database, "");
    assert_eq!(output.row("bindings"), [8, 8, 0, 0], "{}", output.out);
    let server = TestServer::start_on(database, |_| {});
    let users: Vec<Value> = (1..=8)
        .map(|id| json!(format!("@user{id}:example.org")))
        .collect();
    assert_eq!(found(&server, &addresses).await, json!(users));
    for (address, user) in [
        ("x@bücher.example", 6),
        ("y@xn--bcher-kva.example", 7),
        ("z@bücher.example", 8),
    ] {
        let user = json!([format!("@user{user}:example.org")]);
        assert_eq!(found(&server, &[address]).await, user, "{address}");
    }
    for (address, user) in addresses.iter().zip(&users) {
        let answer = server.api().lookup("email", address).await.ok();
        assert_eq!(&answer["mxid"], user, "{address}");
    }
}

/// OPS-07
#[actix_web::test]
async fn rows_that_cannot_be_read_are_named() {
    let source = Source::of_schema(5);
    let t = now() - DAY;
    source.bind(1, "alice@example.com", "@alice:example.org", t);
    let not_after = t + 100 * DAY;
    for (id, address, mxid, times) in [
        (
            2,
            "'late@example.com'",
            "'@a:b'",
            format!("{}, {t}, {not_after}", 1_i64 << 53),
        ),
        (
            3,
            "'end@example.com'",
            "'@a:b'",
            format!("{t}, {t}, {}", i64::MAX),
        ),
        (
            4,
            "'early@example.com'",
            "'@a:b'",
            format!("-1, {t}, {not_after}"),
        ),
        (
            5,
            "CAST(x'62FF40622E63' AS TEXT)",
            "'@a:b'",
            format!("{t}, {t}, {not_after}"),
        ),
        (6, "x'FF'", "'@a:b'", format!("{t}, {t}, {not_after}")),
        (
            7,
            "'nul@example.com'",
            "CAST(x'40613A6200' AS TEXT)",
            format!("{t}, {t}, {not_after}"),
        ),
        (
            8,
            "'word@example.com'",
            "'@a:b'",
            format!("'soon', {t}, {not_after}"),
        ),
        (9, "''", "'@a:b'", format!("{t}, {t}, {not_after}")),
        (
            10,
            "'empty@example.com'",
            "''",
            format!("{t}, {t}, {not_after}"),
        ),
        (
            11,
            "'null@example.com'",
            "'@a:b'",
            format!("NULL, {t}, {not_after}"),
        ),
        (
            12,
            "'noend@example.com'",
            "'@a:b'",
            format!("{t}, {t}, NULL"),
        ),
        (
            13,
            "hex(zeroblob(5000)) || '@example.com'",
            "'@a:b'",
            format!("{t}, {t}, {not_after}"),
        ),
    ] {
        source.run(&format!(
            "INSERT INTO {LOCAL} (id, medium, address, mxid, ts, notBefore, notAfter) \
             VALUES ({id}, 'email', {address}, {mxid}, {times})"
        ));
    }
    source.run(
        "INSERT INTO tokens VALUES (CAST(x'FE' AS TEXT), '@alice:example.org'); \
         INSERT INTO accepted_terms_urls VALUES ('@alice:example.org', hex(zeroblob(3000)))",
    );
    source.account("@alice:example.org", "alices-token", None);
    let database = TestDatabase::fresh();
    let output = source.import(&database, "");
    assert_eq!(output.code, 0, "{}", output.err);
    assert_eq!(output.row("bindings"), [13, 1, 0, 12], "{}", output.out);
    assert_eq!(output.row("access tokens"), [2, 1, 0, 1], "{}", output.out);
    assert_eq!(output.row("accepted terms"), [1, 0, 0, 1], "{}", output.out);
    for (reason, rows) in [
        ("a time that is negative or 2^53 or more", "2, 3, 4"),
        ("text that is not valid UTF-8", "5, 6"),
        ("text with a NUL character", "7"),
        ("text in the place of a time or a number", "8"),
        ("invalid medium or address", "9, 13"),
        ("bound to an invalid Matrix ID", "10"),
        ("no time (ts)", "11"),
        ("no end of validity (notAfter)", "12"),
    ] {
        let mut named: Vec<&str> = rows.split(", ").collect();
        let line = output.out.lines().find(|line| line.contains(reason));
        let line = line.unwrap_or_else(|| panic!("{reason}: {}", output.out));
        named.retain(|row| !line.contains(&format!(" {row}")));
        assert!(named.is_empty() && line.ends_with(LOCAL), "{line}");
    }
}

/// OPS-07
#[actix_web::test]
async fn unreadable_rows_of_peers_are_left_out() {
    let source = Source::of_schema(5);
    let t = now() - DAY;
    let state = |id: i64, address: &str| {
        let signed = signed(address, "@peer:hs.test", t, "peer.test");
        source.state("peer.test", id, &signed);
    };
    state(1, "good@example.com");
    for (id, address, column) in [
        (2, "broken@example.com", "sgAssoc = '{'".to_owned()),
        (3, "list@example.com", "sgAssoc = '[]'".to_owned()),
        (4, "late@example.com", format!("ts = {}", 1_i64 << 53)),
        (5, "other@example.com", "mxid = '@eve:hs.test'".to_owned()),
        (
            6,
            "origin@example.com",
            "originServer = 'no name'".to_owned(),
        ),
        (7, "bytes@example.com", "sgAssoc = x'FF'".to_owned()),
    ] {
        state(id, address);
        source.run(&format!(
            "UPDATE {GLOBAL} SET {column} WHERE originId = {id}"
        ));
    }
    // A Sydent signs the invites of other people into an association.
    let mut invites = signed("invited@example.com", "@peer:hs.test", t, "peer.test");
    invites["invites"] = json!([{ "token": "secret", "sender": "@somebody:else.test" }]);
    source.state("peer.test", 8, &invites);
    source.account("@alice:example.org", "alices-token", None);
    let database = TestDatabase::fresh();
    let output = source.import(&database, "");
    assert_eq!(output.code, 0, "{}", output.err);
    assert_eq!(
        output.row("replicated bindings"),
        [8, 2, 0, 6],
        "{}",
        output.out
    );
    assert_eq!(
        database.count("associations WHERE signed LIKE '%secret%'"),
        0
    );
    let server = TestServer::start_on(database, |_| {});
    let answer = server
        .api()
        .lookup("email", "invited@example.com")
        .await
        .ok();
    assert_eq!(answer["mxid"], "@peer:hs.test");
    assert!(answer["signatures"][SERVER_NAME].is_object(), "{answer}");
    assert!(answer.get("invites").is_none(), "{answer}");
    for address in [
        "broken@example.com",
        "late@example.com",
        "other@example.com",
    ] {
        let answer = server.api().lookup("email", address).await.ok();
        assert_eq!(answer, json!({}), "{address}");
    }
    let good = found(&server, &["good@example.com"]).await;
    assert_eq!(good, json!(["@peer:hs.test"]));
}

/// OPS-07
#[test]
fn newer_schema_is_refused() {
    for version in [6, 99, -1] {
        let source = Source::of_schema(5);
        source.run(&format!("PRAGMA user_version = {version}"));
        let output = source.import(&TestDatabase::fresh(), "");
        assert_eq!(output.code, 1);
        let expected = format!("its schema version is {version}, but the newest");
        assert!(output.err.contains(&expected), "{}", output.err);
    }
}
