//! What the associations actor does with the changes that a peer pushes.

use std::collections::{BTreeSet, HashMap};

use super::associations::{Associations, OnbindNotification};
use super::pool::{Fault, Kind, Operation};
use crate::db::hash_columns::HashingPeppers;
use crate::db::outbox;
use crate::db::{
    Conn, DbError, LockKey, associations, erasures, ignored_statements, invites, journal, peers,
    peppers, replicated, statements,
};
use crate::domain::arrival::Arrival;
use crate::domain::association::Association;
use crate::domain::ids::ServerName;
use crate::domain::merge::{Merged, Statements};
use crate::domain::replication::{PeerChange, VerifiedPush};
use crate::domain::threepid::ThreePid;
use crate::domain::time::UnixMillis;

/// Takes the changes that a peer has signed (INT-03). They change only what that
/// peer has said, and each only if nothing later of it is known.
#[derive(Debug)]
pub struct Ingest {
    /// The peer.
    pub peer: ServerName,
    /// What it pushes, with valid signatures.
    pub push: VerifiedPush,
    /// The notification that each homeserver concerned gets.
    pub notification: OnbindNotification,
    /// When they arrive.
    pub arrival: Arrival,
}

/// What came of a push.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Ingested {
    /// How many notifications were queued.
    pub notifications: usize,
    /// Whether changes of this server are to be pushed once more.
    pub repeats: bool,
}

/// The most addresses of earlier changes that are pushed again because of a push.
const MAX_REPEATS: i64 = 1000;

impl Operation for Ingest {
    type State = Associations;
    type Output = Ingested;
    const KIND: Kind = Kind::LongWrite;

    fn run(self, state: &mut Associations) -> Result<Self::Output, Fault> {
        let VerifiedPush {
            changes,
            skipped,
            sender_compares: compares,
        } = self.push;
        let (peer, now, notification) = (&self.peer, self.arrival.at, &self.notification);
        let threepids: Vec<&ThreePid> = changes
            .iter()
            .filter_map(|(_, change)| change.threepid())
            .collect();
        state
            .store
            .write(LockKey::ThreePids(&threepids), |connection| {
                // Locked against a step of a rotation, as in `Bind`.
                let peppers = peppers::for_hashing(connection)?
                    .ok_or(Fault::Internal("the database has no pepper"))?;
                let mut applied = HashMap::new();
                let from = Pushed {
                    peer,
                    arrival: self.arrival,
                    peppers: &peppers,
                };
                for (number, change) in &changes {
                    if let Some(threepid) = apply(connection, change, *number, &from)? {
                        applied.insert(threepid, change);
                    }
                }
                let mut notifications = 0;
                for change in applied.values() {
                    if notify(
                        connection,
                        change,
                        notification.numbered(notifications),
                        now,
                    )? {
                        notifications += 1;
                    }
                }
                replicated::record_push(connection, peer, &skipped, compares, now)?;
                let touched: Vec<&ThreePid> = applied.into_keys().collect();
                Ok(Ingested {
                    notifications,
                    repeats: repeat(connection, peer, compares, &touched)?,
                })
            })
    }
}

/// What the changes of a push have in common.
struct Pushed<'a> {
    peer: &'a ServerName,
    arrival: Arrival,
    peppers: &'a HashingPeppers,
}

/// Applies one change unless a later one of the peer is known. Returns the 3PID if
/// the peer says something else than before.
fn apply<'a>(
    connection: &mut Conn,
    change: &'a PeerChange,
    number: i64,
    from: &Pushed<'_>,
) -> Result<Option<&'a ThreePid>, DbError> {
    let peer = from.peer;
    let statement = change.statement(peer, number);
    let Some((threepid, mut statement)) = change.threepid().zip(statement) else {
        return Ok(None);
    };
    if ignored_statements::contains(connection, threepid, peer)? {
        return Ok(None);
    }
    let ts = statement.ts;
    statement.counts_at = from.arrival.counts_at(ts);
    if statement.counts_at != ts {
        let ahead_s = ts.saturating_sub(from.arrival.at) / 1000;
        let name = peer.as_str();
        log::warn!(peer = name, number, ahead_s; "the time of a peer's change is in the future; check the clocks");
    }
    let mut said = statements::find(connection, threepid)?;
    if is_erased(connection, change, threepid, statement.counts_at, &said)? {
        return Ok(None);
    }
    let merged = said.merge(statement);
    if merged == Merged::Known {
        return Ok(None);
    }
    let counts_at = said.by(peer.as_str()).map_or(ts, |said| said.counts_at);
    match change {
        PeerChange::Bound {
            association,
            signed,
        } => {
            let hashes = from.peppers.hash(threepid);
            associations::replace(
                connection,
                association,
                peer,
                number,
                counts_at,
                &hashes,
                signed,
            )?;
        }
        PeerChange::Removed { ts, .. } => {
            statements::store_removal(connection, threepid, peer, number, *ts, counts_at)?;
        }
        PeerChange::Restated => {}
    }
    Ok((merged == Merged::Changed).then_some(threepid))
}

/// Whether the change must not bring back what was erased. Of a removal only its time is
/// kept then.
fn is_erased(
    connection: &mut Conn,
    change: &PeerChange,
    threepid: &ThreePid,
    ts: i64,
    said: &Statements,
) -> Result<bool, DbError> {
    match change {
        PeerChange::Bound { association, .. } => {
            let erased = erasures::latest(connection, threepid, Some(&association.mxid))?;
            Ok(erased.is_some_and(|erased| ts <= erased))
        }
        // Nor of one that follows the removal which the journal keeps for peers.
        PeerChange::Removed { .. } if !said.has_bindings() => {
            erasures::raise(connection, threepid, ts)
        }
        PeerChange::Removed { .. } | PeerChange::Restated => Ok(false),
    }
}

/// Queues the notification of a homeserver if the change binds a 3PID with pending
/// invites. Returns whether it does.
fn notify(
    connection: &mut Conn,
    change: &PeerChange,
    notification: OnbindNotification,
    now: i64,
) -> Result<bool, Fault> {
    let PeerChange::Bound { association, .. } = change else {
        return Ok(false);
    };
    if !has_pending_invites(connection, association, now)? {
        return Ok(false);
    }
    let message = notification.build(association, UnixMillis::new(now))?;
    outbox::remove_replaced_onbind(connection, &message.subject, message.created_at)?;
    outbox::insert(connection, &message)?;
    Ok(true)
}

/// Has this server's statements about these 3PIDs pushed with the answer of all
/// servers, and once more if any peer may be a Python Sydent: it has just changed its
/// answer for them by rules of its own. If it is the one that pushes, it may have
/// changed those for others back.
fn repeat(
    connection: &mut Conn,
    peer: &ServerName,
    peer_compares: bool,
    changed: &[&ThreePid],
) -> Result<bool, DbError> {
    if changed.is_empty() {
        return Ok(false);
    }
    let changed = changed.iter().copied().map(statements::key);
    let mut keys: BTreeSet<_> = changed.collect();
    if !peer_compares {
        keys.extend(statements::shared_and_recent(
            connection,
            peer,
            MAX_REPEATS,
        )?);
    }
    let keys: Vec<_> = keys.into_iter().collect();
    if peers::all_compare(connection)? {
        journal::restate(connection, &keys)?;
        return Ok(false);
    }
    journal::repeat(connection, &keys)
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
    let newest = associations::find_mxid(connection, threepid, now)?;
    Ok(newest.is_some_and(|mxid| mxid == association.mxid.as_str()))
}
