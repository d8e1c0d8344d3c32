//! `sydent database status`, `migrate` and `copy`.

use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::harness::{
    Api, CommandOutput, TestDatabase, TestServer, configured, fresh_address, repository,
};
use crate::store_invite;

/// Runs a command in a folder of its own.
fn run(arguments: &str) -> CommandOutput {
    CommandOutput::run(tempfile::tempdir().unwrap().path(), arguments)
}

fn copy(from: &str, to: &str) -> CommandOutput {
    run(&format!("database copy {from} {to}"))
}

/// Copies with success; returns what was printed about the rows.
fn copied(from: &str, to: &str) -> String {
    let output = copy(from, to);
    assert_eq!(output.code, 0, "{}", output.err);
    let (rows, _) = output.out.split_once("Set database.url").unwrap();
    rows.to_owned()
}

fn sqlite_in(folder: &TempDir, name: &str) -> String {
    format!("sqlite:{}", folder.path().join(name).display())
}

/// What clients see of the data.
async fn answers(server: &TestServer, token: &str, addresses: &[String]) -> Vec<Value> {
    let api = server.api();
    let mut answers = Vec::new();
    for address in addresses {
        answers.push(api.lookup("email", address).await.ok());
    }
    let api: Api = api.with_token(token);
    answers.push(api.account().await.ok());
    answers.push(api.hash_details().await.ok());
    answers
}

/// Rows that a server rarely has.
const SELDOM: &str = "INSERT INTO blocked_accounts VALUES ('@é:example.org', 1);
INSERT INTO replication_peers (name, sent_id, tries, due_at, lease_owner, lease_until, skipped, \
skipped_number, compares) VALUES ('peer.test', 3, 1, 2, '', 0, 1, '9007199254740993', TRUE);
INSERT INTO association_removals VALUES ('email', 'gone@example.com', 'peer.test', 4, 5, NULL);
INSERT INTO ignored_statements VALUES ('email', 'no@example.com', 'peer.test', 1);
INSERT INTO erasures VALUES ('subject', 1, 9007199254740993, NULL);
INSERT INTO imports VALUES (17);
INSERT INTO outbox (id, kind, payload, subject, send_attempt, limits, tries, created_at, due_at, \
answer_until, expires_at, affinity_instance, lease_owner, lease_until, acknowledged, last_failure) \
VALUES ('later', 'mail', '{\"quotes\": \"\\\" and 漢\"}', '', 1, '[]', 2, 3, 9000000000000, 0, \
9000000000000, '', '', 0, TRUE, 'it''s away');";

const AUDIT: &str = "INSERT INTO person_audit (at, action, subject, affected) VALUES (1, \
'export', 's', '{\"a\": 1}')";

/// The other kind of database, and back; then a server goes on with the copy.
#[actix_web::test]
async fn server_goes_on_with_a_copy() {
    let folder = tempfile::tempdir().unwrap();
    let database = TestDatabase::fresh();
    let mut server = TestServer::start_on(TestDatabase::existing(&database.url), |_| {});
    let token = server.account("@a:example.org").await.token().to_owned();
    let session = server.validate(&fresh_address("session")).await;
    let addresses: Vec<String> = (0..3).map(|_| fresh_address("bound")).collect();
    for address in &addresses {
        let bind = server.internal();
        bind.internal_bind("email", address, "@a:example.org")
            .await
            .ok();
    }
    let invited = fresh_address("invited");
    let api = server.api();
    api.store_invite(store_invite::by_synapse(&invited))
        .await
        .ok();
    server.wait_until_queue_empty().await;
    let last = addresses.last().unwrap();
    let unbind = server.internal();
    unbind
        .internal_unbind("email", last, "@a:example.org")
        .await
        .ok();
    let before = answers(&server, &token, &addresses[..2]).await;

    let other = sqlite_in(&folder, "other.db");
    let output = copy(&database.url, &other);
    assert_eq!(output.code, 1);
    let in_use = "Nothing was copied: a server or another command is connected to the source";
    assert!(output.err.contains(in_use), "{}", output.err);
    server.stop();
    database.execute(SELDOM);
    database.execute(&format!(
        "{AUDIT}; {AUDIT}; DELETE FROM person_audit WHERE id = 2"
    ));
    // Threads of a server in this process may still have the file open.
    let source = if database.is_postgres() {
        database.url.clone()
    } else {
        let file = folder.path().join("source.db");
        database.execute(&format!("VACUUM INTO '{}'", file.display()));
        format!("sqlite:{}", file.display())
    };
    let first = copied(&source, &other);
    let again = copy(&source, &other);
    assert!(
        again.err.contains("the target database is not empty"),
        "{}",
        again.err
    );
    let back = TestDatabase::fresh();
    assert_eq!(copied(&other, &back.url), first);
    for table in [
        "associations",
        "accounts",
        "invites",
        "outbox",
        "association_journal",
    ] {
        let count = back.count(table);
        assert!(count > 0 && count == database.count(table), "{table}");
    }
    if back.is_postgres() {
        let analyzed = "pg_stats WHERE tablename = 'associations' AND attname = 'address'";
        assert_eq!(back.count(analyzed), 1);
    }
    let journal = "association_journal WHERE restates OR NOT restates";
    assert_eq!(back.count(journal), database.count("association_journal"));
    assert_eq!(back.count("erasures WHERE erased_at = 9007199254740993"), 1);

    let mut server = TestServer::start_on(TestDatabase::existing(&back.url), |_| {});
    assert_eq!(answers(&server, &token, &addresses[..2]).await, before);
    let api = server.api();
    let validated = api.get_validated(&session.sid, &session.client_secret);
    assert_eq!(validated.await.ok()["address"], session.address);
    // The number of a row that was removed is not given again.
    back.execute(AUDIT);
    assert_eq!(back.count("person_audit WHERE id = 3"), 1);
    server.stop();
}

#[test]
fn refused_copy_says_why() {
    let folder = tempfile::tempdir().unwrap();
    let (a, b) = (sqlite_in(&folder, "a.db"), sqlite_in(&folder, "b.db"));
    for (from, to, reason) in [
        (&*a, &*b, "Nothing was copied: the source: cannot open the"),
        ("postgres://id:pa@SECRET@db/x", &*b, "The URL FROM is ambig"),
        (&*a, "postgres://id:SECRET@db/x?sslcrl=/x", "The URL TO has"),
        (&*a, "SECRET", "The URL TO must start with sqlite: or"),
        (
            "postgres://id@db/x?password=ab&SECRET=cd",
            &*b,
            "The URL FR",
        ),
        (
            "postgres://id:h%ffSECRET@db/x",
            &*b,
            "The URL FROM has perc",
        ),
    ] {
        let refused = copy(from, to);
        assert_eq!(refused.code, 1, "{}", refused.err);
        assert!(refused.err.starts_with(reason), "{}", refused.err);
        assert!(!refused.err.contains("SECRET"), "{}", refused.err);
    }
    assert_eq!(folder.path().read_dir().unwrap().count(), 0);
}

#[test]
fn copy_to_a_relative_path_names_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let database = TestDatabase::fresh();
    let config = configured(&database, |_| {});
    let migrated = CommandOutput::run(config.path(), "database migrate --config sydent.toml");
    assert_eq!(migrated.code, 0, "{}", migrated.err);
    let command = format!("database copy {} sqlite:b.db", database.url);
    let copied = CommandOutput::run(folder.path(), &command);
    let file = folder.path().canonicalize().unwrap().join("b.db");
    let named = format!("Set database.url to sqlite://{}, and", file.display());
    assert!(copied.out.contains(&named), "{} {}", copied.out, copied.err);
    let same = "database copy sqlite:b.db sqlite:./b.db";
    let same = CommandOutput::run(folder.path(), same).err;
    let reason = "Nothing was copied: the source and the target are the same database.";
    assert!(same.starts_with(reason), "{same}");
}

#[test]
fn killed_copy_leaves_an_empty_target() {
    let folder = tempfile::tempdir().unwrap();
    let database = TestDatabase::fresh();
    let target = sqlite_in(&folder, "target.db");
    let filled = TestDatabase::existing(&target);
    for database in [&database, &filled] {
        let config = configured(database, |_| {});
        let migrated = CommandOutput::run(config.path(), "database migrate --config sydent.toml");
        assert_eq!(migrated.code, 0, "{}", migrated.err);
    }
    database.execute(
        "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 60000)
        INSERT INTO ephemeral_keys SELECT 'k' || i, i FROM n",
    );
    let mut child = Command::new(env!("CARGO_BIN_EXE_sydent"))
        .args(["database", "copy", &database.url, &target])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    // SQLite has this file from the first row to the end of the transaction.
    let journal = folder.path().join("target.db-journal");
    while !journal.exists() {
        assert_eq!(child.try_wait().unwrap(), None);
        pause(Duration::from_millis(1));
    }
    pause(Duration::from_millis(100));
    child.kill().unwrap();
    assert!(!child.wait().unwrap().success());
    assert!(journal.exists());
    assert_eq!(filled.count("ephemeral_keys"), 0);
    copied(&database.url, &target);
    assert_eq!(filled.count("ephemeral_keys"), 60_000);
}

#[expect(clippy::disallowed_methods, reason = "the test lets a process work")]
fn pause(time: Duration) {
    std::thread::sleep(time);
}

#[actix_web::test]
async fn status_is_shown_beside_a_server() {
    let server = TestServer::start(|_| {});
    let address = fresh_address("status");
    server
        .internal()
        .internal_bind("email", &address, "@a:example.org")
        .await
        .ok();
    let config = configured(&server.database, |_| {});
    let status = |options: &str| {
        let command = format!("database status --config sydent.toml {options}");
        CommandOutput::run(config.path(), &command)
    };
    let shown = status("--json");
    assert_eq!(shown.code, 0, "{}", shown.err);
    let json: Value = serde_json::from_str(&shown.out).unwrap();
    assert_eq!(json["rows"]["associations"], 1);
    assert_eq!(json["pending_migrations"], json!([]));
    assert_eq!(json["server_name"], crate::harness::SERVER_NAME);
    assert_eq!(json["pepper_rotation"], Value::Null);
    assert!(json["bytes"].as_i64().unwrap() > 10_000, "{json}");
    let is_postgres = server.database.is_postgres();
    let backend = if is_postgres {
        "PostgreSQL "
    } else {
        "SQLite "
    };
    assert!(
        json["backend"].as_str().unwrap().starts_with(backend),
        "{json}"
    );
    if is_postgres {
        assert!(json["connections"]["count"].as_i64().unwrap() > 4, "{json}");
        assert_eq!(json["connections"]["addresses"], 1);
    }
    let text = status("").out;
    for line in [
        "pending migrations  none\n",
        "pepper rotation     none\n",
        "\n  associations  ",
    ] {
        assert!(text.contains(line), "{text}");
    }
}

#[test]
fn migrate_applies_what_is_pending() {
    let database = TestDatabase::fresh();
    let config = configured(&database, |_| {});
    let run = |command: &str| {
        let command = format!("database {command} --config sydent.toml");
        CommandOutput::run(config.path(), &command)
    };
    if !database.is_postgres() {
        let none = run("status");
        assert_eq!(none.code, 2);
        assert!(none.err.contains("the file does not exist"), "{}", none.err);
    }
    let first = run("migrate").out;
    assert!(
        first.starts_with("Migrations applied: 0001, 0002, "),
        "{first}"
    );
    assert_eq!(run("status").code, 0);
    let kind = if database.is_postgres() {
        "postgres"
    } else {
        "sqlite"
    };
    let folder = repository(&format!("migrations/{kind}"));
    let migrations = std::fs::read_dir(folder).unwrap();
    let last = migrations.map(|file| file.unwrap().path()).max().unwrap();
    let name = last.file_name().unwrap().to_str().unwrap();
    let version = name.split_once('_').unwrap().0.replace('-', "");
    database.execute(&std::fs::read_to_string(last.join("down.sql")).unwrap());
    database.execute(&format!(
        "DELETE FROM __diesel_schema_migrations WHERE version = '{version}'"
    ));
    let status = run("status");
    assert_eq!(status.code, 1);
    assert!(
        status
            .out
            .contains(&format!("pending migrations  {version}\n")),
        "{}",
        status.out
    );
    assert!(
        status.err.contains("`sydent database migrate`"),
        "{}",
        status.err
    );
    let again = run("migrate");
    assert!(
        again.out == format!("Migrations applied: {version}.\n"),
        "{} {}",
        again.out,
        again.err
    );
    assert!(run("migrate").out.starts_with("Nothing was changed"));
}
