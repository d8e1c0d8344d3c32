//! The name of the server that a database belongs to.

use diesel::prelude::*;

use super::schema::server_identity::{self, dsl};
use super::{Conn, DbError};
use crate::domain::ids::ServerName;

/// The stored name; `None` in a database that no server has started on.
pub fn name(connection: &mut Conn) -> Result<Option<String>, DbError> {
    Ok(dsl::server_identity
        .select(dsl::name)
        .first(connection)
        .optional()?)
}

/// Stores the name, instead of another one.
pub fn set_name(connection: &mut Conn, name: &ServerName) -> Result<(), DbError> {
    diesel::delete(dsl::server_identity).execute(connection)?;
    diesel::insert_into(server_identity::table)
        .values(dsl::name.eq(name.as_str()))
        .execute(connection)?;
    Ok(())
}
