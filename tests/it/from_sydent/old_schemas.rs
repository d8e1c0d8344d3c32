//! Databases as the first Sydents left them. The SQL is our own; that the
//! columns are right is judged by the Sydent of today, which upgrades them.

use std::fmt::Write as _;
use std::path::Path;

use diesel::connection::SimpleConnection as _;
use serde_json::json;
use sydent::domain::ids::ServerName;
use sydent::domain::signing::KeyPair;

use crate::harness::{Answer, KEY_FILE, RealSydent, SERVER_NAME, sqlite};

/// The end of all these bindings.
const NOT_AFTER: i64 = 4_652_000_000_000;

/// The user, the address as it was written and the time: what was bound on the
/// server itself. Two addresses differ in nothing but their case.
pub const OWN: [(&str, &str, i64); 4] = [
    ("@first:hs.test", "first@example.com", 1_500_000_001_000),
    ("@second:hs.test", "Second@Example.com", 1_500_000_002_000),
    ("@older:hs.test", "Twice@example.com", 1_500_000_003_000),
    ("@newer:hs.test", "twice@example.com", 1_500_000_004_000),
];

/// Makes a database of schema 0 or 1. In the latter `gone@example.com` is a
/// tombstone.
pub fn make(file: &Path, schema: u8) {
    let mut sql = match schema {
        0 => include_str!("schema_0.sql").to_owned(),
        _ => include_str!("schema_1.sql").to_owned(),
    };
    sql += include_str!("old_others.sql");
    let key = KeyPair::parse_line(KEY_FILE.trim()).unwrap();
    let name = ServerName::parse(SERVER_NAME).unwrap();
    for (id, (mxid, address, ts)) in (1..).zip(OWN) {
        let mut signed = json!({
            "medium": "email", "address": address, "mxid": mxid, "ts": ts,
            "not_before": ts, "not_after": NOT_AFTER,
        });
        key.sign(&name, signed.as_object_mut().unwrap()).unwrap();
        let row = format!("'email', '{address}', '{mxid}', {ts}, {ts}, {NOT_AFTER}");
        write!(
            sql,
            "INSERT INTO local_threepid_associations VALUES ({id}, {row});\n\
             INSERT INTO global_threepid_associations VALUES \
             ({id}, {row}, '{SERVER_NAME}', {id}, '{signed}');\n"
        )
        .unwrap();
    }
    if schema > 0 {
        sql += "INSERT INTO local_threepid_associations \
                VALUES (5, 'email', 'gone@example.com', NULL, 1500000009000, NULL, NULL);\n";
    }
    sqlite(file.to_str().unwrap()).batch_execute(&sql).unwrap();
}

async fn is_understood(schema: u8) {
    let sydent = RealSydent::start_on(|file| make(file, schema), |_| ()).await;
    let api = sydent.api();
    for (mxid, address) in [
        ("@first:hs.test", "first@example.com"),
        ("@second:hs.test", "second@example.com"),
        ("@newer:hs.test", "TWICE@example.com"),
    ] {
        let found = api.lookup("email", address).await.ok();
        assert_eq!(found["mxid"], mxid, "{found}");
    }
    let gone: Answer = api.lookup("email", "gone@example.com").await;
    assert_eq!(gone.ok(), json!({}));
}

#[actix_web::test]
async fn a_database_of_schema_0_is_one_that_sydent_knows() {
    is_understood(0).await;
}

#[actix_web::test]
async fn a_database_of_schema_1_is_one_that_sydent_knows() {
    is_understood(1).await;
}
