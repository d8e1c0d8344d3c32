//! Bindings: of each address the newest, and the removal where that is the
//! newest (IDN-04).

use std::collections::HashSet;

use serde_json::{Map, Value};

use super::{ImportContext, ImportError, TableReport};
use crate::db::import_target::{self, SqlValue, TargetTable};
use crate::db::sydent::{Query, Record, Sydent};
use crate::db::{Conn, DbError};
use crate::domain::association::Association;
use crate::domain::ids::{Mxid, ServerName};
use crate::domain::lookup::{self, Pepper};
use crate::domain::signing::KeyRing;
use crate::domain::threepid::ThreePid;

const TEXTS: [&str; 4] = ["t.medium", "t.address", "t.mxid", "g.sgAssoc"];
const NUMBERS: [&str; 3] = ["t.ts", "t.notBefore", "t.notAfter"];

/// At most so many signatures are checked.
const SAMPLE: usize = 1000;

/// Signed associations by that name, the newest first.
pub(super) fn sample(source: &mut Sydent, name: &ServerName) -> Result<Vec<String>, DbError> {
    let mut signed = Vec::new();
    // A server name has no quotation mark.
    let rest = format!("WHERE originServer = '{name}' ORDER BY id DESC LIMIT {SAMPLE}");
    let query = Query {
        table: "global_threepid_associations",
        id: "id",
        texts: &["sgAssoc"],
        numbers: &[],
        rest: &rest,
    };
    source.each(&query, |rows| {
        for row in rows {
            let [text, ..] = row.texts();
            signed.extend(text.map(str::to_owned));
        }
        Ok::<(), DbError>(())
    })?;
    Ok(signed)
}

/// What a row says of its 3PID.
struct Change {
    id: i64,
    threepid: ThreePid,
    ts: i64,
    /// With the text that was signed; none for a removal.
    bound: Option<(Association, Option<String>)>,
}

/// The bindings that this server made, and the journal of them.
pub(super) fn own(work: &mut ImportContext<'_>) -> Result<TableReport, ImportError> {
    let mut tally = TableReport::default();
    let name = work.name;
    let mut next = last_id(work.source)?;
    // Sorted by ids and times alone: the rest need not fit anywhere.
    let local = format!(
        "JOIN (SELECT id AS o FROM local_threepid_associations ORDER BY ts DESC, id DESC \
         LIMIT -1) AS i ON t.id = i.o \
         LEFT JOIN global_threepid_associations AS g \
         ON g.originServer = '{name}' AND g.originId = t.id ORDER BY t.ts DESC, t.id DESC"
    );
    // What Sydent states though it has forgotten that it is its own.
    let left_over = format!(
        "JOIN global_threepid_associations AS g ON g.id = t.id WHERE t.originServer = '{name}' \
         AND NOT EXISTS (SELECT 1 FROM local_threepid_associations AS l WHERE l.id = t.originId) \
         ORDER BY t.ts DESC, t.id DESC"
    );
    for (table, id, rest) in [
        ("local_threepid_associations", "id", local),
        ("global_threepid_associations", "NULL", left_over),
    ] {
        let query = Query {
            table,
            id,
            texts: &TEXTS,
            numbers: &NUMBERS,
            rest: &rest,
        };
        let target = &mut *work.target;
        let (keys, pepper, done) = (work.keys, &work.pepper, &mut work.done);
        let (progress, total) = (&mut *work.progress, work.total);
        work.source.each(&query, |rows| {
            *done += rows.len() as u64;
            tally.read += rows.len() as u64;
            progress(*done, total);
            let mut changes = Vec::with_capacity(rows.len());
            for row in &rows {
                let id = row.id.unwrap_or_else(|| {
                    next += 1;
                    next
                });
                match change(id, row) {
                    Ok(change) => changes.push(change),
                    Err(reason) => tally.skip(reason),
                }
            }
            store(target, &changes, (name, keys, pepper), &mut tally)
        })?;
    }
    import_target::journal_goes_on_after(work.target, next)?;
    Ok(tally)
}

/// The greatest number that a change may have had, whatever became of it: peers
/// have heard of all up to theirs.
fn last_id(source: &mut Sydent) -> Result<i64, DbError> {
    let local = source.greatest("local_threepid_associations", "id")?;
    Ok(local.max(source.greatest("peers", "lastSentVersion")?))
}

fn change(id: i64, row: &Record) -> Result<Change, &'static str> {
    let [medium, address, mxid, signed, _] = row.texts();
    let [ts, not_before, not_after] = row.numbers();
    let threepid = threepid(medium, address)?;
    let ts = ts.unwrap_or(0);
    let bound = match mxid {
        None => None,
        Some(mxid) => {
            let mxid = Mxid::parse(mxid).map_err(|_invalid| NO_MXID)?;
            let association = Association {
                threepid: threepid.clone(),
                mxid,
                ts,
                not_before: not_before.unwrap_or(ts),
                not_after: not_after.ok_or("it does not say how long it holds")?,
            };
            Some((association, signed.map(str::to_owned)))
        }
    };
    Ok(Change {
        id,
        threepid,
        ts,
        bound,
    })
}

const NO_MXID: &str = "what it is bound to is no Matrix user id";

/// The 3PID in its canonical form.
pub(super) fn threepid(
    medium: Option<&str>,
    address: Option<&str>,
) -> Result<ThreePid, &'static str> {
    let (medium, address) = medium.zip(address).ok_or("it has no address")?;
    ThreePid::parse(medium, address).map_err(|_invalid| "its medium or address is malformed")
}

fn store(
    target: &mut Conn,
    changes: &[Change],
    (name, keys, pepper): (&ServerName, &KeyRing, &Pepper),
    tally: &mut TableReport,
) -> Result<(), ImportError> {
    let good = changes.len();
    let mut seen = HashSet::new();
    let newest: Vec<&Change> = changes
        .iter()
        .filter(|change| seen.insert(&change.threepid))
        .collect();
    let journal: Vec<import_target::Change<'_>> = newest
        .iter()
        .map(|change| {
            let medium = change.threepid.medium().as_str();
            let removed_at = change.bound.is_none().then_some(change.ts);
            (change.id, medium, change.threepid.address(), removed_at)
        })
        .collect();
    let added = import_target::journal(target, &journal)?;
    let mut rows = Vec::new();
    for change in newest.iter().filter(|change| added.contains(&change.id)) {
        if let Some((association, signed)) = &change.bound {
            let signed = signed_form(association, signed.as_deref(), name, keys)?;
            rows.push(row(association, name, pepper, signed));
        }
    }
    import_target::insert(target, TargetTable::Associations, rows)?;
    tally.add(good, added.len() as u64);
    Ok(())
}

fn row(
    association: &Association,
    origin: &ServerName,
    pepper: &Pepper,
    signed: String,
) -> Vec<SqlValue> {
    let threepid = &association.threepid;
    vec![
        threepid.medium().as_str().into(),
        threepid.address().into(),
        origin.as_str().into(),
        association.mxid.as_str().into(),
        association.ts.into(),
        association.not_before.into(),
        association.not_after.into(),
        lookup::sha256_hash(threepid, pepper).into(),
        signed.into(),
    ]
}

/// What Sydent signed, if that is what is stated here; else it is signed now.
fn signed_form(
    association: &Association,
    signed: Option<&str>,
    name: &ServerName,
    keys: &KeyRing,
) -> Result<String, ImportError> {
    let mut object = association.to_object();
    if let Some(text) = signed {
        let before: Option<Map<String, Value>> = serde_json::from_str(text).ok();
        let same = before.is_some_and(|mut before| {
            let signatures = before.remove("signatures").unwrap_or_default();
            let by_key = signatures.get(name.as_str());
            by_key.is_some_and(|keys_of| keys_of.get(keys.active().id().as_str()).is_some())
                && before == object
        });
        if same {
            return Ok(text.to_owned());
        }
    }
    keys.active()
        .sign(name, &mut object)
        .map_err(|_invalid| DbError::Corrupt("a time of a binding"))?;
    Ok(Value::Object(object).to_string())
}

/// The bindings that other servers made, as they signed them.
pub(super) fn foreign(work: &mut ImportContext<'_>) -> Result<TableReport, ImportError> {
    let mut tally = TableReport::default();
    let rest = format!(
        "WHERE originServer <> '{}' ORDER BY ts DESC, id DESC",
        work.name
    );
    let query = Query {
        table: "global_threepid_associations",
        id: "id",
        texts: &["medium", "address", "mxid", "sgAssoc", "originServer"],
        numbers: &["ts", "notBefore", "notAfter"],
        rest: &rest,
    };
    let (target, pepper) = (&mut *work.target, &work.pepper);
    let (done, progress, total) = (&mut work.done, &mut *work.progress, work.total);
    work.source.each(&query, |rows| {
        *done += rows.len() as u64;
        tally.read += rows.len() as u64;
        progress(*done, total);
        let mut good = Vec::new();
        for record in &rows {
            match stated(record) {
                Ok((association, origin, signed)) => {
                    good.push(row(&association, &origin, pepper, signed));
                }
                Err(reason) => tally.skip(reason),
            }
        }
        let count = good.len();
        let taken = import_target::insert(target, TargetTable::Associations, good)?;
        tally.add(count, taken);
        Ok::<(), ImportError>(())
    })?;
    Ok(tally)
}

fn stated(row: &Record) -> Result<(Association, ServerName, String), &'static str> {
    let [.., signed, origin] = row.texts();
    let origin = ServerName::parse(origin.unwrap_or_default())
        .map_err(|_invalid| "what made it is no server name")?;
    let (association, _) = change(0, row)?.bound.ok_or(NO_MXID)?;
    let signed = signed.ok_or("it is not signed")?;
    Ok((association, origin, signed.to_owned()))
}
