//! The way out for notices: tells the homeserver of a user who was bound, with
//! the invites that waited for it, until it has heard (section 16 of the
//! conformance list).

use std::time::Duration;

use serde_json::{Map, Value};

use super::associations::Associations;
use super::federation::{FederationHandle, OnbindFailure};
use super::message_worker::{DeliveryQueue, millis};
use super::onbind::{CompleteNotification, FindPendingInvites};
use super::outbox::Settlement;
use super::pool::{Fault, Pool};
use super::signer::{Sign, SignAs, Signer};
use super::worker_loop::DeliveryWorker;
use crate::db::invites::Pending;
use crate::db::outbox::QueuedMessage;
use crate::delivery::onbind::OnbindPayload;
use crate::domain::homeservers::HomeserverLists;
use crate::domain::ids::{KeyId, Mxid, ServerName};
use crate::domain::onbind::{self, PendingInvite};
use crate::domain::threepid::ThreePid;

/// Tells homeservers.
pub struct OnbindWorker {
    /// Settles.
    pub books: DeliveryQueue,
    /// Knows the bindings and the invites.
    pub associations: Pool<Associations>,
    /// Signs.
    pub signer: Pool<Signer>,
    /// The way to homeservers.
    pub federation: FederationHandle,
    /// Which homeservers are never spoken to.
    pub homeservers: HomeserverLists,
    /// Whether invites stay in the database once they are delivered.
    pub keep_delivered: bool,
}

/// A binding whose homeserver is to hear of it.
struct Notification {
    threepid: ThreePid,
    mxid: Mxid,
    server: ServerName,
}

/// What became of a try.
enum NotifyOutcome {
    /// The homeserver heard, and took these invites.
    Heard(Vec<i64>),
    /// The binding does not hold any more (ONB-14).
    Obsolete,
    /// It does not want to hear.
    Refused(String),
    /// It may hear later.
    Later(String),
}

impl Notification {
    fn read(payload: &str) -> Option<Self> {
        let payload: OnbindPayload = serde_json::from_str(payload).ok()?;
        let mxid = Mxid::parse(&payload.mxid).ok()?;
        Some(Self {
            threepid: ThreePid::parse(&payload.medium, &payload.address).ok()?,
            server: ServerName::parse(mxid.server_name()).ok()?,
            mxid,
        })
    }
}

impl DeliveryWorker for OnbindWorker {
    const NAME: &'static str = "notice";
    const KINDS: &'static [&'static str] = &["onbind"];

    fn instance(&self) -> &str {
        &self.books.instance
    }

    fn now(&self) -> i64 {
        self.books.clock.now()
    }

    async fn deliver(&self, message: QueuedMessage) -> Option<Duration> {
        let (id, tries) = (message.id.clone(), message.tries);
        let id = id.as_str();
        if self.now() > message.expires_at {
            log::warn!(id, tries; "notice dropped: the homeserver did not hear it for too long; its invites wait for the next binding of their address");
            self.drop_it(message, "expired").await;
            return None;
        }
        let Some(notice) = Notification::read(&message.payload) else {
            log::error!(id; "notice dropped: its stored form does not read as one");
            self.drop_it(message, "refused").await;
            return None;
        };
        if !self.homeservers.may_be_contacted(&notice.server) {
            log::info!(id; "notice dropped: this server does not speak to that homeserver");
            self.drop_it(message, "refused").await;
            return None;
        }
        let told = self.tell(&notice).await.unwrap_or_else(|fault| {
            log::error!(id, tries; "notice not delivered: {fault}");
            NotifyOutcome::Later("this server could not".to_owned())
        });
        match told {
            NotifyOutcome::Heard(invites) => {
                log::info!(id, tries, invites = invites.len(); "notice heard by the homeserver");
                self.heard(message, invites).await;
                None
            }
            NotifyOutcome::Obsolete => {
                log::info!(id, tries; "notice dropped: the binding does not hold any more");
                self.drop_it(message, "obsolete").await;
                None
            }
            NotifyOutcome::Refused(what) => {
                log::warn!(id, tries; "notice dropped, it was refused for good: {what}; its invites wait for the next binding of their address");
                self.drop_it(message, "refused").await;
                None
            }
            NotifyOutcome::Later(what) => {
                let pause = self.books.pause_ms(tries, 0);
                log::warn!(id, tries, pause_ms = pause; "notice not heard, trying again: {what}");
                self.books.metrics.delivered(Self::NAME, "postponed");
                let again = Settlement::Postponed(self.now().saturating_add(pause));
                self.books.settle(message, again).await;
                Some(millis(pause))
            }
        }
    }
}

impl OnbindWorker {
    /// Tells the homeserver once, with all that waits. If it refuses that for
    /// good, one invite may have been the cause: then each is told alone
    /// (ONB-11), and if it wants none of them, the binding without any (ONB-17).
    async fn tell(&self, notice: &Notification) -> Result<NotifyOutcome, Fault> {
        let waiting = self.associations.send(FindPendingInvites {
            threepid: notice.threepid.clone(),
            mxid: notice.mxid.clone(),
            now: self.now(),
        });
        let Some(waiting) = waiting.await? else {
            return Ok(NotifyOutcome::Obsolete);
        };
        let told = self.tell_of(notice, &waiting).await?;
        if waiting.is_empty() || !matches!(told, NotifyOutcome::Refused(_)) {
            return Ok(told);
        }
        let mut taken = Vec::new();
        // One alone was told just now.
        let alone = if waiting.len() > 1 {
            waiting.as_slice()
        } else {
            &[]
        };
        for invite in alone {
            match self.tell_of(notice, std::slice::from_ref(invite)).await? {
                NotifyOutcome::Heard(ids) => taken.extend(ids),
                // What was taken by then is told again, which does no harm.
                NotifyOutcome::Later(what) => return Ok(NotifyOutcome::Later(what)),
                NotifyOutcome::Refused(_) | NotifyOutcome::Obsolete => {}
            }
        }
        if taken.is_empty() {
            return self.tell_of(notice, &[]).await;
        }
        Ok(NotifyOutcome::Heard(taken))
    }

    async fn tell_of(
        &self,
        notice: &Notification,
        waiting: &[Pending],
    ) -> Result<NotifyOutcome, Fault> {
        let (mut ids, mut invites) = (Vec::new(), Vec::new());
        for pending in waiting {
            let signed = self.signer.send(SignAs {
                key_id: KeyId::parse(&pending.key_id).ok(),
                object: onbind::signed_part(&notice.mxid, &pending.token),
            });
            let Some(signed) = signed.await? else {
                log::error!(key_id = pending.key_id.as_str(); "an invite stays here: the key that its room knows is not in server.signing_key_file any more");
                continue;
            };
            ids.push(pending.id);
            invites.push(notice.invite(pending, &signed));
        }
        let object = onbind::body(&notice.threepid, &notice.mxid, invites);
        let body = Value::Object(self.signer.send(Sign { object }).await?);
        let heard = self.federation.onbind(&notice.server, body.to_string());
        Ok(match heard.await? {
            Ok(()) => NotifyOutcome::Heard(ids),
            Err(OnbindFailure::Final { what }) => NotifyOutcome::Refused(what),
            Err(OnbindFailure::Passing { what }) => NotifyOutcome::Later(what),
        })
    }

    async fn drop_it(&self, message: QueuedMessage, outcome: &'static str) {
        self.books.metrics.delivered(Self::NAME, outcome);
        self.books.settle(message, Settlement::Dropped).await;
    }

    /// Notes that the homeserver heard, however long the database is away: it
    /// would be told again otherwise.
    async fn heard(&self, message: QueuedMessage, invites: Vec<i64>) {
        self.books.metrics.delivered(Self::NAME, "delivered");
        let noted = async || {
            let noted = CompleteNotification {
                message: message.clone(),
                invites: invites.clone(),
                keep: self.keep_delivered,
                now: self.now(),
            };
            self.associations.send(noted).await
        };
        self.books.persist(&message.id, noted).await;
    }
}

impl Notification {
    fn invite(&self, pending: &Pending, signed: &Map<String, Value>) -> Value {
        let waiting = PendingInvite {
            token: pending.token.clone(),
            room_id: pending.room_id.clone(),
            sender: pending.sender.clone(),
        };
        onbind::invite(&self.threepid, &self.mxid, &waiting, signed)
    }
}
