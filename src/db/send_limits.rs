//! How often messages were sent on behalf of somebody or to somebody: counted
//! in the transaction that queues the message, so that it survives a restart
//! and holds across instances.

use diesel::prelude::*;
use serde::{Deserialize, Serialize};

use super::schema::send_limits::dsl;
use super::{Conn, DbError, on_each};
use crate::domain::rate::Rate;

/// What a message took, to be given back if it is never sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Taken {
    /// From whose limit.
    pub counted: String,
    /// How much, ms.
    pub every_ms: i64,
}

/// Counts one more message of `counted`, if that is within `rate`; else answers
/// in how many milliseconds it will be.
///
/// # Errors
/// When the database does not answer.
pub fn take(
    connection: &mut Conn,
    counted: &str,
    rate: Rate,
    now: i64,
) -> Result<Result<Taken, i64>, DbError> {
    let taken = Taken {
        counted: counted.to_owned(),
        every_ms: rate.every_ms,
    };
    let first = now.saturating_add(rate.every_ms);
    let fresh = on_each!(connection, inner => diesel::insert_into(dsl::send_limits)
        .values((dsl::counted.eq(counted), dsl::paid_until.eq(first)))
        .on_conflict_do_nothing()
        .execute(inner))?;
    // Conditions and changes in one statement each, so that transactions of
    // other addresses cannot slip between.
    let row = || dsl::send_limits.find(counted);
    let counted_now = fresh == 1
        || diesel::update(row().filter(dsl::paid_until.le(now)))
            .set(dsl::paid_until.eq(first))
            .execute(connection)?
            == 1
        || diesel::update(
            row().filter(dsl::paid_until.le(rate.horizon(now).saturating_sub(rate.every_ms))),
        )
        .set(dsl::paid_until.eq(dsl::paid_until + rate.every_ms))
        .execute(connection)?
            == 1;
    if counted_now {
        return Ok(Ok(taken));
    }
    let paid_until: Option<i64> = row().select(dsl::paid_until).first(connection).optional()?;
    Ok(Err(rate.wait_ms(paid_until.unwrap_or(now), now)))
}

/// Gives back what a message took that is not sent.
///
/// # Errors
/// When the database does not answer.
pub fn give_back(connection: &mut Conn, taken: &[Taken]) -> Result<(), DbError> {
    for taken in taken {
        diesel::update(dsl::send_limits.find(&taken.counted))
            .set(dsl::paid_until.eq(dsl::paid_until - taken.every_ms))
            .execute(connection)?;
    }
    Ok(())
}

/// Forgets who is far from any limit; answers how many.
///
/// # Errors
/// When the database does not answer.
pub fn purge(connection: &mut Conn, now: i64) -> Result<usize, DbError> {
    Ok(diesel::delete(dsl::send_limits.filter(dsl::paid_until.lt(now))).execute(connection)?)
}
