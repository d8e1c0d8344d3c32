//! What the associations actor does for onbind notifications: it finds the
//! invites to send, and completes a notification.

use std::fmt;

use super::associations::Associations;
use super::pool::{Fault, Kind, Operation};
use crate::db::invites::{self, Pending};
use crate::db::outbox::{self, QueuedMessage};
use crate::db::{LockKey, associations};
use crate::domain::ids::Mxid;
use crate::domain::threepid::ThreePid;

/// Finds the pending invites of a 3PID that is still bound to that user.
#[derive(Debug)]
pub struct FindPendingInvites {
    /// The 3PID.
    pub threepid: ThreePid,
    /// The user.
    pub mxid: Mxid,
    /// Now, ms.
    pub now: i64,
}

impl Operation for FindPendingInvites {
    type State = Associations;
    /// `None` when it is no longer bound to that user (ONB-14).
    type Output = Option<Vec<Pending>>;
    const KIND: Kind = Kind::Read;

    fn run(self, state: &mut Associations) -> Result<Self::Output, Fault> {
        // In one snapshot: a binding to another user between the two queries
        // would give that user's invites away.
        state.store.snapshot(|connection| {
            let newest = associations::find_mxid(connection, &self.threepid, self.now)?;
            if newest.as_deref() != Some(self.mxid.as_str()) {
                return Ok(None);
            }
            Ok(Some(invites::pending(connection, &self.threepid)?))
        })
    }
}

/// Completes a notification that the homeserver accepted, together with the
/// invites in it.
pub struct CompleteNotification {
    /// The notification.
    pub message: QueuedMessage,
    /// The ids of the invites that the homeserver accepted.
    pub invites: Vec<i64>,
    /// Whether delivered invites are kept.
    pub keep: bool,
    /// Now, ms.
    pub now: i64,
}

impl fmt::Debug for CompleteNotification {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CompleteNotification")
            .field("message", &self.message)
            .field("invites", &self.invites.len())
            .finish_non_exhaustive()
    }
}

/// SQLite allows 32,766 variables in a query.
const IDS_PER_QUERY: usize = 30_000;

impl Operation for CompleteNotification {
    type State = Associations;
    type Output = ();
    // Anybody can cause many invites of one address.
    const KIND: Kind = Kind::LongWrite;

    fn run(self, state: &mut Associations) -> Result<(), Fault> {
        state
            .store
            .write(LockKey::Message(&self.message.id), |connection| {
                for ids in self.invites.chunks(IDS_PER_QUERY) {
                    if self.keep {
                        invites::mark_delivered(connection, ids, self.now)?;
                    } else {
                        invites::remove(connection, ids)?;
                    }
                }
                Ok(outbox::remove(connection, &self.message.id)?)
            })
    }
}
