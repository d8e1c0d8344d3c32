//! What other servers have told: of each of them the associations that it made,
//! and when it was last heard of.

use diesel::prelude::*;

use super::schema::{associations::dsl, replication_peers};
use super::{Conn, DbError, on_each};
use crate::domain::ids::ServerName;
use crate::domain::threepid::ThreePid;

/// When `origin` stated the association of a 3PID that is held, ms, and its
/// signed form as JSON.
///
/// # Errors
/// When the database does not answer.
pub fn held(
    connection: &mut Conn,
    threepid: &ThreePid,
    origin: &ServerName,
) -> Result<Option<(i64, String)>, DbError> {
    Ok(dsl::associations
        .filter(dsl::address.eq(threepid.address()))
        .filter(dsl::medium.eq(threepid.medium().as_str()))
        .filter(dsl::origin.eq(origin.as_str()))
        .select((dsl::ts, dsl::signed))
        .first(connection)
        .optional()?)
}

/// Removes the association of a 3PID that `origin` stated at `ts` or before,
/// whoever it was bound to.
///
/// # Errors
/// When the database does not answer.
pub fn forget(
    connection: &mut Conn,
    threepid: &ThreePid,
    origin: &ServerName,
    ts: i64,
) -> Result<(), DbError> {
    let stated = dsl::associations
        .filter(dsl::address.eq(threepid.address()))
        .filter(dsl::medium.eq(threepid.medium().as_str()))
        .filter(dsl::origin.eq(origin.as_str()))
        .filter(dsl::ts.le(ts));
    diesel::delete(stated).execute(connection)?;
    Ok(())
}

/// Notes that a peer has sent something that was taken.
///
/// # Errors
/// When the database does not answer.
pub fn heard_from(connection: &mut Conn, peer: &ServerName, now: i64) -> Result<(), DbError> {
    use replication_peers::dsl;
    // A peer that is new has heard of nothing itself.
    let row = (
        dsl::name.eq(peer.as_str()),
        dsl::sent_id.eq(0),
        dsl::received_at.eq(now),
        dsl::tries.eq(0),
        dsl::due_at.eq(0),
        dsl::lease_owner.eq(""),
        dsl::lease_until.eq(0),
    );
    on_each!(connection, inner => diesel::insert_into(dsl::replication_peers)
        .values(row)
        .on_conflict(dsl::name)
        .do_update()
        .set(dsl::received_at.eq(now))
        .execute(inner))?;
    Ok(())
}
