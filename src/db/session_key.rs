//! The key that client secrets and tokens of sessions are hashed with.

use super::{Conn, DbError, database_keys};
use crate::domain::session_secrets::HashKey;

/// The key of this database, which becomes `fresh` if it has none yet.
pub fn get_or_insert(connection: &mut Conn, fresh: &HashKey) -> Result<HashKey, DbError> {
    let key = database_keys::find_or(connection, "session_secrets", &fresh.to_base64())?;
    HashKey::parse(&key).map_err(|_invalid| DbError::Corrupt(database_keys::CORRUPT))
}
