//! The secret that the keys of counters are hashed with.

use super::{Conn, DbError, database_keys};
use crate::domain::counter::CounterSecret;

/// The secret of this database, which becomes `fresh` if it has none yet.
pub fn get_or_insert(connection: &mut Conn, fresh: &str) -> Result<CounterSecret, DbError> {
    let secret = database_keys::find_or(connection, "counters", fresh)?;
    CounterSecret::parse(&secret).map_err(|_invalid| DbError::Corrupt(database_keys::CORRUPT))
}
