//! Associations: at most one live row per medium, address and origin.

use diesel::dsl::sql;
use diesel::prelude::*;
use diesel::sql_types::{Array, BigInt, Bool, Text};
use diesel::upsert::excluded;

use super::schema::associations::{self, dsl};
use super::{Conn, DbError, on_each};
use crate::domain::association::Association;
use crate::domain::ids::{Mxid, ServerName};
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
}

/// How far the clocks of instances that share a database may differ, ms: a
/// binding that one of them answered must be found through the others at once
/// (BND-10).
const CLOCK_SKEW_MS: i64 = 60_000;

/// Stores an association in the place of the one that its 3PID had from that
/// origin. `signed` is its signed form as JSON.
///
/// # Errors
/// When the database does not answer.
pub fn replace(
    connection: &mut Conn,
    association: &Association,
    origin: &ServerName,
    lookup_hash: &str,
    signed: &str,
) -> Result<(), DbError> {
    let row = Row {
        medium: association.threepid.medium().as_str(),
        address: association.threepid.address(),
        origin: origin.as_str(),
        mxid: association.mxid.as_str(),
        ts: association.ts,
        not_before: association.not_before,
        not_after: association.not_after,
        lookup_hash,
        signed,
    };
    on_each!(connection, inner => diesel::insert_into(dsl::associations)
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
        ))
        .execute(inner))?;
    Ok(())
}

/// Removes the association of a 3PID with a user that `origin` stated; answers
/// when that was stated (ms), if there was one.
///
/// # Errors
/// When the database does not answer.
pub fn remove(
    connection: &mut Conn,
    threepid: &ThreePid,
    mxid: &Mxid,
    origin: &ServerName,
) -> Result<Option<i64>, DbError> {
    let bound = dsl::associations
        .filter(dsl::address.eq(threepid.address()))
        .filter(dsl::medium.eq(threepid.medium().as_str()))
        .filter(dsl::origin.eq(origin.as_str()))
        .filter(dsl::mxid.eq(mxid.as_str()));
    let stated_at = bound.select(dsl::ts).first(connection).optional()?;
    diesel::delete(bound).execute(connection)?;
    Ok(stated_at)
}

/// The signed association of a 3PID that holds at `now`, as JSON, and its
/// origin; the newest one where several origins state one.
///
/// # Errors
/// When the database does not answer.
pub fn signed(
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

/// Lookup hash and user of every association that holds at `now` and has one of
/// the hashes, the oldest first. However many hashes there are, the query is the
/// same and has one variable for all of them.
///
/// # Errors
/// When the database does not answer.
pub fn by_hashes(
    connection: &mut Conn,
    hashes: &[&str],
    now: i64,
) -> Result<Vec<(String, String)>, DbError> {
    let hold = dsl::associations
        .filter(dsl::not_before.le(now.saturating_add(CLOCK_SKEW_MS)))
        .filter(dsl::not_after.gt(now))
        .order((dsl::ts.asc(), dsl::id.asc()))
        .select((dsl::lookup_hash, dsl::mxid));
    Ok(match connection {
        Conn::Postgres(postgres) => hold
            .filter(dsl::lookup_hash.eq_any(hashes))
            .load(postgres)?,
        Conn::Sqlite(sqlite) => hold
            .filter(
                sql::<Bool>("lookup_hash IN (SELECT value FROM json_each(")
                    .bind::<Text, _>(serde_json::json!(hashes).to_string())
                    .sql("))"),
            )
            .load(sqlite)?,
    })
}

/// What a new pepper needs of an association: its id and its 3PID.
#[derive(Queryable)]
pub struct Hashable {
    /// The row.
    pub id: i64,
    /// The medium of its 3PID.
    pub medium: String,
    /// The canonical address of its 3PID.
    pub address: String,
}

/// The associations after that id, at most so many, by id.
///
/// # Errors
/// When the database does not answer.
pub fn after(connection: &mut Conn, id: i64, limit: i64) -> Result<Vec<Hashable>, DbError> {
    Ok(dsl::associations
        .filter(dsl::id.gt(id))
        .order(dsl::id.asc())
        .limit(limit)
        .select((dsl::id, dsl::medium, dsl::address))
        .load(connection)?)
}

/// Gives associations, by their ids, new lookup hashes.
///
/// # Errors
/// When the database does not answer.
pub fn set_hashes(connection: &mut Conn, ids: &[i64], hashes: &[String]) -> Result<(), DbError> {
    match connection {
        // One statement, since each would be a journey over the network.
        Conn::Postgres(postgres) => {
            diesel::sql_query(
                "UPDATE associations SET lookup_hash = given.hash \
                 FROM (SELECT unnest($1) AS id, unnest($2) AS hash) AS given \
                 WHERE associations.id = given.id",
            )
            .bind::<Array<BigInt>, _>(ids)
            .bind::<Array<Text>, _>(hashes)
            .execute(postgres)?;
        }
        Conn::Sqlite(sqlite) => {
            for (id, hash) in ids.iter().zip(hashes) {
                diesel::update(dsl::associations.find(id))
                    .set(dsl::lookup_hash.eq(hash))
                    .execute(sqlite)?;
            }
        }
    }
    Ok(())
}

/// Address and user of every association of that medium that holds at `now`
/// for one of the addresses, the oldest first. At most 30,000 addresses
/// (SQLite allows 32,766 variables).
///
/// # Errors
/// When the database does not answer.
pub fn mxids(
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
