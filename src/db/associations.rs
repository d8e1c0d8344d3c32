//! Associations of 3PIDs with users: at most one row per medium, address and
//! origin. Lookups leave out those that a removal hides, which may have been made
//! at another server of the mesh.

use diesel::dsl::{exists, not, sql};
use diesel::prelude::*;
use diesel::sql_types::{Array, BigInt, Bool, Nullable, Text};
use diesel::upsert::excluded;

use super::hash_columns::{HashColumns, HashSlot};
use super::schema::association_removals::dsl as removals;
use super::schema::associations::{self, dsl};
use super::{Conn, DbError, statements, with_backend};
use crate::domain::association::{Association, CLOCK_SKEW_MS};
use crate::domain::ids::ServerName;
use crate::domain::lookup::Hashes;
use crate::domain::threepid::{Medium, ThreePid};

#[derive(Insertable)]
#[diesel(table_name = associations)]
struct Row<'a> {
    medium: &'a str,
    address: &'a str,
    origin: &'a str,
    mxid: &'a str,
    ts: i64,
    not_before: i64,
    not_after: i64,
    lookup_hash: &'a str,
    signed: &'a str,
    other_form: Option<&'a str>,
    other_hash: Option<&'a str>,
    number: i64,
    second_hash: Option<&'a str>,
    second_other_hash: Option<&'a str>,
    stated_ts: Option<i64>,
}

/// Whether no removal hides the association. A macro, because the type of the
/// expression is long.
macro_rules! not_removed {
    () => {
        not(exists(
            removals::association_removals
                .filter(removals::address.eq(dsl::address))
                .filter(removals::medium.eq(dsl::medium))
                .filter(removals::ts.ge(dsl::ts)),
        ))
    };
}

/// The associations that are valid and have one of the hashes in that column. All hashes
/// are bound as one variable, so that the query has the same text for any number of them
/// and stays prepared. A macro, because the type of the query depends on the column.
macro_rules! found_by {
    ($connection:expr, $column:expr, $name:expr, $hashes:expr, $now:expr) => {{
        let valid = dsl::associations
            .filter(dsl::not_before.le($now.saturating_add(CLOCK_SKEW_MS)))
            .filter(dsl::not_after.gt($now))
            .filter(not_removed!())
            .select(($column, (dsl::ts, dsl::mxid, dsl::origin)));
        let found: Vec<(String, Rank)> = match $connection {
            Conn::Postgres(postgres) => valid.filter($column.eq_any($hashes)).load(postgres)?,
            Conn::Sqlite(sqlite) => {
                let is_one = sql::<Bool>($name)
                    .sql(" IN (SELECT value FROM json_each(")
                    .bind::<Text, _>(serde_json::json!($hashes).to_string())
                    .sql("))");
                valid.filter(is_one).load(sqlite)?
            }
        };
        found
    }};
}

/// The order of associations of one 3PID; the last one counts. It is that of
/// `domain::merge`. The database would compare texts by its own collation.
type Rank = (i64, String, String);

/// Stores an association, which replaces what `origin` said about the 3PID.
/// `signed` is its signed form as JSON; `number` is 0 if this server is the origin. It
/// counts as made at `counts_at` (ms), which is its time unless that is too far ahead.
pub fn replace(
    connection: &mut Conn,
    association: &Association,
    origin: &ServerName,
    number: i64,
    counts_at: i64,
    hashes: &HashColumns,
    signed: &str,
) -> Result<(), DbError> {
    statements::delete_removal(connection, &association.threepid, origin)?;
    let row = Row {
        medium: association.threepid.medium().as_str(),
        address: association.threepid.address(),
        origin: origin.as_str(),
        mxid: association.mxid.as_str(),
        ts: counts_at,
        not_before: association.not_before,
        not_after: association.not_after,
        lookup_hash: &hashes.lookup_hash,
        signed,
        other_form: hashes.other_form.as_deref(),
        other_hash: hashes.other_hash.as_deref(),
        number,
        second_hash: hashes.second_hash.as_deref(),
        second_other_hash: hashes.second_other_hash.as_deref(),
        stated_ts: statements::stated_ts(association.ts, counts_at),
    };
    with_backend!(connection, inner => diesel::insert_into(dsl::associations)
        .values(&row)
        .on_conflict((dsl::address, dsl::medium, dsl::origin))
        .do_update()
        .set((
            dsl::mxid.eq(excluded(dsl::mxid)),
            dsl::ts.eq(excluded(dsl::ts)),
            dsl::not_before.eq(excluded(dsl::not_before)),
            dsl::not_after.eq(excluded(dsl::not_after)),
            dsl::lookup_hash.eq(excluded(dsl::lookup_hash)),
            dsl::signed.eq(excluded(dsl::signed)),
            dsl::other_form.eq(excluded(dsl::other_form)),
            dsl::other_hash.eq(excluded(dsl::other_hash)),
            dsl::number.eq(excluded(dsl::number)),
            dsl::second_hash.eq(excluded(dsl::second_hash)),
            dsl::second_other_hash.eq(excluded(dsl::second_other_hash)),
            dsl::stated_ts.eq(excluded(dsl::stated_ts)),
        ))
        .execute(inner))?;
    Ok(())
}

/// The signed association of a 3PID that is valid at `now`, as JSON, and its
/// origin; the newest one if several origins have one.
pub fn find_signed(
    connection: &mut Conn,
    threepid: &ThreePid,
    now: i64,
) -> Result<Option<(String, String)>, DbError> {
    let valid: Vec<(String, Rank)> = dsl::associations
        .filter(dsl::address.eq(threepid.address()))
        .filter(dsl::medium.eq(threepid.medium().as_str()))
        .filter(dsl::not_before.le(now.saturating_add(CLOCK_SKEW_MS)))
        .filter(dsl::not_after.gt(now))
        .filter(not_removed!())
        .select((dsl::signed, (dsl::ts, dsl::mxid, dsl::origin)))
        .load(connection)?;
    let newest = valid
        .into_iter()
        .max_by(|(_, one), (_, other)| one.cmp(other));
    Ok(newest.map(|(signed, (_, _, origin))| (signed, origin)))
}

/// Hash and user of every association that is valid at `now` and has one of the
/// hashes, for its canonical address or its other form; for each hash oldest first. The
/// hashes are those of the pepper with that slot.
pub fn find_by_hashes(
    connection: &mut Conn,
    slot: HashSlot,
    hashes: &[&str],
    now: i64,
) -> Result<Vec<(String, String)>, DbError> {
    let (canonical, other) = slot.columns();
    let (mut found, others) = match slot {
        HashSlot::First => (
            found_by!(connection, dsl::lookup_hash, canonical, hashes, now),
            found_by!(
                connection,
                dsl::other_hash.assume_not_null(),
                other,
                hashes,
                now
            ),
        ),
        HashSlot::Second => (
            found_by!(
                connection,
                dsl::second_hash.assume_not_null(),
                canonical,
                hashes,
                now
            ),
            found_by!(
                connection,
                dsl::second_other_hash.assume_not_null(),
                other,
                hashes,
                now
            ),
        ),
    };
    found.extend(others);
    Ok(oldest_first(found))
}

fn oldest_first(mut found: Vec<(String, Rank)>) -> Vec<(String, String)> {
    found.sort_by(|(_, one), (_, other)| one.cmp(other));
    let user = |(key, (_, mxid, _))| (key, mxid);
    found.into_iter().map(user).collect()
}

/// An association whose lookup hashes are computed again for a new pepper.
#[derive(Queryable)]
pub struct Hashable {
    /// The row id.
    pub id: i64,
    /// The medium of its 3PID.
    pub medium: String,
    /// The canonical address of its 3PID.
    pub address: String,
    /// Another form of it.
    pub other_form: Option<String>,
}

/// Up to `limit` associations with a row id greater than `id`, in that order.
pub fn after(connection: &mut Conn, id: i64, limit: i64) -> Result<Vec<Hashable>, DbError> {
    Ok(dsl::associations
        .filter(dsl::id.gt(id))
        .order(dsl::id.asc())
        .limit(limit)
        .select((dsl::id, dsl::medium, dsl::address, dsl::other_form))
        .load(connection)?)
}

/// Replaces the lookup hashes in that slot of the associations with these row ids.
pub fn set_lookup_hashes(
    connection: &mut Conn,
    slot: HashSlot,
    ids: &[i64],
    hashes: &[Hashes],
) -> Result<(), DbError> {
    let others = || hashes.iter().map(|hashes| hashes.other.as_ref());
    let canonical: Vec<&str> = hashes.iter().map(|it| it.canonical.as_str()).collect();
    let forms: Vec<Option<&str>> = others().map(|it| Some(it?.0.as_str())).collect();
    let other_hashes: Vec<Option<&str>> = others().map(|it| Some(it?.1.as_str())).collect();
    match connection {
        // One statement instead of one round trip per row.
        Conn::Postgres(postgres) => {
            let (column, other_column) = slot.columns();
            diesel::sql_query(format!(
                "UPDATE associations SET {column} = computed.hash, other_form = computed.form, \
                 {other_column} = computed.other_hash \
                 FROM (SELECT unnest($1) AS id, unnest($2) AS hash, unnest($3) AS form, \
                 unnest($4) AS other_hash) AS computed \
                 WHERE associations.id = computed.id",
            ))
            .bind::<Array<BigInt>, _>(ids)
            .bind::<Array<Text>, _>(canonical)
            .bind::<Array<Nullable<Text>>, _>(forms)
            .bind::<Array<Nullable<Text>>, _>(other_hashes)
            .execute(postgres)?;
        }
        Conn::Sqlite(sqlite) => {
            let rows = ids.iter().zip(canonical).zip(forms).zip(other_hashes);
            for (((id, canonical), form), other_hash) in rows {
                let row = diesel::update(dsl::associations.find(id));
                match slot {
                    HashSlot::First => row
                        .set((
                            dsl::lookup_hash.eq(canonical),
                            dsl::other_form.eq(form),
                            dsl::other_hash.eq(other_hash),
                        ))
                        .execute(sqlite)?,
                    HashSlot::Second => row
                        .set((
                            dsl::second_hash.eq(canonical),
                            dsl::other_form.eq(form),
                            dsl::second_other_hash.eq(other_hash),
                        ))
                        .execute(sqlite)?,
                };
            }
        }
    }
    Ok(())
}

/// Address and user of every association of that medium that is valid at `now`
/// for one of the addresses, oldest first. At most 30,000 addresses (SQLite
/// allows 32,766 variables).
pub fn find_mxids(
    connection: &mut Conn,
    medium: Medium,
    addresses: &[&str],
    now: i64,
) -> Result<Vec<(String, String)>, DbError> {
    let found = dsl::associations
        .filter(dsl::address.eq_any(addresses))
        .filter(dsl::medium.eq(medium.as_str()))
        .filter(dsl::not_before.le(now.saturating_add(CLOCK_SKEW_MS)))
        .filter(dsl::not_after.gt(now))
        .filter(not_removed!())
        .select((dsl::address, (dsl::ts, dsl::mxid, dsl::origin)))
        .load(connection)?;
    Ok(oldest_first(found))
}
