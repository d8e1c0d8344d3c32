//! What other servers must hear of, and how far each has heard: a part of what
//! the owner of the associations holds.

use std::fmt;

use super::associations::Associations;
use super::pool::{Fault, Operation};
use crate::db::peers::{self, Peer};
use crate::db::{LockKey, journal};
use crate::domain::change::Change;

/// Changes that are sent at a time, as Sydent does.
pub const MOST_AT_ONCE: i64 = 100;

const TURN: LockKey<'static> = LockKey::Job("replication");

/// Lets the database know these peers, if it does not.
#[derive(Debug)]
pub struct AddPeers {
    /// Their names.
    pub names: Vec<String>,
}

impl Operation for AddPeers {
    type State = Associations;
    type Output = ();

    fn run(self, state: &mut Associations) -> Result<(), Fault> {
        state.store.write(TURN, |connection| {
            for name in &self.names {
                peers::know(connection, name)?;
            }
            Ok(())
        })
    }
}

/// Which of the peers have something to hear of now.
#[derive(Debug)]
pub struct DuePeers {
    /// The names of those in question.
    pub names: Vec<String>,
    /// Now, ms.
    pub now: i64,
}

impl Operation for DuePeers {
    type State = Associations;
    type Output = Vec<String>;

    fn run(self, state: &mut Associations) -> Result<Self::Output, Fault> {
        let names: Vec<&str> = self.names.iter().map(String::as_str).collect();
        Ok(peers::due(state.store.read(), &names, self.now)?)
    }
}

/// Takes a peer, and what it is to hear of next. Others do not get it until that
/// is settled, or the lease is over.
#[derive(Debug)]
pub struct TakeBatch {
    /// Its name.
    pub peer: String,
    /// The instance that pushes to it.
    pub owner: String,
    /// Now, ms.
    pub now: i64,
    /// Until when nobody else may push to it, ms.
    pub lease_until: i64,
}

/// What a peer is to hear of.
pub struct Batch {
    /// Which try this is.
    pub tries: i32,
    /// The changes, the oldest first; there is one at least.
    pub changes: Vec<Change>,
}

impl fmt::Debug for Batch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Batch")
            .field("tries", &self.tries)
            .field("changes", &self.changes.len())
            .finish()
    }
}

impl Operation for TakeBatch {
    type State = Associations;
    type Output = Option<Batch>;

    fn run(self, state: &mut Associations) -> Result<Self::Output, Fault> {
        let origin = state.origin.clone();
        state.store.write(TURN, |connection| {
            let Self {
                peer,
                owner,
                now,
                lease_until,
            } = &self;
            let taken = peers::take(connection, peer, owner, *now, *lease_until)?;
            let Some((sent_id, tries)) = taken else {
                return Ok(None);
            };
            let changes = journal::after(connection, &origin, sent_id, MOST_AT_ONCE)?;
            if changes.is_empty() {
                peers::give_back(connection, peer, owner)?;
                return Ok(None);
            }
            Ok(Some(Batch { tries, changes }))
        })
    }
}

/// Keeps a peer that is being pushed to from others for longer.
#[derive(Debug)]
pub struct ExtendPeerLease {
    /// Its name.
    pub peer: String,
    /// The instance that pushes to it.
    pub owner: String,
    /// Until when nobody else may, ms.
    pub lease_until: i64,
}

impl Operation for ExtendPeerLease {
    type State = Associations;
    type Output = ();

    fn run(self, state: &mut Associations) -> Result<(), Fault> {
        state.store.write(TURN, |connection| {
            let (peer, owner) = (&self.peer, &self.owner);
            Ok(peers::keep(connection, peer, owner, self.lease_until)?)
        })
    }
}

/// How a push ended.
#[derive(Debug)]
pub enum Pushed {
    /// The peer has heard of everything up to that change.
    UpTo(i64),
    /// It has not.
    Failed {
        /// Why, without addresses.
        what: String,
        /// When it is to be tried again, ms.
        due_at: i64,
    },
}

/// Notes how a push ended, and lets go of the peer.
#[derive(Debug)]
pub struct SettlePush {
    /// Its name.
    pub peer: String,
    /// The instance that pushed to it.
    pub owner: String,
    /// How it ended.
    pub pushed: Pushed,
    /// Now, ms.
    pub now: i64,
}

impl Operation for SettlePush {
    type State = Associations;
    type Output = ();

    fn run(self, state: &mut Associations) -> Result<(), Fault> {
        state.store.write(TURN, |connection| {
            let (peer, owner) = (&self.peer, &self.owner);
            match &self.pushed {
                Pushed::UpTo(id) => peers::sent(connection, peer, owner, *id, self.now)?,
                Pushed::Failed { what, due_at } => {
                    peers::failed(connection, peer, owner, what, *due_at)?;
                }
            }
            Ok(())
        })
    }
}

/// How far behind each peer is that the database knows.
#[derive(Debug)]
pub struct PeerStates;

/// A peer, and what it has not heard of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeerState {
    /// What is known of it.
    pub peer: Peer,
    /// How many changes it has not heard of.
    pub behind: i64,
    /// When the first of these was made, ms.
    pub since: Option<i64>,
}

impl Operation for PeerStates {
    type State = Associations;
    type Output = Vec<PeerState>;

    fn run(self, state: &mut Associations) -> Result<Self::Output, Fault> {
        let origin = state.origin.clone();
        state.store.snapshot(|connection| {
            let mut states = Vec::new();
            for peer in peers::all(connection)? {
                let behind = journal::count_after(connection, peer.sent_id)?;
                let first = journal::after(connection, &origin, peer.sent_id, 1)?;
                let since = first.first().and_then(Change::made_at);
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
