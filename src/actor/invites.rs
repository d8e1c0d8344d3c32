//! Invitations: a part of what the owner of the associations holds, since an
//! invite ends with the binding of its address.

use std::fmt;

use super::associations::Associations;
use super::pool::{Fault, Operation};
use crate::db::invites::{self, Invite};
use crate::db::outbox::{self, QueuedMessage};
use crate::db::{LockKey, associations, send_limits};
use crate::delivery::invitation::InvitationPayload;
use crate::domain::base64;
use crate::domain::ids::{KeyId, Mxid};
use crate::domain::invite::RoomId;
use crate::domain::rate::Rate;
use crate::domain::secret::InviteToken;
use crate::domain::threepid::ThreePid;

/// Stores an invite with the public half of its key, and queues its mail.
pub struct StoreInvite {
    /// Names it in the room; the mail has it as well.
    pub token: InviteToken,
    /// Who is invited.
    pub threepid: ThreePid,
    /// Where to.
    pub room_id: RoomId,
    /// By whom.
    pub sender: Mxid,
    /// The long-term key that is advertised with it.
    pub key_id: KeyId,
    /// The public half of its own key.
    pub ephemeral_key: [u8; 32],
    /// Who is counted for the mail, and how often that may be.
    pub limits: Vec<(String, Rate)>,
    /// The mail.
    pub mail: InviteMail,
    /// Now, ms.
    pub now: i64,
}

/// The mail of an invite. Times are ms since the epoch.
pub struct InviteMail {
    /// Random, unique.
    pub id: String,
    /// What it says.
    pub payload: InvitationPayload,
    /// Until then a client waits for the outcome.
    pub answer_until: i64,
    /// When it is no longer tried.
    pub expires_at: i64,
    /// The instance whose client waits, and
    pub home: String,
    /// until when only that instance may take it.
    pub home_until: i64,
}

// Written by hand: the mail holds an address, a token and a key.
impl fmt::Debug for StoreInvite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StoreInvite")
            .field("threepid", &self.threepid)
            .field("key_id", &self.key_id)
            .finish_non_exhaustive()
    }
}

/// What became of an invite.
#[derive(Debug, PartialEq, Eq)]
pub enum StoreOutcome {
    /// It is stored and its mail is queued.
    Queued,
    /// The address is bound to that user; nothing was stored (INV-08).
    InUse(String),
    /// Too many mails were sent; one more is free in so many milliseconds.
    Limited(i64),
}

impl Operation for StoreInvite {
    type State = Associations;
    type Output = StoreOutcome;

    fn run(self, state: &mut Associations) -> Result<StoreOutcome, Fault> {
        // In turn with the binding of the address, which would miss it otherwise.
        state
            .store
            .write(LockKey::ThreePid(&self.threepid), |connection| {
                let (medium, address) = (self.threepid.medium(), self.threepid.address());
                let bound = associations::mxids(connection, medium, &[address], self.now)?;
                // The newest comes last.
                if let Some((_, mxid)) = bound.into_iter().next_back() {
                    return Ok(StoreOutcome::InUse(mxid));
                }
                let taken = match send_limits::take_all(connection, &self.limits, self.now)? {
                    Ok(taken) => taken,
                    Err(wait_ms) => return Ok(StoreOutcome::Limited(wait_ms)),
                };
                invites::insert(
                    connection,
                    &Invite {
                        token: &self.token,
                        threepid: &self.threepid,
                        room_id: &self.room_id,
                        sender: &self.sender,
                        key_id: &self.key_id,
                        ephemeral_key: &base64::encode(&self.ephemeral_key),
                        created_at: self.now,
                    },
                )?;
                let message = self.mail.queued(&taken, self.now)?;
                outbox::insert(connection, &message)?;
                Ok(StoreOutcome::Queued)
            })
    }
}

impl InviteMail {
    fn queued(self, taken: &[send_limits::Charge], now: i64) -> Result<QueuedMessage, Fault> {
        let unwritable = |_unwritable| Fault::Internal("an invitation could not be written down");
        let payload = serde_json::to_string(&self.payload).map_err(unwritable)?;
        Ok(QueuedMessage {
            limits: serde_json::to_string(taken).map_err(unwritable)?,
            subject: self.payload.token,
            answer_until: self.answer_until,
            home: self.home,
            home_until: self.home_until,
            ..QueuedMessage::fresh(self.id, "invite", payload, now, self.expires_at)
        })
    }
}
