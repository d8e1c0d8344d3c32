//! The associations actor: bindings, with their invites and the journal for peers.

use std::fmt;

use serde_json::{Map, Value};

use super::pool::{Fault, Operation, State};
use crate::db::outbox::{self, QueuedMessage};
use crate::db::{
    LockKey, Store, associations, erasures, journal, own, peppers, send_limits, statements,
};
use crate::delivery::onbind::OnbindPayload;
use crate::domain::association::Association;
use crate::domain::counter::{Limit, Refusal};
use crate::domain::ids::{Mxid, ServerName};
use crate::domain::message::{MessageId, MessageKind};
use crate::domain::public_key::PublicKey;
use crate::domain::threepid::ThreePid;
use crate::domain::time::UnixMillis;

/// The state of one thread.
pub struct Associations {
    /// Its connection.
    pub store: Store,
    /// The name under which this server signs.
    pub origin: ServerName,
    /// The keys with which it signs and has signed.
    pub own_keys: Vec<PublicKey>,
}

impl State for Associations {
    const NAME: &'static str = "associations";
}

/// Stores an association, which replaces the one that its 3PID had (BND-09), and
/// queues its onbind notification.
pub struct Bind {
    /// The association.
    pub association: Association,
    /// The same, signed.
    pub signed: Map<String, Value>,
    /// The notification of its homeserver.
    pub notification: OnbindNotification,
    /// The limits that it is charged to.
    pub limits: Vec<Limit>,
    /// Now, ms.
    pub now: i64,
}

/// A notification of a homeserver; every binding has one (ONB-17).
#[derive(Debug)]
pub struct OnbindNotification {
    /// The id of its message.
    pub id: MessageId,
    /// When it is given up.
    pub expires_at: UnixMillis,
}

impl OnbindNotification {
    /// One of several notifications that are queued together.
    pub(super) fn numbered(&self, number: usize) -> Self {
        Self {
            id: MessageId::from(format!("{}{number}", self.id)),
            expires_at: self.expires_at,
        }
    }

    /// The message about an association, due at `now`.
    pub(super) fn build(
        self,
        association: &Association,
        now: UnixMillis,
    ) -> Result<QueuedMessage, Fault> {
        let payload = OnbindPayload::new(&association.threepid, &association.mxid);
        let payload = serde_json::to_string(&payload)
            .map_err(|_error| Fault::Internal("cannot encode an onbind notification"))?;
        let threepid = &association.threepid;
        Ok(QueuedMessage {
            subject: format!("{}:{}", threepid.medium().as_str(), threepid.address()),
            ..QueuedMessage::new(self.id, MessageKind::Onbind, payload, now, self.expires_at)
        })
    }
}

// Written by hand: the signed object holds the address.
impl fmt::Debug for Bind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bind")
            .field("association", &self.association)
            .finish_non_exhaustive()
    }
}

/// What [`Bind`] did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BindOutcome {
    /// The association is stored.
    Stored,
    /// It is charged, and nothing is stored: it must be dated at this time or later, ms.
    /// The clocks of instances and peers differ, and of several bindings the newest counts.
    TooOld(i64),
    /// A limit is reached; nothing is stored.
    Limited(Refusal),
}

impl Operation for Bind {
    type State = Associations;
    type Output = BindOutcome;

    fn run(self, state: &mut Associations) -> Result<BindOutcome, Fault> {
        let (origin, own_keys) = (state.origin.clone(), state.own_keys.clone());
        let signed = Value::Object(self.signed).to_string();
        let association = self.association;
        let now = UnixMillis::new(association.not_before);
        let message = self.notification.build(&association, now)?;
        let threepid = &association.threepid;
        state
            .store
            .write(LockKey::ThreePid(threepid), |connection| {
                // Locked against a step of a rotation, which would not see the new row.
                // Before any row is changed, since that step waits for changed rows, and
                // before the counters, on which other binds of the client wait.
                let peppers = peppers::for_hashing(connection)?
                    .ok_or(Fault::Internal("the database has no pepper"))?;
                // Adopting may lock the journal, which other binds lock after their counters.
                if let Err(refusal) = send_limits::charge_all(connection, &self.limits, self.now)? {
                    return Ok(BindOutcome::Limited(refusal));
                }
                own::adopt(connection, threepid, &origin, &own_keys)?;
                let said = statements::find(connection, threepid)?;
                let erased = erasures::latest(connection, threepid, Some(&association.mxid))?;
                let ts = said
                    .next_ts(association.ts)
                    .max(erased.map_or(0, |at| at + 1));
                if ts != association.ts {
                    return Ok(BindOutcome::TooOld(ts));
                }
                let hashes = peppers.hash(threepid);
                associations::replace(connection, &association, &origin, 0, ts, &hashes, &signed)?;
                // The older and the newer one would carry the same invites.
                outbox::remove_replaced_onbind(connection, &message.subject, message.created_at)?;
                outbox::insert(connection, &message)?;
                let restates = said.has_others_than(origin.as_str());
                journal::record_change(connection, threepid, None, restates)?;
                Ok(BindOutcome::Stored)
            })
    }
}

/// Removes the association of a 3PID with a user. Does nothing when there is none
/// or it is bound to another user (UNB-09). Returns whether there was one.
#[derive(Debug)]
pub struct Unbind {
    /// The 3PID.
    pub threepid: ThreePid,
    /// The user.
    pub mxid: Mxid,
    /// Now, ms.
    pub now: i64,
}

impl Operation for Unbind {
    type State = Associations;
    type Output = bool;

    fn run(self, state: &mut Associations) -> Result<bool, Fault> {
        let (origin, own_keys) = (state.origin.clone(), state.own_keys.clone());
        state
            .store
            .write(LockKey::ThreePid(&self.threepid), |connection| {
                let threepid = &self.threepid;
                own::adopt(connection, threepid, &origin, &own_keys)?;
                let said = statements::find(connection, threepid)?;
                let own = said
                    .by(origin.as_str())
                    .and_then(|own| own.binding.as_ref());
                if own.is_none_or(|own| own.mxid != self.mxid.as_str()) {
                    return Ok(false);
                }
                let at = said.removal_ts(origin.as_str(), self.now);
                statements::store_removal(connection, threepid, &origin, 0, at, at)?;
                // Pushed to peers as well (UNB-18).
                let restates = said.has_others_than(origin.as_str());
                journal::record_change(connection, threepid, Some(at), restates)?;
                Ok(true)
            })
    }
}
