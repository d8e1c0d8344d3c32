//! The import of a Python Sydent's database, and the server on the result.

mod exported;
mod files;
mod odd_rows;
mod own_key;
pub mod source;

use std::process::Command;

use diesel::SqliteConnection;
use diesel::connection::{Connection as _, SimpleConnection as _};
use serde_json::{Value, json};
use sydent::domain::base64;
use sydent::domain::lookup::{self, Pepper};
use sydent::domain::signing::verify;

use crate::harness::{
    CommandOutput, Signal, TestDatabase, TestServer, V2, mode, send_signal, wait_until,
};
use source::{DAY, Source, key, now, signed};

fn hash(address: &str) -> String {
    lookup::hash(address, "email", &Pepper::parse(source::PEPPER).unwrap())
}

async fn found(server: &TestServer, addresses: &[&str]) -> Value {
    let api = server.api().with_token("alices-token");
    let hashes: Vec<String> = addresses.iter().map(|address| hash(address)).collect();
    let body = json!({ "addresses": hashes, "algorithm": "sha256", "pepper": source::PEPPER });
    let answer = api.post(&format!("{V2}/lookup"), body).await.ok();
    let mappings = &answer["mappings"];
    addresses
        .iter()
        .map(|address| mappings[hash(address)].clone())
        .collect()
}

/// More than the import has in memory at a time; a quarter of the changes replaces another.
///
/// OPS-07, IDN-04
#[actix_web::test]
async fn newest_changes_of_many_addresses_win() {
    const ADDRESSES: u64 = 9000;
    const CHANGED_AGAIN: u64 = 3000;
    const CHANGES: u64 = ADDRESSES + CHANGED_AGAIN;
    let source = Source::of_schema(5);
    let t = now() - DAY;
    source.run(&format!(
        "WITH RECURSIVE n (n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM n WHERE n + 1 < {CHANGES}) \
         INSERT INTO local_threepid_associations \
         (id, medium, address, mxid, ts, notBefore, notAfter) \
         SELECT n + 1, 'email', 'a' || (n % {ADDRESSES}) || '@example.com', \
         '@u' || n || ':example.org', {t} + n, {t} + n, {t} + n + 3153600000000 FROM n"
    ));
    source.account("@alice:example.org", "alices-token", None);
    let database = TestDatabase::fresh();
    let output = source.import(&database, "");
    let expected = [CHANGES, ADDRESSES, CHANGED_AGAIN, 0];
    assert_eq!(output.row("bindings"), expected, "{}", output.out);
    let server = TestServer::start_on(database, |_| {});
    let addresses: Vec<String> = (0..ADDRESSES)
        .map(|n| format!("a{n}@example.com"))
        .collect();
    let users: Value = (0..ADDRESSES)
        .map(|n| if n < CHANGED_AGAIN { n + ADDRESSES } else { n })
        .map(|newest| format!("@u{newest}:example.org"))
        .collect();
    let addresses: Vec<&str> = addresses.iter().map(String::as_str).collect();
    assert_eq!(found(&server, &addresses).await, users);
}

/// OPS-07, IDN-04
#[actix_web::test]
async fn newest_change_of_each_address_wins() {
    let source = Source::of_schema(5);
    let t = now() - DAY;
    source.bind(1, "Alice@Example.com", "@old:example.org", t);
    source.bind(2, "alice@example.com", "@alice:example.org", t + 2);
    source.bind(3, "bob@example.com", "@bob:example.org", t);
    source.unbind(4, "BOB@example.com", t + 1);
    source.bind(5, "CAROL@example.com", "@carol:example.org", t + 3);
    source.unbind(6, "Carol@example.com", t);
    source.bind(7, "no address", "@a:example.org", t);
    source.bind(8, "dave@example.com", "dave", t);
    source.account("@alice:example.org", "alices-token", None);
    let database = TestDatabase::fresh();
    let output = source.import(&database, "");
    assert_eq!(output.code, 0, "{}", output.err);
    assert_eq!(output.row("bindings"), [8, 3, 3, 2], "{}", output.out);
    let skipped = "1 skipped: invalid medium or address: row 7 of local_threepid_associations\n";
    assert!(output.out.contains(skipped), "{}", output.out);
    for text in [&output.out, &output.err] {
        // The URL of a PostgreSQL server contains an @, so that is not looked for.
        assert!(!text.contains("example.com") && !text.contains("example.org"));
    }
    assert_eq!(
        database.count("association_journal WHERE id = 4 AND removed_at IS NOT NULL"),
        1
    );
    let removal = "association_removals WHERE address = 'bob@example.com' AND ts > 0";
    assert_eq!(database.count(removal), 1);
    assert_eq!(
        database.count("association_journal WHERE id IN (2, 5) AND removed_at IS NULL"),
        2
    );

    let server = TestServer::start_on(database, |_| {});
    let users = found(
        &server,
        &["alice@example.com", "bob@example.com", "carol@example.com"],
    )
    .await;
    assert_eq!(
        users,
        json!(["@alice:example.org", null, "@carol:example.org"])
    );
    // The journal continues after Sydent's last number.
    server.database.execute(
        "INSERT INTO association_journal (medium, address) VALUES ('email', 'next@example.com')",
    );
    assert_eq!(server.database.count("association_journal WHERE id = 9"), 1);
}

/// OPS-07
#[actix_web::test]
async fn existing_signatures_stay_and_rest_is_signed() {
    let source = Source::of_schema(5);
    let t = now() - DAY;
    let alice = source.bind(1, "alice@example.com", "@alice:example.org", t);
    let stored = source.state("id.example.test", 1, &alice);
    source.bind(2, "BOB@example.com", "@bob:example.org", t);
    let carol = signed("carol@example.com", "@carol:other.test", t, "other.test");
    source.state("other.test", 9, &carol);
    let database = TestDatabase::fresh();
    let output = source.import(&database, "");
    assert_eq!(output.code, 0, "{}", output.err);
    assert_eq!(
        output.row("replicated bindings"),
        [1, 1, 0, 0],
        "{}",
        output.out
    );
    assert!(
        output.out.contains("1 of its signatures were checked"),
        "{}",
        output.out
    );

    let server = TestServer::start_on(database, |_| {});
    let lookup = async |address: &str| server.api().lookup("email", address).await.ok();
    let found = lookup("alice@example.com").await;
    assert_eq!(found["signatures"], stored["signatures"]);
    let found = lookup("bob@example.com").await;
    let object = found.as_object().unwrap();
    assert_eq!(found["address"], "bob@example.com");
    let key = key();
    assert!(verify(object, "id.example.test", key.id(), &key.public()));
    let found = lookup("carol@example.com").await;
    assert_eq!(
        found["signatures"]["other.test"],
        carol["signatures"]["other.test"]
    );
}

/// OPS-07
#[actix_web::test]
async fn all_other_tables_are_imported() {
    let source = Source::of_schema(5);
    source.account("@alice:example.org", "alices-token", Some("3.1"));
    source.run("INSERT INTO accepted_terms_urls VALUES ('@alice:example.org', 'https://a/1')");
    source.run("INSERT INTO tokens VALUES ('nobodys', '@nobody:example.org')");
    let ephemeral = base64::encode_url_safe(&[255; 32]);
    source.run(&format!(
        "INSERT INTO ephemeral_public_keys (public_key, verify_count, persistence_ts) \
         VALUES ('{ephemeral}', 7, 1500000000)"
    ));
    source.run(
        "INSERT INTO invite_tokens (medium, address, room_id, sender, token, received_ts, sent_ts) \
         VALUES ('email', 'Eve@example.com', '!r:hs', '@bob:hs', 'waiting', 1500000000, NULL), \
                ('email', 'alice@example.com', '!r:hs', '@bob:hs', 'sent', 1500000000, 1500000001)",
    );
    let (current, expired) = (now() - DAY / 2, now() - 2 * DAY);
    source.run(&format!(
        "INSERT INTO threepid_validation_sessions VALUES \
         (11, 'email', 'Alice@Example.com', 'secret', 1, {current}), \
         (12, 'email', 'frank@example.com', 'secret', 0, {current}), \
         (13, 'email', 'old@example.com', 'secret', 1, {expired}); \
         INSERT INTO threepid_token_auths (validationSession, token, sendAttemptNumber) VALUES \
         (11, 'tokenA', 1), (12, 'tokenF', -1), (13, 'tokenO', 1)"
    ));
    source.run(
        "INSERT INTO peers (name, lastSentVersion, lastPokeSucceededAt, active) \
         VALUES ('other.test', 41, 1500000000000, 1), ('gone.test', 3, NULL, 0)",
    );
    let database = TestDatabase::fresh();
    let output = source.import(&database, "");
    assert_eq!(output.code, 0, "{}", output.err);
    for (kind, row) in [
        ("accounts", [1, 1, 0, 0]),
        ("access tokens", [2, 1, 0, 1]),
        ("accepted terms", [1, 1, 0, 0]),
        ("invites", [2, 2, 0, 0]),
        ("invite keys", [1, 1, 0, 0]),
        ("validation sessions", [3, 2, 0, 1]),
        ("peers", [2, 1, 0, 1]),
    ] {
        assert_eq!(output.row(kind), row, "{kind}: {}", output.out);
    }
    assert_eq!(
        database.count("accepted_terms WHERE url = 'master_version 3.1'"),
        1
    );
    assert_eq!(database.count("replication_peers WHERE sent_id = 41"), 1);
    assert_eq!(
        database.count("invites WHERE delivered_at IS NULL AND address = 'eve@example.com'"),
        1
    );

    let server = TestServer::start_on(database, |_| {});
    let api = server.api().with_token("alices-token");
    assert_eq!(api.account().await.ok()["user_id"], "@alice:example.org");
    for other in [
        ephemeral.clone(),
        base64::encode(&[255; 32]).replace('+', "%2B"),
    ] {
        let path = format!("{V2}/pubkey/ephemeral/isvalid?public_key={other}");
        assert_eq!(api.get(&path).await.ok()["valid"], true);
    }
    let path = format!("{V2}/3pid/getValidated3pid?sid=11&client_secret=secret");
    let proof = api.get(&path).await.ok();
    assert_eq!(proof["address"], "alice@example.com");
    assert_eq!(proof["validated_at"], current);
    let path = format!("{V2}/validate/email/submitToken");
    let body = json!({ "sid": "12", "client_secret": "secret", "token": "tokenF" });
    assert_eq!(api.post(&path, body).await.ok()["success"], true);
    let seed = base64::encode(&[7; 32]);
    let body = json!({ "mxid": "@alice:example.org", "token": "sent", "private_key": seed });
    let signed = api.post(&format!("{V2}/sign-ed25519"), body).await.ok();
    assert_eq!(signed["sender"], "@bob:hs");
    // Old invites count as made at the import.
    assert_eq!(server.database.count("invites"), 2);
}

/// OPS-07
#[actix_web::test]
async fn older_schemas_are_imported_with_a_new_pepper() {
    for schema in [0, 1] {
        let source = Source::of_schema(schema);
        let t = now() - DAY;
        source.bind(1, "Alice@Example.com", "@alice:example.org", t);
        if schema == 1 {
            source.unbind(3, "bob@example.com", t);
        }
        let database = TestDatabase::fresh();
        let output = source.import(&database, "");
        assert_eq!(output.code, 0, "{}", output.err);
        assert!(
            output
                .out
                .contains(&format!("has schema version {schema};")),
            "{}",
            output.out
        );
        let server = TestServer::start_on(database, |_| {});
        let found = server.api().lookup("email", "alice@example.com").await.ok();
        assert_eq!(found["mxid"], "@alice:example.org");
        assert_eq!(server.database.count("lookup_peppers"), 1);
    }
}

/// OPS-07
#[test]
fn import_is_atomic_and_repeatable_by_force() {
    let source = Source::of_schema(5);
    source.bind(1, "alice@example.com", "@alice:example.org", now());
    let database = TestDatabase::fresh();
    let dry_run = source.import(&database, "--dry-run");
    assert_eq!(dry_run.code, 0, "{}", dry_run.err);
    assert!(!source.folder.path().join("new.key").exists());
    if let Some(file) = database.url.strip_prefix("sqlite:") {
        assert!(!std::path::Path::new(file).exists());
    }
    let first = source.import(&database, "");
    assert_eq!(first.code, 0, "{}", first.err);
    assert_eq!(mode(&source.folder.path().join("new.key")), 0o600);
    let again = source.import(&database, "");
    assert_eq!(again.code, 1);
    assert!(again.err.contains("--force"), "{}", again.err);
    for file in ["new.key", "new.toml"] {
        std::fs::remove_file(source.folder.path().join(file)).unwrap();
    }
    let again = source.import(&database, "");
    assert!(again.err.contains("is not empty"), "{}", again.err);
    for file in ["new.key", "new.toml", "new.key.new", "new.toml.new"] {
        assert!(!source.folder.path().join(file).exists(), "{file}");
    }
    for _ in 0..2 {
        let forced = source.import(&database, "--force");
        assert_eq!(
            (forced.code, &forced.out),
            (0, &first.out),
            "{}",
            forced.err
        );
        assert_eq!(database.count("associations WHERE id = 1"), 1);
        assert_eq!(database.count("association_journal WHERE id = 1"), 1);
    }
}

/// OPS-07
#[actix_web::test]
async fn imported_database_has_all_indexes() {
    let source = Source::of_schema(5);
    source.bind(1, "alice@example.com", "@alice:example.org", now());
    let imported = TestDatabase::fresh();
    assert_eq!(source.import(&imported, "").code, 0);
    let started = TestServer::start(|_| {});
    let indexes = if imported.is_postgres() {
        "pg_indexes WHERE schemaname = 'public'"
    } else {
        "sqlite_master WHERE type = 'index'"
    };
    let all = started.database.count(indexes);
    assert!(all > 10, "{all}");
    assert_eq!(imported.count(indexes), all);
    if imported.is_postgres() {
        let analyzed = "pg_stats WHERE tablename = 'associations' AND attname = 'address'";
        assert_eq!(imported.count(analyzed), 1);
    }
}

/// OPS-07
#[test]
fn database_is_read_while_sydent_writes() {
    for journal in ["delete", "wal"] {
        let source = Source::of_schema(5);
        source.run(&format!("PRAGMA journal_mode = {journal}"));
        source.bind(1, "alice@example.com", "@alice:example.org", now());
        let file = source.folder.path().join("old.db");
        let mut busy = SqliteConnection::establish(file.to_str().unwrap()).unwrap();
        busy.batch_execute(
            "BEGIN IMMEDIATE; UPDATE local_threepid_associations SET mxid = '@eve:example.org'",
        )
        .unwrap();
        let before = std::fs::read(&file).unwrap();
        let database = TestDatabase::fresh();
        let output = source.import(&database, "");
        assert_eq!(output.code, 0, "{journal}: {}", output.err);
        assert_eq!(
            database.count("associations WHERE mxid = '@alice:example.org'"),
            1
        );
        assert!(std::fs::read(&file).unwrap() == before, "{journal}");
        busy.batch_execute("COMMIT").unwrap();
    }
}

/// OPS-07
#[test]
fn signed_association_without_a_row_is_kept() {
    let source = Source::of_schema(5);
    let t = now() - DAY;
    source.bind(4, "alice@example.com", "@alice:example.org", t);
    for (id, address) in [(2, "Alice@example.com"), (3, "bob@example.com")] {
        let signed = signed(address, "@bob:example.org", t + 1, "id.example.test");
        source.state("id.example.test", id, &signed);
    }
    let database = TestDatabase::fresh();
    let output = source.import(&database, "");
    assert_eq!(output.row("bindings"), [3, 2, 1, 0], "{}", output.out);
    assert_eq!(
        database.count("associations WHERE mxid = '@alice:example.org'"),
        1
    );
    assert_eq!(database.count("association_journal WHERE id > 4"), 1);
}

/// CRY-09
#[test]
fn key_that_did_not_sign_the_data_is_rejected() {
    let source = Source::of_schema(5);
    let alice = source.bind(1, "alice@example.com", "@alice:example.org", now());
    source.state("id.example.test", 1, &alice);
    source.key(&format!("ed25519 0 {}", base64::encode(&[9; 32])));
    let database = TestDatabase::fresh();
    let output = source.import(&database, "");
    assert_eq!((output.code, output.out.as_str()), (1, ""));
    assert!(output.err.contains("none of the checked"), "{}", output.err);
    assert!(output.err.contains("as id.example.test"), "{}", output.err);
    source.key("nonsense");
    let output = source.import(&database, "");
    assert!(output.err.contains("must be `ed25519"), "{}", output.err);
}

/// OPS-07, INT-03
#[actix_web::test]
async fn numbers_decide_among_rows_of_a_peer() {
    let source = Source::of_schema(5);
    let t = now() - DAY;
    // The clock of the peer was set back between them; one came late.
    for (number, address, mxid, ts) in [
        (9, "alice@example.com", "@older:hs", t + 5),
        (10, "alice@example.com", "@newer:hs", t),
        (100, "bob@example.com", "@newer:hs", t),
        (99, "bob@example.com", "@older:hs", t + 5),
    ] {
        let stated = signed(address, mxid, ts, "other.test");
        source.state("other.test", number, &stated);
    }
    source.account("@alice:example.org", "alices-token", None);
    let database = TestDatabase::fresh();
    let output = source.import(&database, "");
    assert_eq!(output.code, 0, "{}", output.err);
    let imported = output.row("replicated bindings");
    assert_eq!(imported, [4, 2, 2, 0], "{}", output.out);
    assert_eq!(database.count("associations WHERE number IN (10, 100)"), 2);
    let server = TestServer::start_on(database, |_| {});
    let users = found(&server, &["alice@example.com", "bob@example.com"]).await;
    assert_eq!(users, json!(["@newer:hs", "@newer:hs"]));
}

impl CommandOutput {
    /// A row of the summary table: read, imported, merged, skipped.
    fn row(&self, kind: &str) -> [u64; 4] {
        let line = self.out.lines().find_map(|line| line.strip_prefix(kind));
        let numbers = line.unwrap_or_else(|| panic!("{kind}: {}", self.out));
        let numbers: Vec<u64> = numbers
            .split_whitespace()
            .map(|number| number.parse().unwrap())
            .collect();
        numbers.try_into().unwrap()
    }
}

/// The copy of the old database contains access tokens in plain text.
#[actix_web::test]
async fn private_copy_is_removed_on_every_exit() {
    let source = Source::of_schema(5);
    source.account("@alice:example.org", "alices-token", None);
    let temporary = tempfile::tempdir().unwrap();
    let copies = || std::fs::read_dir(temporary.path()).unwrap();
    let import = || {
        let mut command = Command::new(env!("CARGO_BIN_EXE_sydent"));
        command
            .args("import sydent --conf old.conf --out new.toml --dry-run".split(' '))
            .current_dir(source.folder.path())
            .env("TMPDIR", temporary.path());
        command
    };
    for signal in [Signal::INT, Signal::TERM, Signal::HUP, Signal::KILL] {
        // Copying waits for the lock, after the folder was created.
        let mut lock = source.connect();
        lock.batch_execute("BEGIN EXCLUSIVE").unwrap();
        let mut child = import().spawn().unwrap();
        wait_until("a folder", || copies().count() == 1).await;
        let folder = copies().next().unwrap().unwrap().path();
        assert_eq!(mode(&folder), 0o700);
        wait_until("a file", || folder.join("copy.db").exists()).await;
        assert_eq!(mode(&folder.join("copy.db")), 0o600);
        send_signal(&child, signal);
        assert!(!child.wait().unwrap().success());
        let left = usize::from(signal == Signal::KILL);
        assert_eq!(copies().count(), left, "{signal:?}");
    }
    // The next import removes what kill -9 left behind, and leaves nothing itself.
    assert!(import().status().unwrap().success());
    assert_eq!(copies().count(), 0);
}
