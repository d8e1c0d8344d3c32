//! Imports bindings: of each address only the newest change, which is a binding
//! or a removal (IDN-04).

use std::collections::HashSet;

use serde_json::{Map, Value};

use super::{ImportContext, ImportError, TableReport};
use crate::db::import_target::{self, SqlValue, TargetTable};
use crate::db::sydent::{Query, Record, Sydent};
use crate::db::{Conn, DbError};
use crate::domain::association::Association;
use crate::domain::ids::ServerName;
use crate::domain::lookup::{self, Pepper};
use crate::domain::signing::KeyRing;
use crate::domain::threepid::ThreePid;
use crate::import::records::{INVALID_MXID, parse_association};

/// How many signatures are checked at most.
const SAMPLE: usize = 1000;

/// The newest signed associations with this server as their origin.
pub(super) fn sample_signed(
    source: &mut Sydent,
    server_name: &ServerName,
) -> Result<Vec<String>, DbError> {
    // A server name contains no quotation mark.
    let clauses = format!("WHERE originServer = '{server_name}' ORDER BY id DESC LIMIT {SAMPLE}");
    let query = Query {
        table: "global_threepid_associations",
        id: "id",
        texts: &["sgAssoc"],
        numbers: &[],
        clauses: &clauses,
    };
    source.load(&query, |row| {
        let [signed, ..] = row.texts();
        signed.map(str::to_owned)
    })
}

/// The last change of a 3PID.
struct Change {
    id: i64,
    threepid: ThreePid,
    ts: i64,
    /// The association and its signed form, if Sydent has it; `None` if the 3PID
    /// was removed.
    bound: Option<(Association, Option<String>)>,
}

/// Imports the bindings that this server made, and the journal of them.
pub(super) fn import_own(context: &mut ImportContext<'_>) -> Result<TableReport, ImportError> {
    let server_name = context.server_name;
    // Only ids and times are sorted: the whole rows might not fit into memory.
    let local = format!(
        "JOIN (SELECT id AS o FROM local_threepid_associations ORDER BY ts DESC, id DESC \
         LIMIT -1) AS i ON t.id = i.o \
         LEFT JOIN global_threepid_associations AS g \
         ON g.originServer = '{server_name}' AND g.originId = t.id ORDER BY t.ts DESC, t.id DESC"
    );
    // Sydent also answers lookups with these, although it has no row of its own
    // for them any more.
    let without_local_row = format!(
        "JOIN global_threepid_associations AS g ON g.id = t.id \
         WHERE t.originServer = '{server_name}' \
         AND NOT EXISTS (SELECT 1 FROM local_threepid_associations AS l WHERE l.id = t.originId) \
         ORDER BY t.ts DESC, t.id DESC"
    );
    let mut report = TableReport::default();
    let mut last_id = max_change_id(context.source)?;
    for (table, id, clauses) in [
        ("local_threepid_associations", "id", local),
        ("global_threepid_associations", "NULL", without_local_row),
    ] {
        let query = Query {
            table,
            id,
            texts: &["t.medium", "t.address", "t.mxid", "g.sgAssoc"],
            numbers: &["t.ts", "t.notBefore", "t.notAfter"],
            clauses: &clauses,
        };
        import_changes(context, &query, &mut last_id, &mut report)?;
    }
    import_target::set_last_change_id(context.target, last_id)?;
    Ok(report)
}

/// The greatest id that a change may have had, even if its row was deleted: the
/// replication positions of the peers go up to it.
fn max_change_id(source: &mut Sydent) -> Result<i64, DbError> {
    let local = source.max("local_threepid_associations", "id")?;
    Ok(local.max(source.max("peers", "lastSentVersion")?))
}

/// Imports the rows of `query`, newest first. A row without an id gets the next
/// one after `last_id`.
fn import_changes(
    context: &mut ImportContext<'_>,
    query: &Query<'_>,
    last_id: &mut i64,
    report: &mut TableReport,
) -> Result<(), ImportError> {
    context.source.for_each_page(query, |rows| {
        context.progress.add(rows.len());
        report.read += rows.len() as u64;
        let mut changes = Vec::with_capacity(rows.len());
        for row in rows {
            let id = row.id.unwrap_or_else(|| {
                *last_id += 1;
                *last_id
            });
            match parse_change(id, row) {
                Ok(change) => changes.push(change),
                Err(reason) => report.add_skipped(reason),
            }
        }
        let inserted = insert_changes(
            context.target,
            &changes,
            context.server_name,
            context.keys,
            &context.pepper,
        )?;
        report.add_imported(changes.len(), inserted);
        Ok(())
    })
}

fn parse_change(id: i64, row: &Record) -> Result<Change, &'static str> {
    let [_, _, _, signed, _] = row.texts();
    let record = parse_association(row)?;
    Ok(Change {
        id,
        threepid: record.threepid,
        ts: record.ts,
        bound: record
            .association
            .map(|association| (association, signed.map(str::to_owned))),
    })
}

/// Inserts the changes of 3PIDs that have none yet. Returns how many.
fn insert_changes(
    target: &mut Conn,
    changes: &[Change],
    server_name: &ServerName,
    keys: &KeyRing,
    pepper: &Pepper,
) -> Result<u64, ImportError> {
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
    let inserted = import_target::insert_changes(target, &journal)?;
    let mut rows = Vec::new();
    for change in newest.iter().filter(|change| inserted.contains(&change.id)) {
        if let Some((association, signed)) = &change.bound {
            let signed = reuse_or_sign(association, signed.as_deref(), server_name, keys)?;
            rows.push(association_row(association, server_name, pepper, signed));
        }
    }
    import_target::insert(target, TargetTable::Associations, rows)?;
    Ok(inserted.len() as u64)
}

fn association_row(
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

/// Keeps the signed form that Sydent stored if it has the same content, and
/// otherwise signs the association.
fn reuse_or_sign(
    association: &Association,
    signed: Option<&str>,
    server_name: &ServerName,
    keys: &KeyRing,
) -> Result<String, ImportError> {
    let mut object = association.to_object();
    if let Some(signed) = signed
        && is_signed_form_of(&object, signed, server_name, keys)
    {
        return Ok(signed.to_owned());
    }
    keys.active()
        .sign(server_name, &mut object)
        .map_err(|_invalid| DbError::Corrupt("association timestamp"))?;
    Ok(Value::Object(object).to_string())
}

/// Whether `signed` is `object` with a signature by the active key.
fn is_signed_form_of(
    object: &Map<String, Value>,
    signed: &str,
    server_name: &ServerName,
    keys: &KeyRing,
) -> bool {
    let Ok(mut signed) = serde_json::from_str::<Map<String, Value>>(signed) else {
        return false;
    };
    let signatures = signed.remove("signatures").unwrap_or_default();
    let by_active_key = signatures
        .get(server_name.as_str())
        .and_then(|by_server| by_server.get(keys.active().id().as_str()));
    by_active_key.is_some() && signed == *object
}

/// Imports the bindings that other servers made, with their signatures.
pub(super) fn import_replicated(
    context: &mut ImportContext<'_>,
) -> Result<TableReport, ImportError> {
    let clauses = format!(
        "WHERE originServer <> '{}' ORDER BY ts DESC, id DESC",
        context.server_name
    );
    let query = Query {
        table: "global_threepid_associations",
        id: "id",
        texts: &["medium", "address", "mxid", "sgAssoc", "originServer"],
        numbers: &["ts", "notBefore", "notAfter"],
        clauses: &clauses,
    };
    let pepper = context.pepper.clone();
    context.import_rows(&query, TargetTable::Associations, |row| {
        let [.., signed, origin] = row.texts();
        let origin = ServerName::parse(origin.unwrap_or_default())
            .map_err(|_invalid| "invalid origin server name")?;
        let association = parse_association(row)?.association.ok_or(INVALID_MXID)?;
        let signed = signed.ok_or("not signed")?.to_owned();
        Ok(association_row(&association, &origin, &pepper, signed))
    })
}
