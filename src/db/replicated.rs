//! What peers have pushed: the associations whose origin they are, and when each
//! peer last pushed.

use diesel::prelude::*;

use super::schema::{associations::dsl, replication_peers};
use super::{Conn, DbError, with_backend};
use crate::domain::ids::ServerName;
use crate::domain::threepid::ThreePid;

/// The stored association of a 3PID from `origin`: its timestamp, ms, and its
/// signed form as JSON.
pub fn find(
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

/// Deletes the association of a 3PID from `origin`, with any user, unless its
/// timestamp is later than `ts`.
pub fn remove_until(
    connection: &mut Conn,
    threepid: &ThreePid,
    origin: &ServerName,
    ts: i64,
) -> Result<(), DbError> {
    let outdated = dsl::associations
        .filter(dsl::address.eq(threepid.address()))
        .filter(dsl::medium.eq(threepid.medium().as_str()))
        .filter(dsl::origin.eq(origin.as_str()))
        .filter(dsl::ts.le(ts));
    diesel::delete(outdated).execute(connection)?;
    Ok(())
}

/// Records that a push from a peer was accepted.
pub fn record_push(connection: &mut Conn, peer: &ServerName, now: i64) -> Result<(), DbError> {
    use replication_peers::dsl;
    // Nothing was pushed to a new peer yet.
    let row = (
        dsl::name.eq(peer.as_str()),
        dsl::sent_id.eq(0),
        dsl::received_at.eq(now),
        dsl::tries.eq(0),
        dsl::due_at.eq(0),
        dsl::lease_owner.eq(""),
        dsl::lease_until.eq(0),
    );
    with_backend!(connection, inner => diesel::insert_into(dsl::replication_peers)
        .values(row)
        .on_conflict(dsl::name)
        .do_update()
        .set(dsl::received_at.eq(now))
        .execute(inner))?;
    Ok(())
}
