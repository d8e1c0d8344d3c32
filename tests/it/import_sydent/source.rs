//! Databases of several Sydent versions.

use diesel::SqliteConnection;
use diesel::connection::{Connection as _, SimpleConnection as _};
use serde_json::{Map, Value, json};
use sydent::clock::Clock;
use sydent::domain::ids::ServerName;
use sydent::domain::signing::KeyPair;
use tempfile::TempDir;

use crate::harness::{CommandOutput, KEY_FILE, SERVER_NAME, TestDatabase};

pub const PEPPER: &str = "matrixrocks";
pub const DAY: i64 = 24 * 60 * 60 * 1000;

/// A folder with `old.db` and `old.conf`.
pub struct Source {
    pub folder: TempDir,
}

pub fn now() -> i64 {
    Clock::system().now().as_i64()
}

pub fn key() -> KeyPair {
    KeyPair::parse_line(KEY_FILE.trim()).unwrap()
}

/// The key of other servers.
fn peer_key() -> KeyPair {
    KeyPair::from_seed(key().id().clone(), &[42; 32])
}

/// An association signed by `origin`, with its own key.
pub fn signed(address: &str, mxid: &str, ts: i64, origin: &str) -> Value {
    let is_own = origin == SERVER_NAME;
    signed_by(
        &if is_own { key() } else { peer_key() },
        address,
        mxid,
        ts,
        origin,
    )
}

/// An association signed as `origin` with this key.
pub fn signed_by(key: &KeyPair, address: &str, mxid: &str, ts: i64, origin: &str) -> Value {
    let mut object: Map<String, Value> = serde_json::from_value(json!({
        "medium": "email", "address": address, "mxid": mxid, "ts": ts, "not_before": ts,
        "not_after": ts + 3_153_600_000_000_i64,
    }))
    .unwrap();
    let origin = ServerName::parse(origin).unwrap();
    key.sign(&origin, &mut object).unwrap();
    Value::Object(object)
}

impl Source {
    pub fn of_schema(schema: i64) -> Self {
        let source = Self {
            folder: tempfile::tempdir().unwrap(),
        };
        source.key(KEY_FILE.trim());
        let (counter, tombstones) = if schema == 0 {
            ("", "not null")
        } else {
            ("autoincrement", "")
        };
        let binding = "medium text not null, address text not null";
        source.run(&format!(
            "CREATE TABLE local_threepid_associations (id integer primary key {counter}, {binding}, \
             mxid text {tombstones}, ts integer {tombstones}, notBefore bigint {tombstones}, \
             notAfter bigint {tombstones}); \
             CREATE TABLE global_threepid_associations (id integer primary key {counter}, {binding}, \
             mxid text not null, ts integer not null, notBefore bigint not null, \
             notAfter integer not null, originServer text not null, originId integer not null, \
             sgAssoc text not null); \
             CREATE UNIQUE INDEX origins ON global_threepid_associations (originServer, originId); \
             CREATE TABLE invite_tokens (id integer primary key, {binding}, room_id text not null, \
             sender text not null, token text not null, received_ts bigint, sent_ts bigint); \
             CREATE TABLE ephemeral_public_keys (id integer primary key, public_key text not null, \
             verify_count bigint default 0, persistence_ts bigint); \
             CREATE TABLE threepid_validation_sessions (id integer primary key, {binding}, \
             clientSecret text not null, validated int default 0, mtime bigint not null); \
             CREATE TABLE threepid_token_auths (id integer primary key, validationSession integer \
             not null, token text not null, sendAttemptNumber integer not null); \
             CREATE TABLE peers (id integer primary key, name text not null, port integer, \
             lastSentVersion integer, lastPokeSucceededAt integer, active integer not null); \
             CREATE TABLE peer_pubkeys (id integer primary key, peername text not null, \
             alg text not null, key text not null); \
             PRAGMA user_version = {schema}"
        ));
        if schema == 5 {
            source.run(&format!(
                "ALTER TABLE local_threepid_associations ADD COLUMN lookup_hash text; \
                 ALTER TABLE global_threepid_associations ADD COLUMN lookup_hash text; \
                 CREATE TABLE hashing_metadata (id integer primary key, lookup_pepper text); \
                 INSERT INTO hashing_metadata VALUES (0, '{PEPPER}'); \
                 CREATE TABLE accounts (user_id text primary key, created_ts bigint not null, \
                 consent_version text); \
                 CREATE TABLE tokens (token text primary key, user_id text not null); \
                 CREATE TABLE accepted_terms_urls (user_id text not null, url text not null)"
            ));
        }
        source
    }

    pub fn run(&self, sql: &str) {
        self.connect().batch_execute(sql).unwrap();
    }

    pub fn connect(&self) -> SqliteConnection {
        let file = self.folder.path().join("old.db");
        SqliteConnection::establish(file.to_str().unwrap()).unwrap()
    }

    /// Writes the configuration with this signing key.
    pub fn key(&self, written: &str) {
        let text = format!(
            "[general]\nserver.name = {SERVER_NAME}\n[db]\ndb.file = old.db\n[http]\n\
             client_http_base = https://old.example.test\n[crypto]\ned25519.signingkey = {written}\n"
        );
        std::fs::write(self.folder.path().join("old.conf"), text).unwrap();
    }

    /// Inserts a local binding; returns it signed.
    pub fn bind(&self, id: i64, address: &str, mxid: &str, ts: i64) -> Value {
        self.run(&format!(
            "INSERT INTO local_threepid_associations (id, medium, address, mxid, ts, notBefore, \
             notAfter) VALUES ({id}, 'email', '{address}', '{mxid}', {ts}, {ts}, {})",
            ts + 3_153_600_000_000_i64
        ));
        signed(address, mxid, ts, SERVER_NAME)
    }

    pub fn unbind(&self, id: i64, address: &str, ts: i64) {
        self.run(&format!(
            "INSERT INTO local_threepid_associations (id, medium, address, ts) \
             VALUES ({id}, 'email', '{address}', {ts})"
        ));
    }

    /// Inserts a row into the table that lookups read; returns the signed object.
    pub fn state(&self, origin: &str, id: i64, signed: &Value) -> Value {
        self.run(&format!(
            "INSERT INTO global_threepid_associations (medium, address, mxid, ts, notBefore, \
             notAfter, originServer, originId, sgAssoc) \
             VALUES ('email', '{}', '{}', {}, {}, {}, '{origin}', {id}, '{signed}')",
            signed["address"].as_str().unwrap(),
            signed["mxid"].as_str().unwrap(),
            signed["ts"],
            signed["not_before"],
            signed["not_after"],
        ));
        signed.clone()
    }

    pub fn account(&self, user: &str, token: &str, version: Option<&str>) {
        let version = version.map_or("NULL".to_owned(), |version| format!("'{version}'"));
        self.run(&format!(
            "INSERT INTO accounts VALUES ('{user}', 1500000000000, {version}); \
             INSERT INTO tokens VALUES ('{token}', '{user}')"
        ));
    }

    /// Runs the real command.
    pub fn import(&self, into: &TestDatabase, flags: &str) -> CommandOutput {
        self.import_into(&into.url, flags)
    }

    /// The same with the URL of a database.
    pub fn import_into(&self, url: &str, flags: &str) -> CommandOutput {
        CommandOutput::run(
            self.folder.path(),
            &format!("import sydent --conf old.conf --out new.toml --database {url} {flags}"),
        )
    }
}
