//! The secret that the keys of counters are hashed with.

use diesel::prelude::*;

use super::schema::counter_secret::{self, dsl};
use super::{Conn, DbError};
use crate::domain::counter::CounterSecret;

/// The secret of this database, which becomes `fresh` if it has none yet.
pub fn get_or_insert(connection: &mut Conn, fresh: &str) -> Result<CounterSecret, DbError> {
    let stored: Option<String> = dsl::counter_secret
        .select(dsl::secret)
        .first(connection)
        .optional()?;
    let secret = if let Some(secret) = stored {
        secret
    } else {
        diesel::insert_into(counter_secret::table)
            .values(dsl::secret.eq(fresh))
            .execute(connection)?;
        fresh.to_owned()
    };
    CounterSecret::parse(&secret).map_err(|_invalid| DbError::Corrupt("counter secret"))
}
