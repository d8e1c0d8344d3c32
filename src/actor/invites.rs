//! What the associations actor does for invites: an invite is pending until its
//! address is bound.

use std::fmt;

use super::associations::Associations;
use super::pool::{Fault, Operation};
use crate::db::invites::{self, Invite};
use crate::db::outbox::{self, QueuedMessage};
use crate::db::send_limits::{self, Charge};
use crate::db::{LockKey, associations};
use crate::delivery::invitation::InvitationPayload;
use crate::domain::counter::{Limit, Refusal};
use crate::domain::ids::{KeyId, Mxid};
use crate::domain::invite::RoomId;
use crate::domain::message::{InstanceId, MessageId, MessageKind};
use crate::domain::public_key::PublicKey;
use crate::domain::secret::InviteToken;
use crate::domain::threepid::ThreePid;
use crate::domain::time::UnixMillis;

/// Stores an invite with its public key, and queues its mail.
pub struct StoreInvite {
    /// Its token, which the room and the mail contain.
    pub token: InviteToken,
    /// The invited 3PID.
    pub threepid: ThreePid,
    /// The room.
    pub room_id: RoomId,
    /// The user who invites.
    pub sender: Mxid,
    /// The long-term key that is advertised with it.
    pub key_id: KeyId,
    /// The public half of the key made for this invite.
    pub ephemeral_key: PublicKey,
    /// The send limits that the mail is charged to.
    pub limits: Vec<Limit>,
    /// The mail.
    pub mail: InviteMail,
    /// Now, ms.
    pub now: i64,
}

/// The mail of an invite. Times are milliseconds since the epoch.
pub struct InviteMail {
    /// Its id.
    pub id: MessageId,
    /// Its content.
    pub payload: InvitationPayload,
    /// Until then a client waits for the outcome.
    pub answer_until: UnixMillis,
    /// When it is no longer tried.
    pub expires_at: UnixMillis,
    /// The instance whose client waits.
    pub affinity_instance: InstanceId,
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

/// What a store-invite call did.
#[derive(Debug, PartialEq, Eq)]
pub enum StoreOutcome {
    /// The invite is stored and its mail is queued.
    Queued,
    /// The address is bound to that user; nothing was stored (INV-08).
    InUse(String),
    /// A send limit is reached.
    Limited(Refusal),
}

impl Operation for StoreInvite {
    type State = Associations;
    type Output = StoreOutcome;

    fn run(self, state: &mut Associations) -> Result<StoreOutcome, Fault> {
        // Locked by 3PID, or a bind at the same time would miss the invite.
        state
            .store
            .write(LockKey::ThreePid(&self.threepid), |connection| {
                if let Some(mxid) = associations::find_mxid(connection, &self.threepid, self.now)? {
                    return Ok(StoreOutcome::InUse(mxid));
                }
                let charges = match send_limits::charge_all(connection, &self.limits, self.now)? {
                    Ok(charges) => charges,
                    Err(refusal) => return Ok(StoreOutcome::Limited(refusal)),
                };
                invites::insert(
                    connection,
                    &Invite {
                        token: &self.token,
                        threepid: &self.threepid,
                        room_id: &self.room_id,
                        sender: &self.sender,
                        key_id: &self.key_id,
                        ephemeral_key: &self.ephemeral_key.to_base64(),
                        created_at: self.now,
                    },
                )?;
                let message = self.mail.build(&charges, self.now)?;
                outbox::insert(connection, &message)?;
                Ok(StoreOutcome::Queued)
            })
    }
}

impl InviteMail {
    fn build(self, charges: &[Charge], now: i64) -> Result<QueuedMessage, Fault> {
        let cannot_encode = |_error| Fault::Internal("cannot encode an invitation");
        let payload = serde_json::to_string(&self.payload).map_err(cannot_encode)?;
        Ok(QueuedMessage {
            limits: serde_json::to_string(charges).map_err(cannot_encode)?,
            subject: self.payload.token,
            answer_until: self.answer_until,
            affinity_instance: self.affinity_instance,
            acknowledged: false,
            ..QueuedMessage::new(
                self.id,
                MessageKind::Invite,
                payload,
                UnixMillis::new(now),
                self.expires_at,
            )
        })
    }
}
