//! What the owner of the associations takes from a peer.

use std::collections::HashMap;

use super::associations::{Associations, OnbindNotification};
use super::pool::{Fault, Operation};
use crate::db::outbox;
use crate::db::{Conn, DbError, LockKey, associations, invites, peppers, replicated};
use crate::domain::association::Association;
use crate::domain::ids::ServerName;
use crate::domain::lookup::{self, Pepper};
use crate::domain::public_key::PublicKey;
use crate::domain::replication::{Change, WithId};
use crate::domain::threepid::ThreePid;

/// Takes the changes that a peer has signed: all of them or none (INT-03). They
/// touch nothing but what the same peer stated before, and nothing that it
/// stated later.
#[derive(Debug)]
pub struct Ingest {
    /// Who sent them.
    pub peer: ServerName,
    /// What it signs with.
    pub key: PublicKey,
    /// What it sent, in the order in which it is to be taken.
    pub changes: Vec<WithId>,
    /// What homeservers hear of it; each has a message of its own.
    pub notice: OnbindNotification,
    /// Now, ms.
    pub now: i64,
}

impl Operation for Ingest {
    type State = Associations;
    /// How many homeservers are to hear of it; or the numbers of those that are
    /// not what they must be, and nothing was taken.
    type Output = Result<usize, Vec<String>>;

    fn run(self, state: &mut Associations) -> Result<Self::Output, Fault> {
        let (mut changes, mut failed) = (Vec::with_capacity(self.changes.len()), Vec::new());
        for WithId { id, value } in self.changes {
            match Change::read(value, &self.peer, &self.key) {
                Ok(change) => changes.push(change),
                Err(why) => {
                    // One of them is enough to see what is wrong.
                    if failed.is_empty() {
                        log::warn!(peer = self.peer.as_str(), id = id.as_str(); "what a peer tells is refused: {why}");
                    }
                    failed.push(id);
                }
            }
        }
        if !failed.is_empty() {
            return Ok(Err(failed));
        }
        let threepids: Vec<&ThreePid> = changes.iter().map(Change::threepid).collect();
        let (peer, now, notice) = (&self.peer, self.now, &self.notice);
        state
            .store
            .write(LockKey::ThreePids(&threepids), |connection| {
                // As for a binding that is made here.
                let current = peppers::current_to_hash_with(connection)?
                    .ok_or(Fault::Internal("the database has no pepper"))?;
                let mut bound = HashMap::new();
                for change in &changes {
                    if let Some(association) = apply(connection, change, peer, &current.pepper)? {
                        bound.insert(&association.threepid, association);
                    }
                }
                let mut told = 0;
                for association in bound.into_values() {
                    if is_waited_for(connection, association, now)? {
                        let message = notice.numbered(told).of(association, now)?;
                        outbox::replace_notices(connection, &message.subject, now)?;
                        outbox::insert(connection, &message)?;
                        told += 1;
                    }
                }
                replicated::heard_from(connection, peer, now)?;
                Ok(Ok(told))
            })
    }
}

/// Takes one change, unless the peer stated something later; answers what is
/// bound now that was not.
fn apply<'a>(
    connection: &mut Conn,
    change: &'a Change,
    peer: &ServerName,
    pepper: &Pepper,
) -> Result<Option<&'a Association>, DbError> {
    match change {
        Change::Bound {
            association,
            signed,
        } => {
            let held = replicated::held(connection, &association.threepid, peer)?;
            let is_new = held.is_none_or(|(ts, before)| {
                ts < association.ts || (ts == association.ts && before != *signed)
            });
            if is_new {
                let hash = lookup::sha256_hash(&association.threepid, pepper);
                associations::replace(connection, association, peer, &hash, signed)?;
            }
            Ok(is_new.then_some(association))
        }
        Change::Removed { threepid, ts } => {
            replicated::forget(connection, threepid, peer, *ts)?;
            Ok(None)
        }
    }
}

/// Whether somebody was invited by that address who is known by it now. Without
/// an invite, the server where it was bound has told the homeserver already.
fn is_waited_for(
    connection: &mut Conn,
    association: &Association,
    now: i64,
) -> Result<bool, DbError> {
    let threepid = &association.threepid;
    if invites::pending(connection, threepid)?.is_empty() {
        return Ok(false);
    }
    let bound = associations::mxids(connection, threepid.medium(), &[threepid.address()], now)?;
    // The newest comes last.
    let newest = bound.into_iter().next_back();
    Ok(newest.is_some_and(|(_, mxid)| mxid == association.mxid.as_str()))
}
