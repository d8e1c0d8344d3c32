//! The way out for notices: tells the homeserver of a user who was bound, with
//! the invites that waited for it, until it has heard (section 16 of the
//! conformance list).

use std::time::Duration;

use serde_json::{Map, Value};

use super::associations::Associations;
use super::courier::{Books, millis};
use super::dispatcher::Courier;
use super::federation::{FederationDoor, OnbindFailure};
use super::notices::{NoticeHeard, WaitingInvites};
use super::outbox::Settlement;
use super::pool::{Fault, Pool};
use super::signer::{Sign, SignAs, Signer};
use crate::db::invites::Pending;
use crate::db::outbox::Queued;
use crate::delivery::notice::NoticePayload;
use crate::domain::homeservers::HomeserverLists;
use crate::domain::ids::{KeyId, Mxid, ServerName};
use crate::domain::onbind::{self, WaitingInvite};
use crate::domain::threepid::ThreePid;

/// Tells homeservers.
pub struct Notifier {
    /// Settles.
    pub books: Books,
    /// Knows the bindings and the invites.
    pub associations: Pool<Associations>,
    /// Signs.
    pub signer: Pool<Signer>,
    /// The way to homeservers.
    pub federation: FederationDoor,
    /// Which homeservers are never spoken to.
    pub homeservers: HomeserverLists,
    /// Whether invites stay in the database once they are delivered.
    pub keep_delivered: bool,
}

/// A binding whose homeserver is to hear of it.
struct Notice {
    threepid: ThreePid,
    mxid: Mxid,
    server: ServerName,
}

/// What became of a try.
enum Told {
    /// The homeserver heard, and took these invites.
    Heard(Vec<i64>),
    /// The binding does not hold any more (ONB-14).
    Obsolete,
    /// It does not want to hear.
    Refused(String),
    /// It may hear later.
    Later(String),
}

impl Notice {
    fn read(payload: &str) -> Option<Self> {
        let payload: NoticePayload = serde_json::from_str(payload).ok()?;
        let mxid = Mxid::parse(&payload.mxid).ok()?;
        Some(Self {
            threepid: ThreePid::parse(&payload.medium, &payload.address).ok()?,
            server: ServerName::parse(mxid.server_name()).ok()?,
            mxid,
        })
    }
}

impl Courier for Notifier {
    const NAME: &'static str = "notice";
    const KINDS: &'static [&'static str] = &["onbind"];

    fn instance(&self) -> &str {
        &self.books.instance
    }

    fn now(&self) -> i64 {
        self.books.clock.now()
    }

    async fn deliver(&self, message: Queued) -> Option<Duration> {
        let (id, tries) = (message.id.clone(), message.tries);
        let id = id.as_str();
        if self.now() > message.expires_at {
            log::warn!(id, tries; "notice dropped: the homeserver did not hear it for too long; its invites wait for the next binding of their address");
            self.drop_it(message, "expired").await;
            return None;
        }
        let Some(notice) = Notice::read(&message.payload) else {
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
            Told::Later("this server could not".to_owned())
        });
        match told {
            Told::Heard(invites) => {
                log::info!(id, tries, invites = invites.len(); "notice heard by the homeserver");
                self.heard(message, invites).await;
                None
            }
            Told::Obsolete => {
                log::info!(id, tries; "notice dropped: the binding does not hold any more");
                self.drop_it(message, "obsolete").await;
                None
            }
            Told::Refused(what) => {
                log::warn!(id, tries; "notice dropped, it was refused for good: {what}; its invites wait for the next binding of their address");
                self.drop_it(message, "refused").await;
                None
            }
            Told::Later(what) => {
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

impl Notifier {
    /// Tells the homeserver once, with all that waits. If it refuses that for
    /// good, one invite may have been the cause: then each is told alone
    /// (ONB-11), and if it wants none of them, the binding without any (ONB-17).
    async fn tell(&self, notice: &Notice) -> Result<Told, Fault> {
        let waiting = self.associations.ask(WaitingInvites {
            threepid: notice.threepid.clone(),
            mxid: notice.mxid.clone(),
            now: self.now(),
        });
        let Some(waiting) = waiting.await? else {
            return Ok(Told::Obsolete);
        };
        let told = self.tell_of(notice, &waiting).await?;
        if waiting.is_empty() || !matches!(told, Told::Refused(_)) {
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
                Told::Heard(ids) => taken.extend(ids),
                // What was taken by then is told again, which does no harm.
                Told::Later(what) => return Ok(Told::Later(what)),
                Told::Refused(_) | Told::Obsolete => {}
            }
        }
        if taken.is_empty() {
            return self.tell_of(notice, &[]).await;
        }
        Ok(Told::Heard(taken))
    }

    async fn tell_of(&self, notice: &Notice, waiting: &[Pending]) -> Result<Told, Fault> {
        let (mut ids, mut invites) = (Vec::new(), Vec::new());
        for pending in waiting {
            let signed = self.signer.ask(SignAs {
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
        let body = Value::Object(self.signer.ask(Sign { object }).await?);
        let heard = self.federation.onbind(&notice.server, body.to_string());
        Ok(match heard.await? {
            Ok(()) => Told::Heard(ids),
            Err(OnbindFailure::Final { what }) => Told::Refused(what),
            Err(OnbindFailure::Passing { what }) => Told::Later(what),
        })
    }

    async fn drop_it(&self, message: Queued, outcome: &'static str) {
        self.books.metrics.delivered(Self::NAME, outcome);
        self.books.settle(message, Settlement::Dropped).await;
    }

    /// Notes that the homeserver heard, however long the database is away: it
    /// would be told again otherwise.
    async fn heard(&self, message: Queued, invites: Vec<i64>) {
        self.books.metrics.delivered(Self::NAME, "delivered");
        let noted = async || {
            let noted = NoticeHeard {
                message: message.clone(),
                invites: invites.clone(),
                keep: self.keep_delivered,
                now: self.now(),
            };
            self.associations.ask(noted).await
        };
        self.books.persist(&message.id, noted).await;
    }
}

impl Notice {
    fn invite(&self, pending: &Pending, signed: &Map<String, Value>) -> Value {
        let waiting = WaitingInvite {
            token: pending.token.clone(),
            room_id: pending.room_id.clone(),
            sender: pending.sender.clone(),
        };
        onbind::invite(&self.threepid, &self.mxid, &waiting, signed)
    }
}
