//! What the associations actor does with the changes that a peer pushes.

use std::collections::HashMap;

use super::associations::{Associations, OnbindNotification};
use super::pool::{Fault, Operation};
use crate::db::outbox;
use crate::db::{Conn, DbError, LockKey, associations, invites, peppers, replicated};
use crate::domain::association::Association;
use crate::domain::ids::ServerName;
use crate::domain::lookup::{Hashes, Pepper};
use crate::domain::public_key::PublicKey;
use crate::domain::replication::{PeerChange, WithId};
use crate::domain::threepid::ThreePid;
use crate::domain::time::UnixMillis;

/// Takes the changes that a peer has signed: all of them or none (INT-03). They
/// change only associations of that peer, and none that are newer.
#[derive(Debug)]
pub struct Ingest {
    /// The peer.
    pub peer: ServerName,
    /// Its signing key.
    pub key: PublicKey,
    /// The changes, in the order in which they apply.
    pub changes: Vec<WithId>,
    /// The notification that each homeserver concerned gets.
    pub notification: OnbindNotification,
    /// Now, ms.
    pub now: i64,
}

impl Operation for Ingest {
    type State = Associations;
    /// How many notifications were queued; or the ids of the changes that are not
    /// valid, and nothing was taken.
    type Output = Result<usize, Vec<String>>;

    fn run(self, state: &mut Associations) -> Result<Self::Output, Fault> {
        let (mut changes, mut failed) = (Vec::with_capacity(self.changes.len()), Vec::new());
        for WithId { id, value } in self.changes {
            match PeerChange::verify(value, &self.peer, &self.key) {
                Ok(change) => changes.push(change),
                Err(why) => {
                    // The first one is enough to see what is wrong.
                    if failed.is_empty() {
                        log::warn!(peer = self.peer.as_str(), id = id.as_str(); "rejected a push from a peer: {why}");
                    }
                    failed.push(id);
                }
            }
        }
        if !failed.is_empty() {
            return Ok(Err(failed));
        }
        let threepids: Vec<&ThreePid> = changes.iter().map(PeerChange::threepid).collect();
        let (peer, now, notification) = (&self.peer, self.now, &self.notification);
        state
            .store
            .write(LockKey::ThreePids(&threepids), |connection| {
                // Locked against a rotation, as in `Bind`.
                let current = peppers::current_for_hashing(connection)?
                    .ok_or(Fault::Internal("the database has no pepper"))?;
                let mut bound = HashMap::new();
                for change in &changes {
                    if let Some(association) = apply(connection, change, peer, &current.pepper)? {
                        bound.insert(&association.threepid, association);
                    }
                }
                let mut queued = 0;
                for association in bound.into_values() {
                    if has_pending_invites(connection, association, now)? {
                        let message = notification
                            .numbered(queued)
                            .build(association, UnixMillis::new(now))?;
                        outbox::remove_replaced_onbind(
                            connection,
                            &message.subject,
                            message.created_at,
                        )?;
                        outbox::insert(connection, &message)?;
                        queued += 1;
                    }
                }
                replicated::record_push(connection, peer, now)?;
                Ok(Ok(queued))
            })
    }
}

/// Applies one change unless the peer's association is newer. Returns the
/// association if it was not there before.
fn apply<'a>(
    connection: &mut Conn,
    change: &'a PeerChange,
    peer: &ServerName,
    pepper: &Pepper,
) -> Result<Option<&'a Association>, DbError> {
    match change {
        PeerChange::Bound {
            association,
            signed,
        } => {
            let held = replicated::find(connection, &association.threepid, peer)?;
            let is_new = held.is_none_or(|(ts, before)| {
                ts < association.ts || (ts == association.ts && before != *signed)
            });
            if is_new {
                let hashes = Hashes::new(&association.threepid, pepper);
                associations::replace(connection, association, peer, &hashes, signed)?;
            }
            Ok(is_new.then_some(association))
        }
        PeerChange::Removed { threepid, ts } => {
            replicated::remove_until(connection, threepid, peer, *ts)?;
            Ok(None)
        }
    }
}

/// Whether invites are pending for the 3PID, and this association is its newest.
/// Without invites there is nothing to send: the server where the 3PID was bound
/// has notified the homeserver.
fn has_pending_invites(
    connection: &mut Conn,
    association: &Association,
    now: i64,
) -> Result<bool, DbError> {
    let threepid = &association.threepid;
    if invites::pending(connection, threepid)?.is_empty() {
        return Ok(false);
    }
    let bound =
        associations::find_mxids(connection, threepid.medium(), &[threepid.address()], now)?;
    // The newest comes last.
    let newest = bound.into_iter().next_back();
    Ok(newest.is_some_and(|(_, mxid)| mxid == association.mxid.as_str()))
}
