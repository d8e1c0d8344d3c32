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
pub struct Charge {
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
) -> Result<Result<Charge, i64>, DbError> {
    let paid_until = hold(connection, counted, now)?;
    let horizon = rate.horizon(now);
    let wanted = paid_until.max(now).saturating_add(rate.every_ms);
    let is_within = paid_until <= now || wanted <= horizon;
    // Further ahead than ever counted: the clock was set back, or the rate was
    // changed. Nobody pays for that.
    let counts = if is_within {
        wanted
    } else {
        paid_until.min(horizon)
    };
    if counts != paid_until {
        diesel::update(dsl::send_limits.find(counted))
            .set(dsl::paid_until.eq(counts))
            .execute(connection)?;
    }
    Ok(if is_within {
        Ok(Charge {
            counted: counted.to_owned(),
            every_ms: rate.every_ms,
        })
    } else {
        Err(rate.wait_ms(counts, now))
    })
}

/// Until when `counted` has paid, ms. Its row is there and nobody else's from
/// here to the end of the transaction: an update in its place, although it
/// changes nothing, locks the row that an insertion only finds.
fn hold(connection: &mut Conn, counted: &str, now: i64) -> Result<i64, DbError> {
    on_each!(connection, inner => diesel::insert_into(dsl::send_limits)
        .values((dsl::counted.eq(counted), dsl::paid_until.eq(now)))
        .on_conflict(dsl::counted)
        .do_update()
        .set(dsl::counted.eq(counted))
        .execute(inner))?;
    Ok(dsl::send_limits
        .find(counted)
        .select(dsl::paid_until)
        .first(connection)?)
}

/// Counts a message everywhere or, where one limit is reached, nowhere; then
/// answers in how many milliseconds one more is within all of them.
///
/// # Errors
/// When the database does not answer.
pub fn take_all(
    connection: &mut Conn,
    limits: &[(String, Rate)],
    now: i64,
) -> Result<Result<Vec<Charge>, i64>, DbError> {
    let mut all = Vec::with_capacity(limits.len());
    // Everybody locks in the order of the keys, so that nobody waits in a circle.
    let mut limits: Vec<_> = limits.iter().collect();
    limits.sort_by_key(|(counted, _)| counted);
    for (counted, rate) in limits {
        match take(connection, counted, *rate, now)? {
            Ok(taken) => all.push(taken),
            Err(wait_ms) => {
                give_back(connection, &all)?;
                return Ok(Err(wait_ms));
            }
        }
    }
    Ok(Ok(all))
}

/// Gives back what a message took that is not sent.
///
/// # Errors
/// When the database does not answer.
pub fn give_back(connection: &mut Conn, taken: &[Charge]) -> Result<(), DbError> {
    for taken in taken {
        diesel::update(dsl::send_limits.find(&taken.counted))
            .set(dsl::paid_until.eq(dsl::paid_until - taken.every_ms))
            .execute(connection)?;
    }
    Ok(())
}

/// Forgets up to `limit` of those who are far from any limit, in the order in
/// which everybody locks them; answers whether there may be more.
///
/// # Errors
/// When the database does not answer.
pub fn purge(connection: &mut Conn, now: i64, limit: i64) -> Result<bool, DbError> {
    let mut far: Vec<String> = dsl::send_limits
        .filter(dsl::paid_until.lt(now))
        .limit(limit)
        .select(dsl::counted)
        .load(connection)?;
    // Here, because the database sorts by its own collation.
    far.sort();
    let mut removed = 0;
    for counted in &far {
        let still_far = dsl::send_limits
            .find(counted)
            .filter(dsl::paid_until.lt(now));
        removed += diesel::delete(still_far).execute(connection)?;
    }
    Ok(removed > 0)
}
