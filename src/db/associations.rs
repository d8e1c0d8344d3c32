//! Associations of 3PIDs with users: at most one row per medium, address and
//! origin.

use diesel::dsl::sql;
use diesel::prelude::*;
use diesel::sql_types::{Array, BigInt, Bool, Nullable, Text};
use diesel::upsert::excluded;

use super::schema::associations::{self, dsl};
use super::{Conn, DbError, with_backend};
use crate::domain::association::Association;
use crate::domain::ids::{Mxid, ServerName};
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
}

/// How far the clocks of instances that share a database may differ, ms: an
/// association that one instance has created must be found by the others at once
/// (BND-10), although its `not_before` may be in their future.
const CLOCK_SKEW_MS: i64 = 60_000;

/// Stores an association, which replaces the one of the same 3PID and origin.
/// `signed` is its signed form as JSON.
pub fn replace(
    connection: &mut Conn,
    association: &Association,
    origin: &ServerName,
    hashes: &Hashes,
    signed: &str,
) -> Result<(), DbError> {
    let other = hashes.other.as_ref();
    let row = Row {
        medium: association.threepid.medium().as_str(),
        address: association.threepid.address(),
        origin: origin.as_str(),
        mxid: association.mxid.as_str(),
        ts: association.ts,
        not_before: association.not_before,
        not_after: association.not_after,
        lookup_hash: &hashes.canonical,
        signed,
        other_form: other.map(|(form, _)| form.as_str()),
        other_hash: other.map(|(_, hash)| hash.as_str()),
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
        ))
        .execute(inner))?;
    Ok(())
}

/// Deletes the association of a 3PID with a user from `origin`. Returns its
/// timestamp (ms) if there was one.
pub fn remove(
    connection: &mut Conn,
    threepid: &ThreePid,
    mxid: &Mxid,
    origin: &ServerName,
) -> Result<Option<i64>, DbError> {
    let association = dsl::associations
        .filter(dsl::address.eq(threepid.address()))
        .filter(dsl::medium.eq(threepid.medium().as_str()))
        .filter(dsl::origin.eq(origin.as_str()))
        .filter(dsl::mxid.eq(mxid.as_str()));
    let ts = association.select(dsl::ts).first(connection).optional()?;
    diesel::delete(association).execute(connection)?;
    Ok(ts)
}

/// The signed association of a 3PID that is valid at `now`, as JSON, and its
/// origin; the newest one if several origins have one.
pub fn find_signed(
    connection: &mut Conn,
    threepid: &ThreePid,
    now: i64,
) -> Result<Option<(String, String)>, DbError> {
    Ok(dsl::associations
        .filter(dsl::address.eq(threepid.address()))
        .filter(dsl::medium.eq(threepid.medium().as_str()))
        .filter(dsl::not_before.le(now.saturating_add(CLOCK_SKEW_MS)))
        .filter(dsl::not_after.gt(now))
        .order((dsl::ts.desc(), dsl::id.desc()))
        .select((dsl::signed, dsl::origin))
        .first(connection)
        .optional()?)
}

/// Hash and user of every association that is valid at `now` and has one of the
/// hashes, for its canonical address or its other form; for each hash oldest first.
/// All hashes are bound as one variable, so that the query has the same text for any
/// number of them and stays prepared.
pub fn find_by_hashes(
    connection: &mut Conn,
    hashes: &[&str],
    now: i64,
) -> Result<Vec<(String, String)>, DbError> {
    let valid = dsl::associations
        .filter(dsl::not_before.le(now.saturating_add(CLOCK_SKEW_MS)))
        .filter(dsl::not_after.gt(now))
        .order((dsl::ts.asc(), dsl::id.asc()));
    let by_canonical = valid.select((dsl::lookup_hash, dsl::mxid));
    let by_other = valid.select((dsl::other_hash.assume_not_null(), dsl::mxid));
    let (mut found, others): (Vec<_>, Vec<_>) = match connection {
        Conn::Postgres(postgres) => (
            by_canonical
                .filter(dsl::lookup_hash.eq_any(hashes))
                .load(postgres)?,
            by_other
                .filter(dsl::other_hash.assume_not_null().eq_any(hashes))
                .load(postgres)?,
        ),
        Conn::Sqlite(sqlite) => {
            let hashes = serde_json::json!(hashes).to_string();
            let is_in = |column| {
                sql::<Bool>(column)
                    .bind::<Text, _>(hashes.clone())
                    .sql("))")
            };
            (
                by_canonical
                    .filter(is_in("lookup_hash IN (SELECT value FROM json_each("))
                    .load(sqlite)?,
                by_other
                    .filter(is_in("other_hash IN (SELECT value FROM json_each("))
                    .load(sqlite)?,
            )
        }
    };
    found.extend(others);
    Ok(found)
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

/// Replaces the lookup hashes of the associations with these row ids.
pub fn set_lookup_hashes(
    connection: &mut Conn,
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
            diesel::sql_query(
                "UPDATE associations SET lookup_hash = computed.hash, other_form = computed.form, \
                 other_hash = computed.other_hash \
                 FROM (SELECT unnest($1) AS id, unnest($2) AS hash, unnest($3) AS form, \
                 unnest($4) AS other_hash) AS computed \
                 WHERE associations.id = computed.id",
            )
            .bind::<Array<BigInt>, _>(ids)
            .bind::<Array<Text>, _>(canonical)
            .bind::<Array<Nullable<Text>>, _>(forms)
            .bind::<Array<Nullable<Text>>, _>(other_hashes)
            .execute(postgres)?;
        }
        Conn::Sqlite(sqlite) => {
            let rows = ids.iter().zip(canonical).zip(forms).zip(other_hashes);
            for (((id, canonical), form), other_hash) in rows {
                diesel::update(dsl::associations.find(id))
                    .set((
                        dsl::lookup_hash.eq(canonical),
                        dsl::other_form.eq(form),
                        dsl::other_hash.eq(other_hash),
                    ))
                    .execute(sqlite)?;
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
    Ok(dsl::associations
        .filter(dsl::address.eq_any(addresses))
        .filter(dsl::medium.eq(medium.as_str()))
        .filter(dsl::not_before.le(now.saturating_add(CLOCK_SKEW_MS)))
        .filter(dsl::not_after.gt(now))
        .order((dsl::ts.asc(), dsl::id.asc()))
        .select((dsl::address, dsl::mxid))
        .load(connection)?)
}
