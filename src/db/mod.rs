//! The database: how to open it, and the queries, a file per group of tables.
//!
//! SQLite and PostgreSQL are of equal rank; queries are written once over
//! [`Conn`]. Columns are `BigInt`, `Integer` and `Text` only, times are
//! milliseconds since the epoch.

pub mod accounts;
pub mod associations;
mod connection;
pub mod ephemeral_keys;
pub mod import_target;
pub mod invites;
pub mod journal;
mod locks;
pub mod outbox;
pub mod peers;
pub mod peppers;
pub mod private_copy;
pub mod replicated;
mod schema;
pub mod send_limits;
pub mod sessions;
mod store;
pub mod sydent;
mod without_login;

pub use connection::Conn;
use connection::on_each;
pub use store::{Database, LockKey, Store};

/// Why the database could not answer.
#[derive(Debug, thiserror::Error)]
pub enum DbError {
    /// No connection could be had, or the schema could not be brought up to
    /// date.
    #[error("cannot open the database: {0}")]
    Open(String),
    /// A query failed.
    #[error("a query failed: {0}")]
    Query(#[from] diesel::result::Error),
    /// A row does not read as what it should be.
    #[error("a stored value of {0} does not read as one")]
    Corrupt(&'static str),
}

impl DbError {
    /// Whether the connection may be the cause, so that a new one may help.
    #[must_use]
    pub fn may_be_the_connection(&self) -> bool {
        use diesel::result::{DatabaseErrorKind as Kind, Error};
        match self {
            Self::Corrupt(_) | Self::Query(Error::NotFound) => false,
            Self::Query(Error::DatabaseError(kind, _)) => !matches!(
                kind,
                Kind::UniqueViolation
                    | Kind::ForeignKeyViolation
                    | Kind::NotNullViolation
                    | Kind::CheckViolation
            ),
            Self::Open(_) | Self::Query(_) => true,
        }
    }
}
