//! The newest change of each address, and what follows from it.

use std::collections::hash_map::{DefaultHasher, Entry};
use std::collections::{BTreeSet, HashMap};
use std::hash::{Hash as _, Hasher as _};

use crate::db::DbError;
use crate::db::sydent::{Query, Record, Sydent};
use crate::domain::association::Association;
use crate::domain::ids::Mxid;
use crate::domain::threepid::ThreePid;

pub(super) const LOCAL: &str = "local_threepid_associations";
pub(super) const GLOBAL: &str = "global_threepid_associations";

/// What the documented rules make of all that the database says of an address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Expected {
    /// It is bound so.
    Bound(Association),
    /// Its binding was removed, and nothing newer is known.
    Removed,
    /// What it is bound to, or itself, is malformed.
    LeftBehind,
    /// It never was bound, or no longer holds.
    Nobody,
}

/// By its time, then by its number; Sydent's own word counts more than what it
/// states.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Change {
    ts: i64,
    is_local: bool,
    id: i64,
    is_bound: bool,
}

/// So many numbers are read at once: whoever writes waits no longer than for
/// these.
const IDS: i64 = 20_000;

type Newest = HashMap<u64, Change>;

/// Some 60 bytes an address.
pub(super) struct Changes {
    own: Newest,
    foreign: Newest,
}

impl Changes {
    /// Reads what a server changed that signs under those names.
    pub(super) fn read(sydent: &mut Sydent, names: &BTreeSet<&str>) -> Result<Self, DbError> {
        let (mut own, mut foreign) = (Newest::new(), Newest::new());
        for (table, origin) in [(LOCAL, "NULL"), (GLOBAL, "originServer")] {
            let last = sydent.greatest(table, "id")?;
            let mut from = 0;
            while from <= last {
                let to = from + IDS;
                let rest = format!("WHERE t.id >= {from} AND t.id < {to}");
                let query = Query {
                    table,
                    id: "id",
                    texts: &["medium", "address", "mxid", origin],
                    numbers: &["ts", "notAfter"],
                    rest: &rest,
                };
                sydent.each(&query, |rows| {
                    for row in &rows {
                        let [.., origin, _] = row.texts();
                        let is_own = origin.is_none_or(|origin| names.contains(origin));
                        let newest = if is_own { &mut own } else { &mut foreign };
                        if let Some((threepid, change)) = change(row, table == LOCAL) {
                            note(newest, &threepid, change);
                        }
                    }
                    Ok::<(), DbError>(())
                })?;
                from = to;
            }
        }
        Ok(Self { own, foreign })
    }

    /// What is to be expected of an address at that moment (ms).
    pub(super) fn expected(
        &self,
        sydent: &mut Sydent,
        threepid: &ThreePid,
        now: i64,
    ) -> Result<Expected, DbError> {
        let key = hashed(threepid);
        let own = self.own.get(&key);
        let mut bound: Option<Association> = None;
        for change in own.into_iter().chain(self.foreign.get(&key)) {
            let found = if change.is_bound {
                read(sydent, change)?
            } else {
                None
            };
            let holds = |it: &Association| it.not_before <= now && now < it.not_after;
            if let Some(found) = found.filter(holds)
                && bound.as_ref().is_none_or(|bound| bound.ts < found.ts)
            {
                bound = Some(found);
            }
        }
        Ok(match bound {
            Some(bound) => Expected::Bound(bound),
            None if own.is_some_and(|own| !own.is_bound) => Expected::Removed,
            None => Expected::Nobody,
        })
    }
}

fn read(sydent: &mut Sydent, change: &Change) -> Result<Option<Association>, DbError> {
    let mut found = None;
    let rest = format!("WHERE t.id = {}", change.id);
    let query = Query {
        table: if change.is_local { LOCAL } else { GLOBAL },
        id: "id",
        texts: &["medium", "address", "mxid"],
        numbers: &["ts", "notBefore", "notAfter"],
        rest: &rest,
    };
    sydent.each(&query, |rows| {
        found = rows.first().and_then(association);
        Ok::<(), DbError>(())
    })?;
    Ok(found)
}

/// None where a row is malformed, which says nothing.
fn change(row: &Record, is_local: bool) -> Option<(ThreePid, Change)> {
    let [medium, address, mxid, ..] = row.texts();
    let [ts, not_after, _] = row.numbers();
    let threepid = threepid(medium, address)?;
    if let Some(mxid) = mxid {
        Mxid::parse(mxid).ok()?;
        not_after?;
    }
    let change = Change {
        ts: ts.unwrap_or(0),
        is_local,
        id: row.id.unwrap_or(0),
        is_bound: mxid.is_some(),
    };
    Some((threepid, change))
}

pub(super) fn threepid(medium: Option<&str>, address: Option<&str>) -> Option<ThreePid> {
    ThreePid::parse(medium?, address?).ok()
}

fn hashed(threepid: &ThreePid) -> u64 {
    let mut hasher = DefaultHasher::new();
    threepid.hash(&mut hasher);
    hasher.finish()
}

fn note(changes: &mut Newest, threepid: &ThreePid, change: Change) {
    match changes.entry(hashed(threepid)) {
        Entry::Occupied(mut known) if *known.get() < change => {
            known.insert(change);
        }
        Entry::Occupied(_) => {}
        Entry::Vacant(none) => {
            none.insert(change);
        }
    }
}

pub(super) fn association(row: &Record) -> Option<Association> {
    let [medium, address, mxid, ..] = row.texts();
    let [ts, not_before, not_after] = row.numbers();
    let ts = ts.unwrap_or(0);
    Some(Association {
        threepid: threepid(medium, address)?,
        mxid: Mxid::parse(mxid?).ok()?,
        ts,
        not_before: not_before.unwrap_or(ts),
        not_after: not_after?,
    })
}
