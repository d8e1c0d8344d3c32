//! The fixed PostgreSQL advisory locks that all instances share. SQLite needs
//! none, because it allows only one write transaction at a time.

use diesel::dsl::sql;
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Bool};

use super::{Conn, DbError};

/// What a lock protects. The number identifies the lock in the database, so it
/// must be the same in every version of the server.
#[derive(Debug, Clone, Copy)]
#[repr(i64)]
pub(super) enum Lock {
    /// Migrations, and the rows that every database must have.
    Schema = 5_290_470_051,
    /// Which pepper is current. Transactions that store a hash share it, so that
    /// they do not block each other; a rotation takes it exclusively, so that no
    /// hash of the old pepper is stored after the table was rehashed.
    Pepper = 5_290_470_052,
    /// The order of the journal: ids become visible in ascending order.
    Journal = 5_290_470_053,
    /// Every connection of a server or command shares it as long as it is open. An
    /// import takes it exclusively, so that it replaces no data that is in use.
    InUse = 5_290_470_054,
}

impl Lock {
    /// Waits for the lock and holds it exclusively until the transaction ends.
    pub(super) fn lock_exclusive(self, connection: &mut Conn) -> Result<(), DbError> {
        self.execute(connection, "SELECT pg_advisory_xact_lock($1)")
    }

    /// Waits for the lock and shares it until the transaction ends. A transaction
    /// that holds it shared must not take it exclusively: two that did would
    /// deadlock.
    pub(super) fn lock_shared(self, connection: &mut Conn) -> Result<(), DbError> {
        self.execute(connection, "SELECT pg_advisory_xact_lock_shared($1)")
    }

    /// Waits for the lock and holds it exclusively until the connection closes,
    /// across several transactions.
    pub(super) fn lock_for_session(self, connection: &mut Conn) -> Result<(), DbError> {
        self.execute(connection, "SELECT pg_advisory_lock($1)")
    }

    /// Shares the lock until the connection closes.
    ///
    /// # Errors
    /// When another connection holds it exclusively for longer than `lock_timeout`.
    pub(super) fn share_for_session(self, postgres: &mut PgConnection) -> QueryResult<()> {
        diesel::sql_query("SELECT pg_advisory_lock_shared($1)")
            .bind::<BigInt, _>(self as i64)
            .execute(postgres)?;
        Ok(())
    }

    /// Takes the lock exclusively until the connection closes, unless another one
    /// has it. Returns whether it was taken.
    pub(super) fn try_lock_for_session(self, postgres: &mut PgConnection) -> QueryResult<bool> {
        diesel::select(
            sql::<Bool>("pg_try_advisory_lock(")
                .bind::<BigInt, _>(self as i64)
                .sql(")"),
        )
        .get_result(postgres)
    }

    fn execute(self, connection: &mut Conn, statement: &str) -> Result<(), DbError> {
        if let Conn::Postgres(postgres) = connection {
            diesel::sql_query(statement)
                .bind::<BigInt, _>(self as i64)
                .execute(postgres)?;
        }
        Ok(())
    }
}
