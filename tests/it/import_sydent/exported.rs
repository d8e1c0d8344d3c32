//! The way back, without a real Sydent; the target `sydent` tries it with one.

use diesel::SqliteConnection;
use diesel::connection::Connection as _;
use diesel::prelude::*;

use super::source::{DAY, Source, now, signed};
use crate::harness::{CommandOutput, SERVER_NAME, TestDatabase, mode};

fn count(database: &mut SqliteConnection, rows: &str) -> i64 {
    #[derive(QueryableByName)]
    struct Row {
        #[diesel(sql_type = diesel::sql_types::BigInt)]
        n: i64,
    }
    let query = diesel::sql_query(format!("SELECT COUNT(*) AS n FROM {rows}"));
    query.get_result::<Row>(database).unwrap().n
}

/// OPS-07
#[test]
fn export_has_what_was_imported() {
    let source = Source::of_schema(5);
    let t = now() - DAY;
    let alice = source.bind(3, "alice@example.com", "@alice:example.org", t);
    source.state(SERVER_NAME, 3, &alice);
    let punycode = source.bind(4, "x@xn--bcher-kva.example", "@x:example.org", t);
    source.state(SERVER_NAME, 4, &punycode);
    source.unbind(7, "bob@example.com", t);
    let carol = signed("carol@example.com", "@carol:other.test", t, "other.test");
    source.state("other.test", 9, &carol);
    source.account("@alice:example.org", "alices-token", Some("3.1"));
    source.account("@bob:example.org", "bobs-token", None);
    source.run(
        "INSERT INTO accepted_terms_urls VALUES ('@alice:example.org', 'https://a/1'); \
         INSERT INTO invite_tokens (medium, address, room_id, sender, token, received_ts) VALUES \
         ('email', 'eve@example.com', '!r:hs', '@bob:hs', 'waiting', 1500000000)",
    );
    let database = TestDatabase::fresh();
    let output = source.import(&database, "");
    assert_eq!(output.code, 0, "{}", output.err);
    database.execute("DELETE FROM access_tokens WHERE user_id = '@bob:example.org'");

    let folder = source.folder.path();
    let export = "export sydent --config new.toml --out back.db --tokens-from old.db";
    let output = CommandOutput::run(folder, export);
    assert_eq!(output.code, 0, "{}", output.err);
    let again = CommandOutput::run(folder, export);
    assert!(again.err.contains("already exists"), "{}", again.err);
    let forced = CommandOutput::run(folder, &format!("{export} --force"));
    assert_eq!((forced.code, &forced.out), (0, &output.out));
    for file in ["back.db", "back.db.conf"] {
        assert_eq!(mode(&folder.join(file)), 0o600);
    }
    let conf = std::fs::read_to_string(folder.join("back.db.conf")).unwrap();
    assert!(conf.contains("\n[crypto]\ned25519.signingkey = ed25519 "));

    let back = folder.join("back.db");
    let mut back = SqliteConnection::establish(back.to_str().unwrap()).unwrap();
    let hash = super::hash("x@xn--bcher-kva.example");
    for (rows, expected) in [
        (
            "local_threepid_associations WHERE id = 3 AND mxid = '@alice:example.org'",
            1,
        ),
        (
            "local_threepid_associations WHERE id = 7 AND mxid IS NULL AND ts > 0",
            1,
        ),
        ("sqlite_sequence WHERE name LIKE 'local%' AND seq = 8", 1),
        ("global_threepid_associations WHERE originId = 3", 1),
        (
            &format!("global_threepid_associations WHERE lookup_hash = '{hash}'"),
            1,
        ),
        (
            "global_threepid_associations WHERE originServer = 'other.test'",
            1,
        ),
        ("accounts WHERE consent_version = '3.1'", 1),
        ("accepted_terms_urls WHERE url = 'https://a/1'", 1),
        ("accepted_terms_urls", 1),
        ("tokens WHERE token = 'alices-token'", 1),
        ("tokens", 1),
        (
            "invite_tokens WHERE received_ts = 1500000000 AND sent_ts IS NULL",
            1,
        ),
        ("hashing_metadata WHERE lookup_pepper = 'matrixrocks'", 1),
        ("pragma_user_version WHERE user_version = 5", 1),
    ] {
        assert_eq!(count(&mut back, rows), expected, "{rows}");
    }
}

/// Sydent's hashed lookup would take the greatest user ID of several.
#[test]
fn export_has_the_binding_that_counts() {
    const OTHER: &str = "other.test";
    const THIRD: &str = "third.test";
    let source = Source::of_schema(5);
    let t = now() - DAY;
    let stated = |origin: &str, id, address: &str, mxid: &str, ts| {
        source.state(origin, id, &signed(address, mxid, ts, origin));
    };
    let own = |id, address: &str, mxid: &str, ts| {
        source.state(SERVER_NAME, id, &source.bind(id, address, mxid, ts));
    };
    own(1, "own@example.com", "@alice:hs", t + 1);
    stated(OTHER, 1, "own@example.com", "@zoe:hs", t);
    own(2, "peer@example.com", "@zoe:hs", t);
    stated(OTHER, 2, "peer@example.com", "@alice:hs", t + 1);
    stated(OTHER, 3, "peers@example.com", "@alice:hs", t + 1);
    stated(THIRD, 3, "peers@example.com", "@zoe:hs", t);
    // At the same time the greatest user counts, compared as bytes.
    own(4, "equal@example.com", "@a:hs", t);
    stated(OTHER, 4, "equal@example.com", "@B:hs", t);
    own(5, "ended@example.com", "@zoe:hs", t);
    stated(THIRD, 5, "ended@example.com", "@alice:hs", t - 1);
    // What has expired counts no more.
    own(6, "expired@example.com", "@zoe:hs", t + 1);
    stated(OTHER, 6, "expired@example.com", "@alice:hs", t);
    let database = TestDatabase::fresh();
    let output = source.import(&database, "");
    assert_eq!(output.code, 0, "{}", output.err);
    database.execute(&format!(
        "UPDATE associations SET not_after = 1 WHERE mxid = '@zoe:hs' AND address LIKE 'expired%'; \
         INSERT INTO association_removals (medium, address, origin, number, ts) \
         VALUES ('email', 'ended@example.com', '{OTHER}', 5, {t})"
    ));

    let folder = source.folder.path();
    let export = "export sydent --config new.toml --out back.db";
    assert_eq!(CommandOutput::run(folder, export).code, 0);
    let back = folder.join("back.db");
    let mut back = SqliteConnection::establish(back.to_str().unwrap()).unwrap();
    let global = "global_threepid_associations WHERE notAfter > 1";
    for (name, mxid) in [
        ("own", "@alice:hs"),
        ("peer", "@alice:hs"),
        ("peers", "@alice:hs"),
        ("equal", "@a:hs"),
        ("expired", "@alice:hs"),
    ] {
        let of_address = format!("{global} AND address = '{name}@example.com'");
        assert_eq!(count(&mut back, &of_address), 1, "{name}");
        let of_user = format!("{of_address} AND mxid = '{mxid}'");
        assert_eq!(count(&mut back, &of_user), 1, "{name}");
    }
    assert_eq!(count(&mut back, global), 5);
    // Peers are to hear of the own binding as of one that was removed.
    let removal = format!(
        "local_threepid_associations WHERE address = 'ended@example.com' AND mxid IS NULL AND \
         ts = {t}"
    );
    assert_eq!(count(&mut back, &removal), 1);
    // Whatever is removed later, Sydent repeats no change.
    let mark = format!("originServer = '{SERVER_NAME}' AND originId > 6 AND notAfter = 0");
    let mark = format!("global_threepid_associations WHERE {mark}");
    assert_eq!(count(&mut back, &mark), 1);

    // An import leaves that row out without a word.
    drop(back);
    for file in ["new.toml", "new.key"] {
        std::fs::remove_file(folder.join(file)).unwrap();
    }
    std::fs::rename(folder.join("back.db"), folder.join("old.db")).unwrap();
    let again = source.import(&TestDatabase::fresh(), "");
    assert_eq!(again.code, 0, "{}", again.err);
    assert!(!again.out.contains("skipped:"), "{}", again.out);
}
