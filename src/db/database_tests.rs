//! Tests of how SQLite is compiled.

use diesel::RunQueryDsl as _;

use super::*;
use crate::db::peppers;
use crate::domain::lookup::Pepper;

/// Requires `SQLITE_ENABLE_QPSG` (see .cargo/config.toml).
#[test]
fn sqlite_statements_are_not_recompiled() {
    #[derive(diesel::QueryableByName)]
    struct Statement {
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
        .prepare(|connection| peppers::set_current(connection, &pepper, 0))
        .unwrap();
    let mut store = database.reader().unwrap();
    for _ in 0..5 {
        // This query binds its LIMIT, as every `first()` does.
        server_identity::name(&mut store.read()).unwrap();
    }
    let statements: Vec<Statement> =
        diesel::sql_query("SELECT reprep, run FROM sqlite_stmt WHERE sql LIKE '%LIMIT%'")
            .load(&mut *store.read())
            .unwrap();
    let counts: Vec<_> = statements.iter().map(|it| (it.reprep, it.run)).collect();
    assert_eq!(counts.iter().max_by_key(|(_, run)| run), Some(&(0, 5)));
}
