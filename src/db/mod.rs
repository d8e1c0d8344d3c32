//! Database access: connections, transactions, and the queries, one file per
//! group of tables.
//!
//! SQLite and PostgreSQL are supported equally, and each query is written once
//! over [`Conn`]. All columns are therefore `BigInt`, `Integer` or `Text`, which
//! both databases have; times are milliseconds since the Unix epoch.

pub mod account_admin;
pub mod accounts;
pub mod associations;
mod capacity;
mod connection;
pub mod copy;
pub mod counter_secret;
mod database;
mod database_keys;
pub mod early_statements;
pub mod ephemeral_keys;
pub mod erasures;
pub mod export_source;
pub mod hash_columns;
pub mod ignored_statements;
pub mod import_target;
mod in_use;
mod inspection;
pub mod invites;
pub mod journal;
mod libpq;
mod lock_key;
mod locks;
pub mod log_position;
mod migrations;
mod on_backend;
pub mod outbox;
pub mod own;
pub mod own_associations;
pub mod peers;
pub mod pending_rewrites;
pub mod peppers;
pub mod person;
pub mod private_copy;
mod private_file;
mod redact_credentials;
pub mod replicated;
pub mod retention;
mod rewrite;
pub mod row_counter;
mod schema;
pub mod send_limits;
pub mod server_identity;
pub mod session_key;
pub mod sessions;
pub mod set_aside;
pub mod statements;
pub mod status;
mod store;
pub mod subject_keys;
pub mod sydent;
pub mod unsent;

pub use connection::Conn;
use connection::with_backend;
pub use database::Database;
pub use inspection::Owner;
pub use lock_key::LockKey;
pub use rewrite::Rewriter;
pub use store::Store;

/// Why a database operation failed.
#[derive(Debug, thiserror::Error)]
pub enum DbError {
    /// The connection could not be opened, or the schema could not be migrated.
    #[error("cannot open the database: {0}")]
    Open(String),
    /// The database must not be used as it is: it is another program's, belongs to
    /// another server, or lacks something. Nothing was changed.
    #[error("cannot use {0}")]
    Refused(String),
    /// A query failed.
    #[error("a query failed: {0}")]
    Query(#[from] diesel::result::Error),
    /// The transaction that it was part of was not committed.
    #[error("the transaction was rolled back, with the operations that it was to commit")]
    RolledBack,
    /// A stored value is not valid; the name says what it should be.
    #[error("cannot decode a stored {0}")]
    Corrupt(&'static str),
}

impl DbError {
    /// Whether a standby ended the query because it had to go on replaying changes.
    #[must_use]
    pub fn is_recovery_conflict(&self) -> bool {
        use diesel::result::{DatabaseErrorKind as Kind, Error};
        matches!(
            self,
            Self::Query(Error::DatabaseError(Kind::SerializationFailure, _))
        )
    }

    /// The error with which a standby ends a query that is in the way of changes.
    #[cfg(test)]
    pub(crate) fn recovery_conflict() -> Self {
        use diesel::result::{DatabaseErrorKind as Kind, Error};
        let text = "canceling statement due to conflict with recovery".to_owned();
        Error::DatabaseError(Kind::SerializationFailure, Box::new(text)).into()
    }

    /// Whether the error may come from the connection, so that retrying on a new
    /// one may succeed.
    #[must_use]
    pub fn may_be_connection_failure(&self) -> bool {
        use diesel::result::{DatabaseErrorKind as Kind, Error};
        match self {
            Self::Corrupt(_) | Self::Refused(_) | Self::Query(Error::NotFound) => false,
            Self::Query(Error::DatabaseError(kind, _)) => !matches!(
                kind,
                Kind::UniqueViolation
                    | Kind::ForeignKeyViolation
                    | Kind::NotNullViolation
                    | Kind::CheckViolation
            ),
            Self::Open(_) | Self::Query(_) | Self::RolledBack => true,
        }
    }
}
