//! The newest change of each address in the old database, and what the new server
//! is expected to return for it.

use std::collections::hash_map::{DefaultHasher, Entry};
use std::collections::{BTreeSet, HashMap};
use std::hash::{Hash as _, Hasher as _};

use crate::db::DbError;
use crate::db::sydent::{Query, Record, Sydent};
use crate::domain::association::Association;
use crate::domain::threepid::ThreePid;
use crate::import::records::parse_association;
use crate::import::signed_form::check_replicated;

pub(super) const LOCAL: &str = "local_threepid_associations";
pub(super) const GLOBAL: &str = "global_threepid_associations";

/// What the new server is expected to return for an address, by the rules in
/// docs/from-sydent.md.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Expected {
    /// This association.
    Bound(Association),
    /// Nothing: the binding was removed, and there is no newer one.
    Removed,
    /// Nothing: the address or what it is bound to is invalid, so it was not
    /// imported.
    NotImported,
    /// Nothing: the address was never bound, or the association has expired.
    Unbound,
}

/// Ordered by time; at the same time, a local row is newer than a signed
/// association, and then the greater id is newer.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Change {
    ts: i64,
    is_local: bool,
    id: i64,
    is_bound: bool,
}

/// How many ids each query reads. A query blocks the writers of a database
/// without WAL, so it must be short.
const IDS: i64 = 20_000;

/// By hash of the 3PID.
type NewestChanges = HashMap<u64, Change>;

/// The newest change of each 3PID. Only hashes and row ids are kept, about 60 bytes
/// per address.
pub(super) struct Changes {
    own: NewestChanges,
    replicated: NewestChanges,
}

impl Changes {
    /// Reads all changes. Those with an origin in `own_names` are the old server's
    /// own.
    pub(super) fn read(sydent: &mut Sydent, own_names: &BTreeSet<&str>) -> Result<Self, DbError> {
        let mut changes = Self {
            own: NewestChanges::new(),
            replicated: NewestChanges::new(),
        };
        for (table, origin, signed) in
            [(LOCAL, "NULL", "NULL"), (GLOBAL, "originServer", "sgAssoc")]
        {
            let last = sydent.max_id(table, "id")?;
            let mut from = 0;
            while from <= last {
                let to = from + IDS;
                let clauses = format!("WHERE t.id >= {from} AND t.id < {to}");
                let query = Query {
                    table,
                    id: "id",
                    texts: &["medium", "address", "mxid", origin, signed],
                    numbers: &["ts", "notBefore", "notAfter"],
                    clauses: &clauses,
                };
                sydent.for_each_page(&query, |rows| {
                    for row in rows {
                        changes.add(row, table == LOCAL, own_names);
                    }
                    Ok::<(), DbError>(())
                })?;
                from = to;
            }
        }
        Ok(changes)
    }

    /// Ignores an invalid row, which is not imported either.
    fn add(&mut self, row: &Record, is_local: bool, own_names: &BTreeSet<&str>) {
        let Ok(record) = parse_association(row) else {
            return;
        };
        let [.., origin, signed] = row.texts();
        let is_own = origin.is_none_or(|origin| own_names.contains(origin));
        let is_imported = is_own
            || record
                .association
                .as_ref()
                .is_some_and(|association| check_replicated(association, signed).is_ok());
        if !is_imported {
            return;
        }
        let changes = if is_own {
            &mut self.own
        } else {
            &mut self.replicated
        };
        let change = Change {
            ts: record.ts,
            is_local,
            id: row.id.unwrap_or(0),
            is_bound: record.association.is_some(),
        };
        match changes.entry(hash(&record.threepid)) {
            Entry::Occupied(mut newest) if *newest.get() < change => {
                newest.insert(change);
            }
            Entry::Occupied(_) => {}
            Entry::Vacant(newest) => {
                newest.insert(change);
            }
        }
    }

    /// What is expected for a 3PID at `now` (ms).
    pub(super) fn expected(
        &self,
        sydent: &mut Sydent,
        threepid: &ThreePid,
        now: i64,
    ) -> Result<Expected, DbError> {
        let key = hash(threepid);
        let own = self.own.get(&key);
        let mut newest: Option<Association> = None;
        for change in own.into_iter().chain(self.replicated.get(&key)) {
            if !change.is_bound {
                continue;
            }
            let association = read_association(sydent, change)?
                .filter(|association| association.not_before <= now && now < association.not_after);
            if let Some(association) = association
                && newest
                    .as_ref()
                    .is_none_or(|newest| newest.ts < association.ts)
            {
                newest = Some(association);
            }
        }
        Ok(match newest {
            Some(association) => Expected::Bound(association),
            None if own.is_some_and(|own| !own.is_bound) => Expected::Removed,
            None => Expected::Unbound,
        })
    }
}

fn read_association(sydent: &mut Sydent, change: &Change) -> Result<Option<Association>, DbError> {
    let clauses = format!("WHERE t.id = {}", change.id);
    let query = Query {
        table: if change.is_local { LOCAL } else { GLOBAL },
        id: "id",
        texts: &["medium", "address", "mxid"],
        numbers: &["ts", "notBefore", "notAfter"],
        clauses: &clauses,
    };
    let associations = sydent.load(&query, |row| parse_association(row).ok()?.association)?;
    Ok(associations.into_iter().next())
}

fn hash(threepid: &ThreePid) -> u64 {
    let mut hasher = DefaultHasher::new();
    threepid.hash(&mut hasher);
    hasher.finish()
}
