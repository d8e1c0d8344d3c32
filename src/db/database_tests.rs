//! Tests of how SQLite is compiled, and of what it does for lookups.

use std::collections::BTreeSet;

use diesel::RunQueryDsl as _;

use super::*;
use crate::db::hash_columns::{HashColumns, HashSlot};
use crate::db::{account_admin, accounts, associations, peppers};
use crate::domain::association::Association;
use crate::domain::ids::{Mxid, ServerName};
use crate::domain::lookup::Pepper;
use crate::domain::threepid::{Medium, ThreePid};

/// Requires `SQLITE_ENABLE_QPSG` (see .cargo/config.toml).
#[test]
fn sqlite_statements_are_not_recompiled() {
    #[derive(diesel::QueryableByName)]
    struct Statement {
        #[diesel(sql_type = diesel::sql_types::Text)]
        sql: String,
        #[diesel(sql_type = diesel::sql_types::Integer)]
        reprep: i32,
        #[diesel(sql_type = diesel::sql_types::Integer)]
        run: i32,
    }
    let folder = tempfile::tempdir().unwrap();
    let url = DatabaseUrl::Sqlite(folder.path().join("a.db"));
    let database = Database::new(url, Duration::ZERO);
    let pepper = Pepper::parse("pepper").unwrap();
    database
        .prepare(|connection| {
            bind_with_other_form(connection);
            peppers::set_current(connection, &pepper, 0)
        })
        .unwrap();
    let mut store = database.reader().unwrap();
    let connection = &mut *store.read();
    let user = Mxid::parse("@alice:example.org").unwrap();
    let threepid = ThreePid::parse("email", "alice@example.org").unwrap();
    for _ in 0..5 {
        // This query binds its LIMIT, as every `first()` does.
        server_identity::name(connection).unwrap();
        assert!(accounts::find_user(connection, "token").unwrap().is_none());
        assert!(!account_admin::is_blocked(connection, &user).unwrap());
        assert!(peppers::answered(connection, 0).unwrap().is_some());
        let signed = associations::find_signed(connection, &threepid, 0);
        assert_eq!(signed.unwrap(), None);
        for hashes in [&["hash"][..], &["hash"; 100]] {
            for slot in [HashSlot::First, HashSlot::Second] {
                let found = associations::find_by_hashes(connection, slot, hashes, 0);
                assert!(found.unwrap().is_empty());
            }
        }
        let addresses = ["alice@example.org"; 100];
        let found = associations::find_mxids(connection, Medium::Email, &addresses, 0);
        assert!(found.unwrap().is_empty());
    }
    let query =
        "SELECT sql, reprep, run FROM sqlite_stmt WHERE sql NOT LIKE '%sqlite_stmt%' ORDER BY sql";
    let statements: Vec<Statement> = diesel::sql_query(query).load(connection).unwrap();
    for statement in &statements {
        assert_eq!(
            (statement.reprep, statement.run),
            (0, 5),
            "{}",
            statement.sql
        );
    }
    assert_eq!(statements.len(), 14);
    let of_hashes = statements.iter().filter(|it| it.sql.contains("_hash"));
    let mut found_by = BTreeSet::new();
    for statement in of_hashes {
        for step in plan(connection, &statement.sql) {
            if let Some((how, index)) = step.split_once(" associations USING ") {
                let name = index.trim_start_matches("COVERING ");
                let is_any = statement.sql.contains("EXISTS (SELECT 1 FROM associations");
                assert_eq!(how, if is_any { "SCAN" } else { "SEARCH" }, "{step}");
                found_by.insert(name.split([' ', '(']).nth(1).unwrap().to_owned());
            } else {
                assert!(!step.contains(" associations"), "{}: {step}", statement.sql);
            }
        }
    }
    let starts = ["lookup_hash", "other_hash", "second_hash", "second_other"];
    let indexes = starts.map(|start| format!("associations_{start}_start"));
    assert_eq!(found_by, BTreeSet::from(indexes));
}

/// Binds an address that people also type in another form.
fn bind_with_other_form(connection: &mut Conn) {
    let threepid = ThreePid::parse("email", "x@b\u{fc}cher.example").unwrap();
    let user = Mxid::parse("@x:example.org").unwrap();
    let association = Association::new(threepid, user, 0);
    let hash = || Some("x".to_owned());
    let hashes = HashColumns {
        lookup_hash: "x".to_owned(),
        other_hash: hash(),
        second_hash: hash(),
        second_other_hash: hash(),
        other_form: hash(),
    };
    let origin = ServerName::parse("id.example.org").unwrap();
    associations::replace(connection, &association, &origin, 0, 0, &hashes, "{}").unwrap();
}

/// How SQLite runs a statement.
fn plan(connection: &mut Conn, sql: &str) -> Vec<String> {
    #[derive(diesel::QueryableByName)]
    struct Step {
        #[diesel(sql_type = diesel::sql_types::Text)]
        detail: String,
    }
    let query = diesel::sql_query(format!("EXPLAIN QUERY PLAN {sql}"));
    let steps: Vec<Step> = query.load(connection).unwrap();
    steps.into_iter().map(|step| step.detail).collect()
}
