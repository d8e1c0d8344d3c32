//! Rolling upgrades: this version on the schema of a later one.

use serde_json::json;

use crate::harness::{Api, SmtpServer, TestDatabase, TestProcess, TestServer, fresh_address};

/// A later version adds these, as every migration may.
const EXPANDED: &str = "
    ALTER TABLE validation_sessions ADD COLUMN later TEXT;
    ALTER TABLE associations ADD COLUMN later BIGINT NOT NULL DEFAULT 0;
    ALTER TABLE accounts ADD COLUMN later TEXT;
    ALTER TABLE access_tokens ADD COLUMN later TEXT;
    ALTER TABLE invites ADD COLUMN later BOOLEAN NOT NULL DEFAULT FALSE;
    ALTER TABLE outbox ADD COLUMN later TEXT NOT NULL DEFAULT '';
    ALTER TABLE send_limits ADD COLUMN later BIGINT;
    ALTER TABLE lookup_peppers ADD COLUMN later BIGINT;
    ALTER TABLE association_journal ADD COLUMN later BIGINT;
    ALTER TABLE association_removals ADD COLUMN later BIGINT;
    CREATE TABLE later (id BIGINT NOT NULL PRIMARY KEY);
    CREATE INDEX associations_later ON associations (later);
    INSERT INTO __diesel_schema_migrations (version) VALUES ('9998since0014');";

/// Validates and binds an address, looks it up, and invites another one.
async fn works(api: &Api) {
    let (address, user) = (fresh_address("upgrade"), "@upgrade:example.org");
    let requested = api.request_token(&address, "secret", 1).await.ok();
    let sid = requested["sid"].as_str().unwrap();
    let mail = SmtpServer::shared().mail_to(&address).await;
    api.submit_token(sid, "secret", &mail.token()).await.ok();
    api.bind(sid, "secret", user).await.ok();
    let found = api.lookup("email", &address).await.ok();
    assert_eq!(found["mxid"], json!(user));
    let invite = json!({
        "medium": "email", "address": fresh_address("invited"), "room_id": "!room:example.org",
        "sender": user,
    });
    let invite = api.store_invite(invite).await.ok();
    let key = invite["public_keys"][0]["public_key"].as_str().unwrap();
    let path = api.path(&format!("/pubkey/isvalid?public_key={key}"));
    assert_eq!(api.get(&path.replace('+', "%2B")).await.ok()["valid"], true);
}

/// OPS-11
#[actix_web::test]
async fn server_works_on_an_expanded_schema() {
    let server = TestServer::start(|_settings| {});
    server.database.execute(EXPANDED);
    works(&server.api()).await;
    let server = server.start_again(|_settings| {});
    works(&server.api()).await;
}

/// A migration of much data takes a while, in which the server does not answer.
///
/// OPS-11
#[test]
fn start_names_what_it_migrates() {
    let database = TestDatabase::fresh();
    let migrating = "migrating the schema of the database: 0001, 0002, ";
    let first = TestProcess::start(&database, |_settings| {});
    assert!(first.log().contains(migrating), "{}", first.log());
    drop(first.stop());
    let again = TestProcess::start(&database, |_settings| {});
    assert!(!again.log().contains("migrating"), "{}", again.log());
}

/// OPS-11
#[test]
fn commands_work_on_an_expanded_schema() {
    let database = TestDatabase::fresh();
    drop(TestProcess::start(&database, |_settings| {}).stop());
    database.execute(EXPANDED);
    let server = TestProcess::start(&database, |_settings| {});
    let warning = "has the schema of a newer version of the server, with the migrations 9998";
    assert!(server.log().contains(warning), "{}", server.log());
    let output = server.command("config check --config sydent.toml");
    assert_eq!(output.code, 0, "{}", output.err);
    let shown = format!("{}{}", output.out, output.err);
    assert!(shown.contains(warning), "{shown}");
    let output = server.command("pepper rotate --config sydent.toml");
    assert_eq!(output.code, 0, "{}", output.err);
    for command in ["export", "erase --yes"] {
        let person = format!("person {command} a@example.com --config sydent.toml");
        let output = server.command(&person);
        assert_eq!(output.code, 2, "{}", output.out);
        let reason = "does not know all that is in it";
        assert!(output.err.contains(reason), "{}", output.err);
    }
}

/// OPS-11, OPS-13
#[test]
fn schema_that_excludes_this_version_is_refused() {
    let database = TestDatabase::fresh();
    drop(TestProcess::start(&database, |_settings| {}).stop());
    let record = "INSERT INTO __diesel_schema_migrations (version) VALUES ('9999since9998')";
    database.execute(record);
    let output = TestProcess::start_failing(&database, |_settings| {});
    let reason = "the migrations 9999since9998, and this version knows those up to";
    assert!(output.err.contains(reason), "{}", output.err);
}
