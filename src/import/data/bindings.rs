//! Imports bindings: of each address only the newest change, which is a binding
//! or a removal (IDN-04).

use std::collections::{HashSet, VecDeque};
use std::num::NonZero;
use std::panic::resume_unwind;
use std::thread::{self, ScopedJoinHandle};

use super::own_names::GLOBAL;
use super::{ImportContext, ImportError, TableReport};
use crate::db::import_target::{self, SqlValue, TargetTable};
use crate::db::sydent::{IS_NO_MARK, MAX_ID, Query, Record, Sydent};
use crate::db::{Conn, DbError};
use crate::domain::association::Association;
use crate::domain::ids::ServerName;
use crate::domain::lookup::{Hashes, Pepper};
use crate::domain::signing::KeyRing;
use crate::domain::threepid::ThreePid;
use crate::import::records::{INVALID_MXID, parse_association};
use crate::import::signed_form::{check_replicated, reuse_or_sign};

const LOCAL: &str = "local_threepid_associations";

/// Whether `l` is the local row of the signed association `t`. Another Sydent with
/// the same key, whose rows were added, has other rows with the same numbers.
const SAME_ROW: &str =
    "l.id = t.originId AND l.medium = t.medium AND lower(l.address) = lower(t.address)";

/// The last change of a 3PID.
struct Change {
    id: i64,
    threepid: ThreePid,
    /// The address as Sydent stored it.
    written: String,
    ts: i64,
    /// The association and its signed form, if Sydent has it; `None` if the 3PID
    /// was removed.
    bound: Option<(Association, Option<String>)>,
}

/// What tells whether a peer's removal has deleted a binding.
struct Published {
    /// The greatest number of a local row that has a signed association.
    last_id: i64,
    /// Whether signed associations were deleted, after which the last number tells
    /// nothing.
    has_lost_rows: bool,
}

impl Published {
    fn read(source: &mut Sydent, own_names: &str) -> Result<Self, DbError> {
        let query = Query {
            table: GLOBAL,
            id: "id",
            texts: &[],
            numbers: &["originId"],
            clauses: &format!(
                "WHERE t.originServer IN ({own_names}) AND EXISTS (SELECT 1 FROM {LOCAL} AS l \
                 WHERE {SAME_ROW}) ORDER BY CAST(t.originId AS INTEGER) DESC LIMIT 1"
            ),
        };
        let ids = source.load(&query, |row| {
            let [id, ..] = row.numbers();
            id
        })?;
        Ok(Self {
            last_id: ids.into_iter().next().unwrap_or(0),
            has_lost_rows: source.has_lost_rows(GLOBAL)?,
        })
    }

    /// Sydent answers lookups only with signed associations, and a peer's removal
    /// deletes those of every origin but not the local row.
    fn was_removed_by_peer(&self, row: &Record) -> bool {
        let [_, _, mxid, signed, _] = row.texts();
        let [.., same_address] = row.numbers();
        let id = row.id.unwrap_or(0);
        mxid.is_some()
            && signed.is_none()
            && same_address == Some(0)
            && (self.has_lost_rows || id <= self.last_id)
    }
}

/// Imports the bindings that this server made under any of its names, and the
/// journal of them.
pub(super) fn import_own(context: &mut ImportContext<'_>) -> Result<TableReport, ImportError> {
    let own_names = context.origins.own_for_sql();
    let published = Published::read(context.source, &own_names)?;
    let mut report = TableReport::default();
    let mut last_id = max_change_id(context.source)?;
    // The signed association under the present name comes first.
    let signed = format!(
        "(SELECT g.sgAssoc FROM {GLOBAL} AS g WHERE g.originServer IN ({own_names}) \
         AND g.originId = t.id AND g.medium = t.medium AND lower(g.address) = lower(t.address) \
         ORDER BY g.originServer = '{}' DESC LIMIT 1)",
        context.server_name
    );
    let same_address = format!(
        "(SELECT COUNT(*) FROM {GLOBAL} AS g WHERE g.originServer IN ({own_names}) \
         AND g.medium = t.medium AND g.address = t.address AND g.mxid = t.mxid)"
    );
    let ids = context.source.ids(LOCAL, "ORDER BY t.ts DESC, t.id DESC")?;
    let query = Query {
        table: LOCAL,
        id: "id",
        texts: &["medium", "address", "mxid", &signed],
        numbers: &["ts", "notBefore", "notAfter", &same_address],
        clauses: "",
    };
    import_changes(context, &query, &ids, &mut report, &mut |row| {
        if published.was_removed_by_peer(row) {
            parse_removed_by_peer(row)
        } else {
            parse_change(row.id.ok_or("no id")?, row)
        }
    })?;

    // Sydent also answers lookups with these, although it has no row of its own
    // for them any more.
    let without_local_row = format!(
        "WHERE t.originServer IN ({own_names}) AND {IS_NO_MARK} AND NOT EXISTS \
         (SELECT 1 FROM {LOCAL} AS l WHERE {SAME_ROW}) ORDER BY t.ts DESC, t.id DESC"
    );
    let ids = context.source.ids(GLOBAL, &without_local_row)?;
    let query = Query {
        table: GLOBAL,
        texts: &["medium", "address", "mxid", "sgAssoc"],
        numbers: &["ts", "notBefore", "notAfter"],
        ..query
    };
    import_changes(context, &query, &ids, &mut report, &mut |row| {
        last_id += 1;
        parse_change(last_id, row)
    })?;
    import_target::set_last_change_id(context.target, last_id)?;
    Ok(report)
}

/// The greatest id that a change may have had, even if its row was deleted: the
/// replication positions of the peers go up to it.
fn max_change_id(source: &mut Sydent) -> Result<i64, DbError> {
    let local = source.max_id(LOCAL, "id")?;
    Ok(local.max(source.max_id("peers", "lastSentVersion")?))
}

/// More would not be inserted faster, and take more memory.
const MAX_PAGES_AT_A_TIME: usize = 4;

type Parsed = Result<(Change, bool), &'static str>;

/// Imports the rows with these ids, which are those of the newest changes first.
fn import_changes(
    context: &mut ImportContext<'_>,
    query: &Query<'_>,
    ids: &[i64],
    report: &mut TableReport,
    parse: &mut dyn FnMut(&Record) -> Parsed,
) -> Result<(), ImportError> {
    let (server_name, keys) = (context.server_name, context.keys);
    let pepper = context.pepper.clone();
    let make_rows = |changes: Vec<Change>| association_rows(&changes, server_name, keys, &pepper);
    let make_rows = &make_rows;
    // To verify or make a signature takes longer than to insert its row: the rows of some
    // pages are made while the next ones are read and earlier ones inserted.
    let cpus = thread::available_parallelism().map_or(1, NonZero::get);
    let pages_at_a_time = cpus.min(MAX_PAGES_AT_A_TIME);
    thread::scope(|scope| {
        let mut made = VecDeque::new();
        context.source.for_each_page_of(query, ids, |rows| {
            context.progress.add(rows.len() as u64);
            report.read += rows.len() as u64;
            let mut changes = Vec::with_capacity(rows.len());
            for row in rows {
                match parse(row) {
                    Ok((change, was_removed_by_peer)) => {
                        context.notes.removed_by_peers += u64::from(was_removed_by_peer);
                        changes.push(change);
                    }
                    Err(reason) => report.add_skipped(reason, query.table, row.row),
                }
            }
            let parsed = changes.len();
            let inserted = insert_changes(context.target, changes)?;
            report.add_imported(parsed, inserted.len() as u64);
            made.push_back(scope.spawn(move || make_rows(inserted)));
            if made.len() > pages_at_a_time
                && let Some(first) = made.pop_front()
            {
                insert_made(context.target, first)?;
            }
            Ok::<(), ImportError>(())
        })?;
        for rows in made {
            insert_made(context.target, rows)?;
        }
        Ok(())
    })
}

type Rows = Result<Vec<Vec<SqlValue>>, DbError>;

fn insert_made(target: &mut Conn, made: ScopedJoinHandle<'_, Rows>) -> Result<(), ImportError> {
    let rows = made.join().unwrap_or_else(|panic| resume_unwind(panic))?;
    import_target::insert(target, TargetTable::Associations, rows)?;
    Ok(())
}

fn parse_change(id: i64, row: &Record) -> Parsed {
    let [_, address, _, signed, _] = row.texts();
    let record = parse_association(row)?;
    if !(0..=MAX_ID).contains(&id) {
        return Err("an id that is out of range");
    }
    let change = Change {
        id,
        threepid: record.threepid,
        written: address.unwrap_or_default().to_owned(),
        ts: record.ts,
        bound: record
            .association
            .map(|association| (association, signed.map(str::to_owned))),
    };
    Ok((change, false))
}

fn parse_removed_by_peer(row: &Record) -> Parsed {
    let (change, _) = parse_change(row.id.ok_or("no id")?, row)?;
    let removal = Change {
        bound: None,
        ..change
    };
    Ok((removal, true))
}

/// Inserts the changes of 3PIDs that have none yet. Returns these.
fn insert_changes(target: &mut Conn, changes: Vec<Change>) -> Result<Vec<Change>, ImportError> {
    let mut seen = HashSet::new();
    let journal: Vec<import_target::Change<'_>> = changes
        .iter()
        .filter(|change| seen.insert(&change.threepid))
        .map(|change| {
            let medium = change.threepid.medium().as_str();
            let removed_at = change.bound.is_none().then_some(change.ts);
            (change.id, medium, change.threepid.address(), removed_at)
        })
        .collect();
    let inserted = import_target::insert_changes(target, &journal)?;
    Ok(changes
        .into_iter()
        .filter(|change| inserted.contains(&change.id))
        .collect())
}

/// The rows of the changes that are bindings.
fn association_rows(
    changes: &[Change],
    server_name: &ServerName,
    keys: &KeyRing,
    pepper: &Pepper,
) -> Rows {
    let rows = changes.iter().filter_map(|change| {
        let (association, signed) = change.bound.as_ref()?;
        let signed = match reuse_or_sign(association, signed.as_deref(), server_name, keys) {
            Ok(signed) => signed,
            Err(error) => return Some(Err(error)),
        };
        let hashes = Hashes::of_written(&association.threepid, &change.written, pepper);
        let no_number = 0;
        let origin = (server_name, no_number);
        Some(Ok(association_row(association, origin, hashes, signed)))
    });
    rows.collect()
}

fn association_row(
    association: &Association,
    (origin, number): (&ServerName, i64),
    hashes: Hashes,
    signed: String,
) -> Vec<SqlValue> {
    let threepid = &association.threepid;
    let (other_form, other_hash) = hashes.other.unzip();
    vec![
        threepid.medium().as_str().into(),
        threepid.address().into(),
        origin.as_str().into(),
        association.mxid.as_str().into(),
        association.ts.into(),
        association.not_before.into(),
        association.not_after.into(),
        hashes.canonical.into(),
        signed.into(),
        other_form.into(),
        other_hash.into(),
        number.into(),
    ]
}

/// Imports the bindings that other servers made, with their signatures.
pub(super) fn import_replicated(
    context: &mut ImportContext<'_>,
) -> Result<TableReport, ImportError> {
    let clauses = format!(
        "WHERE t.originServer IS NULL OR t.originServer NOT IN ({}) ORDER BY t.originServer, \
         CAST(t.originId AS INTEGER) DESC, t.ts DESC, t.id DESC",
        context.origins.own_for_sql()
    );
    let ids = context.source.ids(GLOBAL, &clauses)?;
    let query = Query {
        table: GLOBAL,
        id: "id",
        texts: &["medium", "address", "mxid", "sgAssoc", "originServer"],
        numbers: &["ts", "notBefore", "notAfter", "originId"],
        clauses: "",
    };
    let pepper = context.pepper.clone();
    let mut with_invites = 0;
    let report = context.import_rows_of(&query, Some(&ids), TargetTable::Associations, |row| {
        let [_, address, _, signed, origin] = row.texts();
        let [.., number] = row.numbers();
        let number = number.filter(|id| (0..=MAX_ID).contains(id)).unwrap_or(0);
        let association = parse_association(row)?.association.ok_or(INVALID_MXID)?;
        let origin = ServerName::parse(origin.unwrap_or_default())
            .map_err(|_invalid| "invalid origin server name")?;
        let (signed, had_invites) = check_replicated(&association, signed)?;
        with_invites += u64::from(had_invites);
        let written = address.unwrap_or_default();
        let hashes = Hashes::of_written(&association.threepid, written, &pepper);
        Ok(association_row(
            &association,
            (&origin, number),
            hashes,
            signed,
        ))
    })?;
    context.notes.with_invites += with_invites;
    Ok(report)
}
