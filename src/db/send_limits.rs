//! Limits on how often messages are sent to an address or on behalf of a user. A
//! message is charged in the transaction that queues it, so that the limits hold
//! across restarts and across instances.
//!
//! Each limit is a row with the time up to which it is used (GCRA, see
//! [`Rate`]): a message moves that time ahead, and is not sent if it would move
//! it beyond the horizon of the rate.

use diesel::prelude::*;
use serde::{Deserialize, Serialize};

use super::schema::send_limits::dsl;
use super::{Conn, DbError, with_backend};
use crate::domain::rate::Rate;

/// What a message was charged, which is refunded if it is never sent. Stored as
/// JSON with the queued message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Charge {
    /// The key of the limit.
    pub counted: String,
    /// How far the limit was moved ahead, ms.
    pub every_ms: i64,
}

/// Charges the limit `counted` with one message if `rate` allows it. Otherwise
/// returns in how many milliseconds it will.
pub fn charge(
    connection: &mut Conn,
    counted: &str,
    rate: Rate,
    now: i64,
) -> Result<Result<Charge, i64>, DbError> {
    let paid_until = lock_row(connection, counted, now)?;
    let horizon = rate.horizon(now);
    let wanted = paid_until.max(now).saturating_add(rate.every_ms);
    let is_within = paid_until <= now || wanted <= horizon;
    // A time beyond the horizon means that the clock was set back or the rate was
    // changed; it is reduced, so that senders are not blocked because of that.
    let new_paid_until = if is_within {
        wanted
    } else {
        paid_until.min(horizon)
    };
    if new_paid_until != paid_until {
        diesel::update(dsl::send_limits.find(counted))
            .set(dsl::paid_until.eq(new_paid_until))
            .execute(connection)?;
    }
    Ok(if is_within {
        Ok(Charge {
            counted: counted.to_owned(),
            every_ms: rate.every_ms,
        })
    } else {
        Err(rate.wait_ms(new_paid_until, now))
    })
}

/// The time up to which `counted` is used, ms. Creates the row if it is missing,
/// and locks it until the transaction ends: on a conflict the update, although it
/// changes nothing, takes the row lock that `DO NOTHING` would not take.
fn lock_row(connection: &mut Conn, counted: &str, now: i64) -> Result<i64, DbError> {
    with_backend!(connection, inner => diesel::insert_into(dsl::send_limits)
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

/// Charges all the limits with one message or, if one of them is reached, none.
/// Then returns in how many milliseconds that limit allows another message.
pub fn charge_all(
    connection: &mut Conn,
    limits: &[(String, Rate)],
    now: i64,
) -> Result<Result<Vec<Charge>, i64>, DbError> {
    let mut charges = Vec::with_capacity(limits.len());
    // All transactions lock the rows in the order of the keys, to avoid deadlocks.
    let mut limits: Vec<_> = limits.iter().collect();
    limits.sort_by_key(|(counted, _)| counted);
    for (counted, rate) in limits {
        match charge(connection, counted, *rate, now)? {
            Ok(charge) => charges.push(charge),
            Err(wait_ms) => {
                refund(connection, &charges)?;
                return Ok(Err(wait_ms));
            }
        }
    }
    Ok(Ok(charges))
}

/// Refunds the charges of a message that is not sent.
pub fn refund(connection: &mut Conn, charges: &[Charge]) -> Result<(), DbError> {
    for charge in charges {
        diesel::update(dsl::send_limits.find(&charge.counted))
            .set(dsl::paid_until.eq(dsl::paid_until - charge.every_ms))
            .execute(connection)?;
    }
    Ok(())
}

/// Deletes up to `limit` rows that are not used at `now`, which is the same as a
/// row that does not exist. Locks them in the order in which [`charge_all`] does.
/// Returns whether there may be more.
pub fn purge(connection: &mut Conn, now: i64, limit: i64) -> Result<bool, DbError> {
    let mut unused: Vec<String> = dsl::send_limits
        .filter(dsl::paid_until.lt(now))
        .limit(limit)
        .select(dsl::counted)
        .load(connection)?;
    // Sorted here, because the database would use its own collation.
    unused.sort();
    let mut removed = 0;
    for counted in &unused {
        let still_unused = dsl::send_limits
            .find(counted)
            .filter(dsl::paid_until.lt(now));
        removed += diesel::delete(still_unused).execute(connection)?;
    }
    Ok(removed > 0)
}
