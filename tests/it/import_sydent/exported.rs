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
        ("sqlite_sequence WHERE name LIKE 'local%' AND seq = 7", 1),
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
