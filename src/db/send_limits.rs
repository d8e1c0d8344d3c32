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

/// More than purges can come between one message and its limit.
const TRIES: u32 = 10;

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
    // A purge may remove the row between the insertion that finds it and the
    // updates that do not, and somebody else insert it again: then it is the
    // next try's.
    for _try in 0..TRIES {
        if count_one(connection, counted, rate, now)? {
            return Ok(Ok(taken));
        }
        let row = dsl::send_limits.find(counted);
        let paid_until: Option<i64> = row.select(dsl::paid_until).first(connection).optional()?;
        let Some(paid_until) = paid_until else {
            continue;
        };
        // Further ahead than ever counted: the clock was set back, or the rate
        // was changed. Nobody pays for that.
        let horizon = rate.horizon(now);
        if paid_until.saturating_add(rate.every_ms) <= horizon {
            continue;
        }
        if paid_until > horizon {
            diesel::update(row)
                .set(dsl::paid_until.eq(horizon))
                .execute(connection)?;
        }
        return Ok(Err(rate.wait_ms(paid_until.min(horizon), now)));
    }
    Ok(Err(rate.every_ms))
}

/// Whether one more was within the rate, and is counted now.
fn count_one(connection: &mut Conn, counted: &str, rate: Rate, now: i64) -> Result<bool, DbError> {
    let first = now.saturating_add(rate.every_ms);
    let fresh = on_each!(connection, inner => diesel::insert_into(dsl::send_limits)
        .values((dsl::counted.eq(counted), dsl::paid_until.eq(first)))
        .on_conflict_do_nothing()
        .execute(inner))?;
    // Conditions and changes in one statement each, so that transactions of
    // other addresses cannot slip between.
    let row = || dsl::send_limits.find(counted);
    Ok(fresh == 1
        || diesel::update(row().filter(dsl::paid_until.le(now)))
            .set(dsl::paid_until.eq(first))
            .execute(connection)?
            == 1
        || diesel::update(
            row().filter(dsl::paid_until.le(rate.horizon(now).saturating_sub(rate.every_ms))),
        )
        .set(dsl::paid_until.eq(dsl::paid_until + rate.every_ms))
        .execute(connection)?
            == 1)
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
) -> Result<Result<Vec<Taken>, i64>, DbError> {
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
pub fn give_back(connection: &mut Conn, taken: &[Taken]) -> Result<(), DbError> {
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
