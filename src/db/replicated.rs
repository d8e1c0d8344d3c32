//! When each peer last pushed, and how much of that was skipped.

use diesel::prelude::*;

use super::schema::replication_peers::dsl;
use super::{Conn, DbError, with_backend};
use crate::domain::ids::ServerName;

/// Records that a push from a peer was accepted, except for the changes with the
/// numbers `skipped`, which are not valid, and whether the peer `compares` statements.
pub fn record_push(
    connection: &mut Conn,
    peer: &ServerName,
    skipped: &[String],
    compares: bool,
    now: i64,
) -> Result<(), DbError> {
    // Nothing was pushed to a new peer yet.
    let row = (
        dsl::name.eq(peer.as_str()),
        dsl::sent_id.eq(0),
        dsl::received_at.eq(now),
        dsl::compares.eq(compares),
        dsl::tries.eq(0),
        dsl::due_at.eq(0),
        dsl::lease_owner.eq(""),
        dsl::lease_until.eq(0),
    );
    with_backend!(connection, inner => diesel::insert_into(dsl::replication_peers)
        .values(row)
        .on_conflict(dsl::name)
        .do_update()
        .set((dsl::received_at.eq(now), dsl::compares.eq(compares)))
        .execute(inner))?;
    if let Some(last) = skipped.last() {
        let count = i64::try_from(skipped.len()).unwrap_or(i64::MAX);
        diesel::update(dsl::replication_peers.find(peer.as_str()))
            .set((
                dsl::skipped.eq(dsl::skipped + count),
                dsl::skipped_number.eq(last),
            ))
            .execute(connection)?;
    }
    Ok(())
}
