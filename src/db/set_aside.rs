//! Indexes that are set aside while many rows are inserted.

use diesel::connection::SimpleConnection as _;
use diesel::prelude::*;
use diesel::sql_types::Text;

use super::{Conn, DbError};

/// Indexes of an SQLite database that were dropped, and are created again by
/// [`restore`](Self::restore) in the same transaction. To sort all rows once takes a fraction
/// of the time of inserting each at its place.
#[must_use]
pub struct SetAside(Vec<String>);

#[derive(QueryableByName)]
struct Index {
    #[diesel(sql_type = Text)]
    name: String,
    #[diesel(sql_type = Text)]
    sql: String,
}

impl SetAside {
    /// Drops the indexes that no constraint needs. On PostgreSQL, none: other connections would
    /// wait for the whole transaction.
    pub fn begin(connection: &mut Conn) -> Result<Self, DbError> {
        let Conn::Sqlite(sqlite) = connection else {
            return Ok(Self(Vec::new()));
        };
        let indexes: Vec<Index> = diesel::sql_query(
            "SELECT name, sql FROM sqlite_master \
             WHERE type = 'index' AND sql IS NOT NULL AND sql NOT LIKE 'CREATE UNIQUE %'",
        )
        .load(sqlite)?;
        for index in &indexes {
            sqlite.batch_execute(&format!("DROP INDEX \"{}\"", index.name))?;
        }
        Ok(Self(indexes.into_iter().map(|index| index.sql).collect()))
    }

    /// Creates them again.
    pub fn restore(self, connection: &mut Conn) -> Result<(), DbError> {
        for index in self.0 {
            connection.batch_execute(&index)?;
        }
        Ok(())
    }
}
