//! The advisory locks that all instances on one PostgreSQL share. SQLite lets
//! one transaction write at a time anyway.

use diesel::prelude::*;
use diesel::sql_types::BigInt;

use super::{Conn, DbError};

/// What a lock stands for, by its number in the database.
#[derive(Debug, Clone, Copy)]
#[repr(i64)]
pub(super) enum Lock {
    /// The schema, and what a fresh database must have.
    Schema = 5_290_470_051,
    /// Which pepper is the current one.
    Pepper = 5_290_470_052,
    /// The order of the journal.
    Journal = 5_290_470_053,
}

impl Lock {
    /// Waits for the lock, and holds it alone until the transaction ends.
    pub(super) fn take(self, connection: &mut Conn) -> Result<(), DbError> {
        self.ask(connection, "SELECT pg_advisory_xact_lock($1)")
    }

    /// Waits for the lock, and shares it with others until the transaction ends.
    /// Whoever shares it must not take it: two who did would wait for each other.
    pub(super) fn share(self, connection: &mut Conn) -> Result<(), DbError> {
        self.ask(connection, "SELECT pg_advisory_xact_lock_shared($1)")
    }

    /// Waits for the lock, and holds it alone until the connection ends.
    pub(super) fn keep(self, connection: &mut Conn) -> Result<(), DbError> {
        self.ask(connection, "SELECT pg_advisory_lock($1)")
    }

    fn ask(self, connection: &mut Conn, statement: &str) -> Result<(), DbError> {
        if let Conn::Postgres(postgres) = connection {
            diesel::sql_query(statement)
                .bind::<BigInt, _>(self as i64)
                .execute(postgres)?;
        }
        Ok(())
    }
}
