//! How many connections a `PostgreSQL` server accepts.

use std::time::Duration;

use diesel::prelude::*;
use diesel::sql_types::BigInt;

use super::connection::{Mode, connect};
use super::{Conn, DbError};
use crate::config::DatabaseUrl;

#[derive(QueryableByName)]
struct Accepted {
    #[diesel(sql_type = BigInt)]
    count: i64,
}

/// All those of users without a privilege together; `None` for SQLite.
pub(super) fn max_connections(url: &DatabaseUrl) -> Result<Option<i64>, DbError> {
    if matches!(url, DatabaseUrl::Sqlite(_)) {
        return Ok(None);
    }
    let Conn::Postgres(mut postgres) = connect(url, Mode::Read, Duration::ZERO)? else {
        return Ok(None);
    };
    let accepted: Accepted = diesel::sql_query(
        "SELECT current_setting('max_connections')::bigint \
         - current_setting('superuser_reserved_connections')::bigint AS count",
    )
    .get_result(&mut postgres)?;
    Ok(Some(accepted.count))
}
