//! Associations of 3PIDs with users: at most one row per medium, address and
//! origin. Lookups leave out those that a removal hides, which may have been made
//! at another server of the mesh.

use diesel::dsl::{exists, not, sql};
use diesel::prelude::*;
use diesel::sql_types::{Array, BigInt, Bool, Nullable, Text};
use diesel::upsert::excluded;

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

/// The order of associations of one 3PID; the last one counts. It is that of
/// `domain::merge`. The database would compare texts by its own collation.
type Rank = (i64, String, String);

/// Stores an association, which replaces what `origin` said about the 3PID.
/// `signed` is its signed form as JSON; `number` is 0 if this server is the origin.
pub fn replace(
    connection: &mut Conn,
    association: &Association,
    origin: &ServerName,
    number: i64,
    hashes: &Hashes,
    signed: &str,
) -> Result<(), DbError> {
    statements::delete_removal(connection, &association.threepid, origin)?;
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
        number,
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
        .filter(not_removed!());
    let rank = || (dsl::ts, dsl::mxid, dsl::origin);
    let by_canonical = valid.select((dsl::lookup_hash, rank()));
    let by_other = valid.select((dsl::other_hash.assume_not_null(), rank()));
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

/// The same of those whose other form may be missing: email addresses that are not
/// ASCII, stored by a version that knew no other forms.
pub fn without_other_form(
    connection: &mut Conn,
    id: i64,
    limit: i64,
) -> Result<Vec<Hashable>, DbError> {
    let is_not_ascii = match connection {
        Conn::Postgres(_) => "octet_length(address) > char_length(address)",
        Conn::Sqlite(_) => "length(CAST(address AS BLOB)) > length(address)",
    };
    Ok(dsl::associations
        .filter(dsl::id.gt(id))
        .filter(dsl::medium.eq(Medium::Email.as_str()))
        .filter(dsl::other_form.is_null())
        .filter(sql::<Bool>(is_not_ascii))
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
