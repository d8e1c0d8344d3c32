//! Tests of how SQLite is compiled.

use diesel::RunQueryDsl as _;

use super::*;
use crate::db::hash_columns::HashSlot;
use crate::db::{account_admin, accounts, associations, peppers};
use crate::domain::ids::Mxid;
use crate::domain::lookup::Pepper;
use crate::domain::threepid::{Medium, ThreePid};

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
            let found = associations::find_by_hashes(connection, HashSlot::First, hashes, 0);
            assert!(found.unwrap().is_empty());
        }
        let addresses = ["alice@example.org"; 100];
        let found = associations::find_mxids(connection, Medium::Email, &addresses, 0);
        assert!(found.unwrap().is_empty());
    }
    let statements: Vec<Statement> =
        diesel::sql_query("SELECT reprep, run FROM sqlite_stmt WHERE sql NOT LIKE '%sqlite_stmt%'")
            .load(connection)
            .unwrap();
    let counts: Vec<_> = statements.iter().map(|it| (it.reprep, it.run)).collect();
    assert_eq!(counts, [(0, 5); 10]);
}
