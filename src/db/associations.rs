//! Associations of 3PIDs with users: at most one row per medium, address and
//! origin. Lookups leave out those that a removal hides, which may have been made
//! at another server of the mesh.

mod find;
mod find_hashed;

pub use find::{FEW_KEYS, find_mxid, find_mxids, find_signed};
pub use find_hashed::find_by_hashes;

use diesel::prelude::*;
use diesel::sql_types::{Array, BigInt, Nullable, Text};
use diesel::upsert::excluded;

use super::hash_columns::{HashColumns, HashSlot};
use super::on_backend::OnBackend as _;
use super::schema::associations::{self, dsl};
use super::{Conn, DbError, statements};
use crate::domain::association::Association;
use crate::domain::ids::ServerName;
use crate::domain::lookup::Hashes;

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
    diesel::insert_into(dsl::associations)
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
        .execute_on(connection)?;
    Ok(())
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
        .load_on(connection)?)
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
