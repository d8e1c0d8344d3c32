//! Databases of older Sydent versions. The SQL is our own; the current Sydent, which
//! upgrades them, proves that the columns are right.

use std::fmt::Write as _;
use std::path::Path;

use diesel::connection::SimpleConnection as _;
use serde_json::{Value, json};
use sydent::domain::ids::{KeyId, ServerName};
use sydent::domain::lookup::{Pepper, hash};
use sydent::domain::signing::KeyPair;

use crate::harness::database::sqlite;
use crate::harness::{Answer, KEY_FILE, SERVER_NAME};
use crate::python::{OLD_TERMS, RealSydent};

/// The `notAfter` of all these bindings.
const NOT_AFTER: i64 = 4_652_000_000_000;

/// The pepper of the schemas that have one.
pub const PEPPER: &str = "oldpepper";

/// The access token of `@first:hs.test`, who accepted the terms, in the schemas with
/// accounts.
pub const TOKEN: &str = "OldTokenOldTokenOldToken";

/// The local bindings: the user, the address as it was written and the time. Two
/// addresses differ only in case.
pub const OWN: [(&str, &str, i64); 4] = [
    ("@first:hs.test", "first@example.com", 1_500_000_001_000),
    ("@second:hs.test", "Second@Example.com", 1_500_000_002_000),
    ("@older:hs.test", "Twice@example.com", 1_500_000_003_000),
    ("@newer:hs.test", "twice@example.com", 1_500_000_004_000),
];

/// A binding of another server.
pub const OTHERS: (&str, &str, i64) = ("@carol:hs.test", "carol@example.com", 1_500_000_001_500);

/// Creates a database of schema 0 to 4. In all but schema 0, `gone@example.com` is a
/// tombstone.
pub fn make(file: &Path, schema: u8) {
    make_with(file, schema, &[], "");
}

/// The same with more local bindings, and with SQL that runs after the bindings.
pub fn make_with(file: &Path, schema: u8, more: &[(&str, &str, i64)], more_sql: &str) {
    let mut sql = match schema {
        0 => include_str!("schema_0.sql").to_owned(),
        _ => include_str!("schema_1.sql").to_owned(),
    };
    sql += include_str!("old_others.sql");
    for (id, (mxid, address, ts)) in (1..).zip(OWN.iter().chain(more)) {
        let row = row(address, mxid, *ts);
        let signed = signed(SERVER_NAME, address, mxid, *ts);
        write!(
            sql,
            "INSERT INTO local_threepid_associations VALUES ({id}, {row});\n\
             INSERT INTO global_threepid_associations VALUES \
             ({id}, {row}, '{SERVER_NAME}', {id}, '{signed}');\n"
        )
        .unwrap();
    }
    let (mxid, address, ts) = OTHERS;
    writeln!(
        sql,
        "INSERT INTO global_threepid_associations VALUES (99, {}, 'other.test', 7, '{}');",
        row(address, mxid, ts),
        signed("other.test", address, mxid, ts)
    )
    .unwrap();
    if schema > 0 {
        sql += "INSERT INTO local_threepid_associations \
                (medium, address, ts) VALUES ('email', 'gone@example.com', 1500000009000);\n";
    }
    sql += more_sql;
    for (step, text) in [
        (2, include_str!("schema_2.sql")),
        (3, include_str!("schema_3.sql")),
        (4, include_str!("schema_4.sql")),
    ] {
        if step <= schema {
            sql += text;
        }
    }
    if schema >= 3 {
        let pepper = Pepper::parse(PEPPER).unwrap();
        for (_, address, _) in OWN.iter().chain(more).chain([&OTHERS]) {
            let hash = hash(address, "email", &pepper);
            for table in ["local", "global"] {
                writeln!(
                    sql,
                    "UPDATE {table}_threepid_associations SET lookup_hash = '{hash}' \
                     WHERE address = '{address}';"
                )
                .unwrap();
            }
        }
        writeln!(sql, "INSERT INTO hashing_metadata VALUES (0, '{PEPPER}');").unwrap();
    }
    if schema >= 4 {
        writeln!(
            sql,
            "INSERT INTO accounts VALUES ('@first:hs.test', 1500000000000, '3');\n\
             INSERT INTO tokens VALUES ('{TOKEN}', '@first:hs.test');\n\
             INSERT INTO accepted_terms_urls VALUES ('@first:hs.test', '{OLD_TERMS}');"
        )
        .unwrap();
    }
    sqlite(file.to_str().unwrap()).batch_execute(&sql).unwrap();
}

/// The columns of a binding from medium to notAfter.
pub fn row(address: &str, mxid: &str, ts: i64) -> String {
    format!("'email', '{address}', '{mxid}', {ts}, {ts}, {NOT_AFTER}")
}

/// A binding signed by a server. Each server has its own key.
pub fn signed(server: &str, address: &str, mxid: &str, ts: i64) -> Value {
    let key = if server == SERVER_NAME {
        KeyPair::parse_line(KEY_FILE.trim()).unwrap()
    } else {
        KeyPair::from_seed(KeyId::parse("ed25519:0").unwrap(), &[9; 32])
    };
    let name = ServerName::parse(server).unwrap();
    let mut signed = json!({
        "medium": "email", "address": address, "mxid": mxid, "ts": ts,
        "not_before": ts, "not_after": NOT_AFTER,
    });
    key.sign(&name, signed.as_object_mut().unwrap()).unwrap();
    signed
}

async fn expect_understood(schema: u8) {
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
    let removed: Answer = api.lookup("email", "gone@example.com").await;
    assert_eq!(removed.ok(), json!({}));
}

#[actix_web::test]
async fn sydent_reads_every_older_schema() {
    for schema in 0..=4 {
        expect_understood(schema).await;
    }
}
