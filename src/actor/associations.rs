//! The owner of the associations.

use std::fmt;

use serde_json::{Map, Value};

use super::pool::{Fault, Operation, State};
use crate::db::outbox::{self, QueuedMessage};
use crate::db::{LockKey, Store, associations, journal, peppers};
use crate::delivery::onbind::OnbindPayload;
use crate::domain::association::Association;
use crate::domain::ids::{Mxid, ServerName};
use crate::domain::lookup;
use crate::domain::threepid::ThreePid;

/// What the owner's thread holds.
pub struct Associations {
    /// Its connection.
    pub store: Store,
    /// The name under which this server signs.
    pub origin: ServerName,
}

impl State for Associations {
    const NAME: &'static str = "associations";

    fn is_alive(&mut self) -> bool {
        self.store.is_alive()
    }
}

/// Stores an association, in the place of any that its 3PID had (BND-09), and
/// queues the notice of it.
pub struct Bind {
    /// What holds from now on.
    pub association: Association,
    /// The same, signed.
    pub signed: Map<String, Value>,
    /// What its homeserver hears of it.
    pub notice: OnbindNotification,
}

/// That a homeserver is told of a binding; each one is (ONB-17).
#[derive(Debug)]
pub struct OnbindNotification {
    /// Random, unique.
    pub id: String,
    /// When the homeserver is not told any more, ms.
    pub expires_at: i64,
}

impl OnbindNotification {
    /// One of several that are made at once.
    pub(super) fn numbered(&self, number: usize) -> Self {
        Self {
            id: format!("{}{number}", self.id),
            expires_at: self.expires_at,
        }
    }

    /// The message about that association, to be delivered from `now` on.
    pub(super) fn of(self, association: &Association, now: i64) -> Result<QueuedMessage, Fault> {
        let payload = OnbindPayload::new(&association.threepid, &association.mxid);
        let payload = serde_json::to_string(&payload)
            .map_err(|_unwritable| Fault::Internal("a notice could not be written down"))?;
        let threepid = &association.threepid;
        Ok(QueuedMessage {
            subject: format!("{}:{}", threepid.medium().as_str(), threepid.address()),
            ..QueuedMessage::fresh(self.id, "onbind", payload, now, self.expires_at)
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

impl Operation for Bind {
    type State = Associations;
    type Output = ();

    fn run(self, state: &mut Associations) -> Result<(), Fault> {
        let origin = state.origin.clone();
        let signed = Value::Object(self.signed).to_string();
        let association = self.association;
        let notice = self.notice.of(&association, association.ts)?;
        state
            .store
            .write(LockKey::ThreePid(&association.threepid), |connection| {
                // A binding is never hashed with a pepper that is being replaced:
                // either the change finds it, or it finds the change.
                let current = peppers::current_to_hash_with(connection)?
                    .ok_or(Fault::Internal("the database has no pepper"))?;
                let hash = lookup::sha256_hash(&association.threepid, &current.pepper);
                associations::replace(connection, &association, &origin, &hash, &signed)?;
                // Both would carry the same invites.
                outbox::replace_notices(connection, &notice.subject, association.ts)?;
                outbox::insert(connection, &notice)?;
                Ok(journal::changed(connection, &association.threepid, None)?)
            })
    }
}

/// Removes the association of a 3PID with that user; does nothing where there
/// is none, or one with another user (UNB-09). Answers whether there was one.
#[derive(Debug)]
pub struct Unbind {
    /// What is bound.
    pub threepid: ThreePid,
    /// To whom.
    pub mxid: Mxid,
    /// Now, ms.
    pub now: i64,
}

impl Operation for Unbind {
    type State = Associations;
    type Output = bool;

    fn run(self, state: &mut Associations) -> Result<bool, Fault> {
        let origin = state.origin.clone();
        state
            .store
            .write(LockKey::ThreePid(&self.threepid), |connection| {
                let (threepid, now) = (&self.threepid, self.now);
                let stated_at = associations::remove(connection, threepid, &self.mxid, &origin)?;
                if let Some(stated_at) = stated_at {
                    // Other servers hear of it too (UNB-18), and must not take it
                    // for older than the binding, whatever the clocks say.
                    journal::changed(connection, threepid, Some(now.max(stated_at)))?;
                }
                Ok(stated_at.is_some())
            })
    }
}
