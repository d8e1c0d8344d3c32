//! What the owner of the associations knows of notices to homeservers: what one
//! has to say, and that it was heard.

use std::fmt;

use super::associations::Associations;
use super::pool::{Fault, Operation};
use crate::db::invites::{self, Pending};
use crate::db::outbox::{self, QueuedMessage};
use crate::db::{LockKey, associations};
use crate::domain::ids::Mxid;
use crate::domain::threepid::ThreePid;

/// The invites that wait for a 3PID, if it is still bound to that user.
#[derive(Debug)]
pub struct FindPendingInvites {
    /// What was bound.
    pub threepid: ThreePid,
    /// To whom.
    pub mxid: Mxid,
    /// Now, ms.
    pub now: i64,
}

impl Operation for FindPendingInvites {
    type State = Associations;
    /// `None` when it is not bound to that user any more (ONB-14).
    type Output = Option<Vec<Pending>>;

    fn run(self, state: &mut Associations) -> Result<Self::Output, Fault> {
        // On one state, or a binding to somebody else between the two is missed.
        state.store.snapshot(|connection| {
            let (medium, address) = (self.threepid.medium(), self.threepid.address());
            let bound = associations::mxids(connection, medium, &[address], self.now)?;
            // The newest comes last.
            let newest = bound.into_iter().next_back().map(|(_, mxid)| mxid);
            if newest.as_deref() != Some(self.mxid.as_str()) {
                return Ok(None);
            }
            Ok(Some(invites::pending(connection, &self.threepid)?))
        })
    }
}

/// A homeserver has heard a notice: its invites are delivered, and the notice
/// is done.
pub struct CompleteNotification {
    /// The notice.
    pub message: QueuedMessage,
    /// The invites that it took.
    pub invites: Vec<i64>,
    /// Whether they are kept.
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
