//! The numbers that the databases give to new rows. They go on where those of the source
//! ended, even if the last rows were removed: peers know the numbers of changes.

use diesel::prelude::*;
use diesel::sql_types::{BigInt, Text};

use crate::db::{Conn, DbError};

#[derive(QueryableByName)]
struct Last {
    #[diesel(sql_type = BigInt)]
    n: i64,
}

/// The last number that was given to a row of a table; 0 if there was none.
pub(super) fn last(connection: &mut Conn, table: &str) -> Result<i64, DbError> {
    let found: Option<Last> = match connection {
        Conn::Postgres(postgres) => {
            #[derive(QueryableByName)]
            struct Name {
                #[diesel(sql_type = Text)]
                name: String,
            }
            let name: Name = diesel::sql_query("SELECT pg_get_serial_sequence($1, 'id') AS name")
                .bind::<Text, _>(table)
                .get_result(postgres)?;
            let sql = format!(
                "SELECT CASE WHEN is_called THEN last_value ELSE last_value - 1 END AS n FROM {}",
                name.name
            );
            diesel::sql_query(sql).get_result(postgres).optional()?
        }
        Conn::Sqlite(sqlite) => {
            diesel::sql_query("SELECT seq AS n FROM sqlite_sequence WHERE name = ?")
                .bind::<Text, _>(table)
                .get_result(sqlite)
                .optional()?
        }
    };
    Ok(found.map_or(0, |last| last.n))
}
