//! What the associations actor does for replication: which changes each peer has
//! not received, and how far each has got.

use std::fmt;

use super::associations::Associations;
use super::pool::{Fault, Kind, Operation};
use crate::db::peers::{self, Peer};
use crate::db::{LockKey, journal};
use crate::domain::change::Change;
use crate::domain::message::InstanceId;

/// Changes in one push, as Sydent sends them.
pub const MAX_CHANGES_PER_PUSH: i64 = 100;

const LOCK: LockKey<'static> = LockKey::Job("replication");

/// Adds the peers that the database does not have yet, and makes all of them due:
/// when a worker starts, and when its clock was set back, since a peer that failed
/// shortly before would not be tried until the clock reaches that time again.
#[derive(Debug)]
pub struct AddPeers {
    /// Their names.
    pub names: Vec<String>,
    /// Now, ms.
    pub now: i64,
}

impl Operation for AddPeers {
    type State = Associations;
    type Output = ();

    fn run(self, state: &mut Associations) -> Result<(), Fault> {
        state.store.write(LOCK, |connection| {
            for name in &self.names {
                peers::add(connection, name)?;
            }
            let names: Vec<&str> = self.names.iter().map(String::as_str).collect();
            Ok(peers::retry_now(connection, &names, self.now)?)
        })
    }
}

/// The peers that are due and have changes to receive.
#[derive(Debug)]
pub struct DuePeers {
    /// The peers in question.
    pub peers: Vec<String>,
    /// Now, ms.
    pub now: i64,
}

impl Operation for DuePeers {
    type State = Associations;
    type Output = Vec<String>;
    const KIND: Kind = Kind::Read;

    fn run(self, state: &mut Associations) -> Result<Self::Output, Fault> {
        let names: Vec<&str> = self.peers.iter().map(String::as_str).collect();
        Ok(peers::due(&mut state.store.read(), &names, self.now)?)
    }
}

/// Leases due peers to this instance, each with the next changes to push. Other
/// instances do not push to them until the push is settled or the lease expires.
#[derive(Debug)]
pub struct TakeBatches {
    /// The peers in question.
    pub peers: Vec<String>,
    /// This instance.
    pub instance: InstanceId,
    /// Now, ms.
    pub now: i64,
    /// The end of the leases, ms.
    pub lease_until: i64,
}

/// The next changes for a peer.
pub struct Batch {
    /// The peer's name.
    pub peer: String,
    /// The number of this try.
    pub tries: i32,
    /// The changes, the oldest first; at least one.
    pub changes: Vec<Change>,
}

impl fmt::Debug for Batch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Batch")
            .field("peer", &self.peer)
            .field("tries", &self.tries)
            .field("changes", &self.changes.len())
            .finish()
    }
}

impl Operation for TakeBatches {
    type State = Associations;
    type Output = Vec<Batch>;

    fn run(self, state: &mut Associations) -> Result<Self::Output, Fault> {
        let origin = state.origin.clone();
        state.store.write(LOCK, |connection| {
            let mut batches = Vec::new();
            for peer in self.peers {
                let (instance, now) = (&self.instance, self.now);
                let leased = peers::take(connection, &peer, instance, now, self.lease_until)?;
                let Some((sent_id, tries)) = leased else {
                    continue;
                };
                let changes = journal::after(connection, &origin, sent_id, MAX_CHANGES_PER_PUSH)?;
                if changes.is_empty() {
                    peers::release(connection, &peer, instance)?;
                    continue;
                }
                batches.push(Batch {
                    peer,
                    tries,
                    changes,
                });
            }
            Ok(batches)
        })
    }
}

/// Renews the leases of peers that are being pushed to.
#[derive(Debug)]
pub struct ExtendPeerLeases {
    /// Their names.
    pub peers: Vec<String>,
    /// This instance.
    pub instance: InstanceId,
    /// The new end of the leases, ms.
    pub lease_until: i64,
}

impl Operation for ExtendPeerLeases {
    type State = Associations;
    type Output = ();

    fn run(self, state: &mut Associations) -> Result<(), Fault> {
        state.store.write(LOCK, |connection| {
            let names: Vec<&str> = self.peers.iter().map(String::as_str).collect();
            Ok(peers::extend_leases(
                connection,
                &names,
                &self.instance,
                self.lease_until,
            )?)
        })
    }
}

/// How a push ended.
#[derive(Debug)]
pub enum PushOutcome {
    /// The peer accepted everything up to the change with this id.
    Accepted(i64),
    /// The peer did not accept it.
    Failed {
        /// Why, without addresses.
        what: String,
        /// When to try again, ms.
        due_at: i64,
    },
    /// The push was not tried.
    NotTried,
}

/// Records how a push ended, and ends the lease of the peer.
#[derive(Debug)]
pub struct SettlePush {
    /// The peer's name.
    pub peer: String,
    /// The instance that pushed.
    pub instance: InstanceId,
    /// How the push ended.
    pub outcome: PushOutcome,
    /// Now, ms.
    pub now: i64,
}

impl Operation for SettlePush {
    type State = Associations;
    type Output = ();

    fn run(self, state: &mut Associations) -> Result<(), Fault> {
        state.store.write(LOCK, |connection| {
            let (peer, instance) = (&self.peer, &self.instance);
            match &self.outcome {
                PushOutcome::Accepted(id) => {
                    peers::record_success(connection, peer, instance, *id, self.now)?;
                }
                PushOutcome::Failed { what, due_at } => {
                    peers::record_failure(connection, peer, instance, what, *due_at)?;
                }
                PushOutcome::NotTried => peers::release(connection, peer, instance)?,
            }
            Ok(())
        })
    }
}

/// The replication state of every peer that the database has.
#[derive(Debug)]
pub struct PeerStates;

/// A peer, and the changes that it has not received.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeerState {
    /// The peer.
    pub peer: Peer,
    /// Changes that it has not received.
    pub behind: i64,
    /// When the oldest of these was made, ms.
    pub since: Option<i64>,
}

impl Operation for PeerStates {
    type State = Associations;
    type Output = Vec<PeerState>;
    const KIND: Kind = Kind::Read;

    fn run(self, state: &mut Associations) -> Result<Self::Output, Fault> {
        let origin = state.origin.clone();
        state.store.snapshot(|connection| {
            let mut states = Vec::new();
            for peer in peers::all(connection)? {
                let behind = journal::count_after(connection, peer.sent_id)?;
                let oldest = journal::after(connection, &origin, peer.sent_id, 1)?;
                let since = oldest.first().and_then(Change::changed_at);
                states.push(PeerState {
                    peer,
                    behind,
                    since,
                });
            }
            Ok(states)
        })
    }
}
