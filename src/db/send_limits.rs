//! Limits on how often messages are sent to an address or on behalf of a user, on binds,
//! registrations and signed unbinds, and on how many addresses are looked up. A message or
//! a bind is charged in the transaction that stores it, so that the limits hold across
//! restarts and across instances.
//!
//! Each limit is a row with the time up to which it is used (GCRA, see
//! [`Rate`]): a message moves that time ahead, and is not sent if it would move
//! it beyond the horizon of the rate. The keys are keyed hashes
//! ([`CounterSecret`](crate::domain::counter::CounterSecret)).
//!
//! The rows are locked in the order of their keys, after the locks of
//! [`LockKey`](super::LockKey) and the shared lock of the peppers, and before any other row
//! that somebody else may lock. Refunds come last: after the row of the message, which
//! nobody locks who has locked a counter of a recipient.
//!
//! On PostgreSQL the time is that of the database (see
//! [`shared_present`](crate::domain::rate::shared_present)).

mod batch;

use std::collections::{BTreeMap, HashMap};

use diesel::prelude::*;
use serde::{Deserialize, Serialize};

use super::on_backend::OnBackend as _;
use super::schema::send_limits::dsl;
use super::{Conn, DbError};
use crate::domain::counter::{Limit, Payer, Refusal};
use crate::domain::rate::{CLOCK_SKEW_MS, Charged, Rate};

/// What a message was charged. Stored as JSON with the queued message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Charge {
    /// The key of the limit.
    pub counted: String,
    /// How far the limit was moved ahead, ms.
    pub every_ms: i64,
    /// Whether it stays charged if the message is never sent.
    #[serde(default)]
    pub is_final: bool,
}

/// By key, the times up to which counters are used, ms.
type Counters = HashMap<String, i64>;

/// Charges all the limits with one message or, if one of them is reached, none, and then
/// returns the limit that is reached for the longest time.
///
/// A refusal writes nothing, so that a client beyond its limit costs others no time. There
/// are two exceptions: a counter that is to be brought back (see [`Rate::corrected`]), and
/// a request that others have overtaken since it read the counters, of which there are no
/// more than writers. On PostgreSQL it has rewritten the rows, unchanged, to lock them.
pub fn charge_all(
    connection: &mut Conn,
    limits: &[Limit],
    own_now: i64,
) -> Result<Result<Vec<Charge>, Refusal>, DbError> {
    if limits.is_empty() {
        return Ok(Ok(Vec::new()));
    }
    let mut limits: Vec<_> = limits.iter().collect();
    let (seen, now) = batch::read(connection, &limits, own_now)?;
    let refusal = reached(&limits, &seen, now);
    if let Some(refusal) = refusal
        && corrections(&limits, &seen, now).is_empty()
    {
        return Ok(Err(refusal));
    }
    // All transactions lock the rows in the order of the keys, to avoid deadlocks.
    limits.sort_by_key(|limit| &limit.counted);
    limits.dedup_by_key(|limit| &limit.counted);
    let (locked, now) = batch::lock(connection, &limits, seen, own_now)?;
    if let Some(refusal) = reached(&limits, &locked, now) {
        // All at once, or a clock that was set back would block for each of them.
        batch::write(connection, &corrections(&limits, &locked, now))?;
        return Ok(Err(refusal));
    }
    let moved: Vec<_> = limits
        .iter()
        .filter_map(|limit| match charged(limit, &locked, now) {
            Charged::Within(next) => Some((limit.counted.as_str(), next)),
            Charged::Reached(_) => None,
        })
        .collect();
    batch::write(connection, &moved)?;
    let charges = limits.into_iter().map(|limit| Charge {
        counted: limit.counted.clone(),
        every_ms: limit.rate.every_ms,
        is_final: limit.payer == Payer::Sender,
    });
    Ok(Ok(charges.collect()))
}

/// What a message does to the counter of a limit.
fn charged(limit: &Limit, counters: &Counters, now: i64) -> Charged {
    let start = limit.start(now);
    let paid_until = counters.get(&limit.counted).copied().unwrap_or(start);
    let paid_until = limit.rate.corrected(paid_until, start);
    limit.rate.charge(paid_until, start)
}

/// The limit that is reached for the longest time.
fn reached(limits: &[&Limit], counters: &Counters, now: i64) -> Option<Refusal> {
    let refusals = limits
        .iter()
        .filter_map(|limit| match charged(limit, counters, now) {
            Charged::Within(_) => None,
            Charged::Reached(wait_ms) => Some(limit.refusal(wait_ms, now)),
        });
    // The first of those with the same time.
    refusals.rev().max_by_key(|refusal| refusal.wait_ms)
}

/// The counters that are to be brought back.
fn corrections<'a>(limits: &[&'a Limit], counters: &Counters, now: i64) -> Vec<(&'a str, i64)> {
    let changed = limits.iter().filter_map(|limit| {
        let paid_until = *counters.get(&limit.counted)?;
        let corrected = limit.rate.corrected(paid_until, limit.start(now));
        (corrected != paid_until).then_some((limit.counted.as_str(), corrected))
    });
    changed.collect()
}

/// How many messages a limit with a period has counted in it.
pub fn used(connection: &mut Conn, limit: &Limit) -> Result<u32, DbError> {
    let paid_until: Option<i64> = dsl::send_limits
        .find(&limit.counted)
        .select(dsl::paid_until)
        .first_on(connection)
        .optional()?;
    let start = limit.period_end.unwrap_or_default();
    let used = paid_until.map_or(0, |paid_until| paid_until.saturating_sub(start).max(0));
    Ok(u32::try_from(used).unwrap_or(u32::MAX))
}

/// Refunds the recipients' shares of messages that are not sent. The senders pay also
/// then. Those of one transaction are refunded together, in the order of their keys.
pub fn refund_recipients(connection: &mut Conn, charges: &[Charge]) -> Result<(), DbError> {
    for (counted, paid_ms) in refunds(charges) {
        diesel::update(dsl::send_limits.find(counted))
            .set(dsl::paid_until.eq(dsl::paid_until - paid_ms))
            .execute_on(connection)?;
    }
    Ok(())
}

/// How much each counter gets back, in the order in which they are locked.
fn refunds(charges: &[Charge]) -> BTreeMap<&str, i64> {
    let mut refunds = BTreeMap::new();
    for charge in charges.iter().filter(|charge| !charge.is_final) {
        *refunds.entry(charge.counted.as_str()).or_default() += charge.every_ms;
    }
    refunds
}

/// A wish for a part of a limit, to use it up without another query.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lease {
    /// The key of the limit.
    pub counted: String,
    /// The limit.
    pub rate: Rate,
    /// What was used already without a lease. It is charged in any case.
    pub owed: u32,
    /// What is needed.
    pub at_least: u32,
    /// What is taken if there is as much.
    pub at_most: u32,
}

/// What a wish would move a row to.
struct Granted {
    events: u32,
    paid_until: i64,
}

/// Why leases are refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LeaseRefused {
    /// The first wish that cannot be fulfilled, counted from 0.
    pub index: usize,
    /// In how many milliseconds it can.
    pub wait_ms: i64,
}

/// Takes all the leases or, if one of the limits is reached, none. Returns the events
/// of each.
pub fn lease(
    connection: &mut Conn,
    leases: &[Lease],
    own_now: i64,
) -> Result<Result<Vec<u32>, LeaseRefused>, DbError> {
    let mut sorted: Vec<(usize, &Lease)> = leases.iter().enumerate().collect();
    // As in `charge_all`.
    sorted.sort_by_key(|(_, lease)| &lease.counted);
    let (mut granted, mut refused) = (Vec::with_capacity(leases.len()), None);
    for (index, lease) in sorted {
        let (paid_until, now) = batch::lock_one(connection, &lease.counted, own_now)?;
        let (owing, wish) = lease.decide(paid_until, now);
        if owing != paid_until {
            batch::write(connection, &[(&lease.counted, owing)])?;
        }
        match wish {
            Ok(wish) => granted.push((index, &lease.counted, wish)),
            Err(wait_ms) => {
                refused.get_or_insert(LeaseRefused { index, wait_ms });
            }
        }
    }
    if let Some(refused) = refused {
        return Ok(Err(refused));
    }
    for (_, counted, wish) in &granted {
        batch::write(connection, &[(counted, wish.paid_until)])?;
    }
    granted.sort_by_key(|(index, ..)| *index);
    let events = granted.into_iter().map(|(.., wish)| wish.events);
    Ok(Ok(events.collect()))
}

impl Lease {
    /// The row with what is owed, and what comes of the wish; or in how many
    /// milliseconds it can be fulfilled.
    fn decide(&self, paid_until: i64, now: i64) -> (i64, Result<Granted, i64>) {
        let Self { rate, owed, .. } = *self;
        let start = rate.corrected(paid_until, now);
        let owing = match owed {
            0 => start,
            _ => start.max(now).saturating_add(rate.time_for(owed)),
        };
        let available = rate.available(owing, now);
        if available < self.at_least {
            return (owing, Err(rate.wait_for_ms(self.at_least, owing, now)));
        }
        let events = self.at_most.min(available).max(self.at_least);
        let paid_until = owing.max(now).saturating_add(rate.time_for(events));
        (owing, Ok(Granted { events, paid_until }))
    }
}

/// Deletes up to `limit` rows that no instance uses at `now`, which is the same as a
/// row that does not exist. Locks them in the order in which [`charge_all`] does.
/// Returns whether there may be more.
pub fn purge(connection: &mut Conn, now: i64, limit: i64) -> Result<bool, DbError> {
    let now = now.saturating_sub(CLOCK_SKEW_MS);
    let mut unused: Vec<String> = dsl::send_limits
        .filter(dsl::paid_until.lt(now))
        .limit(limit)
        .select(dsl::counted)
        .load_on(connection)?;
    // Sorted here, because the database would use its own collation.
    unused.sort();
    let mut removed = 0;
    for counted in &unused {
        let still_unused = dsl::send_limits
            .find(counted)
            .filter(dsl::paid_until.lt(now));
        removed += diesel::delete(still_unused).execute_on(connection)?;
    }
    Ok(removed > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const RATE: Rate = Rate {
        burst: 10,
        every_ms: 100,
    };

    fn wish(owed: u32, at_least: u32, at_most: u32) -> Lease {
        Lease {
            counted: "a".to_owned(),
            rate: RATE,
            owed,
            at_least,
            at_most,
        }
    }

    fn decide(lease: &Lease, paid_until: i64) -> (i64, Result<u32, i64>) {
        let (owing, wish) = lease.decide(paid_until, 1000);
        let wish = wish.map(|wish| {
            assert_eq!(
                wish.paid_until,
                owing.max(1000) + 100 * i64::from(wish.events)
            );
            wish.events
        });
        (owing, wish)
    }

    #[test]
    fn lease_takes_what_there_is() {
        assert_eq!(decide(&wish(0, 1, 4), 0), (0, Ok(4)));
        assert_eq!(decide(&wish(0, 1, 4), 1800), (1800, Ok(2)));
        assert_eq!(decide(&wish(0, 3, 4), 1800), (1800, Err(100)));
        // The clock was set back.
        assert_eq!(decide(&wish(0, 1, 4), 9000), (2000, Err(100)));
    }

    #[test]
    fn refunds_are_in_the_order_of_the_locks() {
        let charge = |counted: &str, is_final| Charge {
            counted: counted.to_owned(),
            every_ms: 100,
            is_final,
        };
        let of_two = [
            ("to a", false),
            ("total", false),
            ("by c", true),
            ("to b", false),
            ("total", false),
        ];
        let charges = of_two.map(|(counted, is_final)| charge(counted, is_final));
        let refunds: Vec<_> = refunds(&charges).into_iter().collect();
        assert_eq!(refunds, [("to a", 100), ("to b", 100), ("total", 200)]);
    }

    #[test]
    fn what_is_owed_is_charged_in_any_case() {
        assert_eq!(decide(&wish(3, 1, 4), 0), (1300, Ok(4)));
        assert_eq!(decide(&wish(12, 1, 4), 1800), (3000, Err(1100)));
    }
}
