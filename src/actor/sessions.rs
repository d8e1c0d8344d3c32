//! The owner of the validation sessions.

use super::pool::{Fault, Operation, State};
use crate::db::outbox::{self, QueuedMessage};
use crate::db::send_limits::{self, Charge};
use crate::db::{LockKey, Store, sessions};
use crate::delivery::sms::SmsPayload;
use crate::delivery::verification::VerificationPayload;
use crate::domain::next_link::NextLink;
use crate::domain::rate::Rate;
use crate::domain::secret::{ClientSecret, Sid, Token};
use crate::domain::session::{self, Begin, Denied, Proof, Session, SessionLimits, Submitted};
use crate::domain::threepid::{Medium, ThreePid};

/// What the owner's thread holds.
pub struct Sessions {
    /// Its connection.
    pub store: Store,
    /// When sessions end.
    pub limits: SessionLimits,
}

impl State for Sessions {
    const NAME: &'static str = "sessions";

    fn is_alive(&mut self) -> bool {
        self.store.is_alive()
    }
}

/// A requestToken call: begins a session or goes on with one, and queues its
/// message if this attempt has none yet.
#[derive(Debug)]
pub struct BeginSession {
    /// What is to be validated.
    pub threepid: ThreePid,
    /// The secret of the client.
    pub client_secret: ClientSecret,
    /// Its count of asks for a message.
    pub send_attempt: i64,
    /// Where a browser goes afterwards.
    pub next_link: Option<NextLink>,
    /// The id of a session that is made.
    pub fresh_sid: Sid,
    /// The token of a session that is made.
    pub fresh_token: Token,
    /// Who is counted when the message is queued, and how often it may be.
    pub limits: Vec<(String, Rate)>,
    /// The message, but for what the session decides.
    pub message: MessageDraft,
    /// Now, ms.
    pub now: i64,
}

/// A message whose session is not known yet. Times are ms since the epoch.
#[derive(Debug)]
pub struct MessageDraft {
    /// Random, unique.
    pub id: String,
    /// Which template set it is made from.
    pub brand: String,
    /// The address of whoever asked, for the owner of the mailbox to read;
    /// empty when unknown.
    pub ip: String,
    /// Until then a client waits for the outcome.
    pub answer_until: i64,
    /// The instance whose client waits, and
    pub home: String,
    /// until when only that instance may take it.
    pub home_until: i64,
}

/// What a requestToken call came to.
#[derive(Debug)]
pub enum BeginOutcome {
    /// A message was queued for this call.
    Queued(Sid),
    /// The message of an earlier call with this attempt, by its id, is not
    /// settled yet.
    StillQueued(Sid, String),
    /// This attempt was sent before; nothing was queued.
    AlreadySent(Sid),
    /// Too many messages were sent; one more is free in so many milliseconds.
    Limited(i64),
}

impl Operation for BeginSession {
    type State = Sessions;
    type Output = BeginOutcome;

    fn run(self, state: &mut Sessions) -> Result<BeginOutcome, Fault> {
        let limits = state.limits;
        // One address at a time, so that racing requests make one session and
        // one message (SES-09, SES-10).
        let threepid = self.threepid.clone();
        state
            .store
            .write(LockKey::ThreePid(&threepid), |connection| {
                let existing = sessions::current(connection, &self.threepid, &self.client_secret)?;
                let decision =
                    session::begin(existing.as_ref(), self.send_attempt, self.now, limits);
                let session = match (decision, existing) {
                    (Begin::AlreadySent, Some(session)) => {
                        let queued =
                            outbox::of_attempt(connection, &session.sid, self.send_attempt)?;
                        return Ok(match queued {
                            Some(id) => BeginOutcome::StillQueued(session.sid, id),
                            None => BeginOutcome::AlreadySent(session.sid),
                        });
                    }
                    (Begin::Resend, session) => session,
                    (Begin::Fresh | Begin::AlreadySent, _) => None,
                };
                let taken = match send_limits::take_all(connection, &self.limits, self.now)? {
                    Ok(taken) => taken,
                    Err(wait_ms) => return Ok(BeginOutcome::Limited(wait_ms)),
                };
                let session = if let Some(session) = session {
                    let link = self.next_link.as_ref();
                    sessions::note_attempt(connection, &session.sid, self.send_attempt, link)?;
                    session
                } else {
                    let fresh = Session {
                        sid: self.fresh_sid,
                        threepid: self.threepid,
                        client_secret: self.client_secret,
                        token: self.fresh_token,
                        send_attempt: None,
                        next_link: self.next_link,
                        state: session::State::Pending {
                            created_at: self.now,
                            wrong_tokens: 0,
                        },
                    };
                    sessions::insert(connection, &fresh, self.send_attempt, self.now)?;
                    fresh
                };
                let expires_at = session.ends_at(limits);
                let message =
                    self.message
                        .of(&session, self.send_attempt, &taken, self.now, expires_at)?;
                outbox::insert(connection, &message)?;
                Ok(BeginOutcome::Queued(session.sid))
            })
    }
}

impl MessageDraft {
    fn of(
        self,
        session: &Session,
        send_attempt: i64,
        taken: &[Charge],
        now: i64,
        expires_at: i64,
    ) -> Result<QueuedMessage, Fault> {
        let address = session.threepid.address().to_owned();
        let code = session.token.expose().to_owned();
        let (kind, payload) = match session.threepid.medium() {
            Medium::Email => {
                let payload = VerificationPayload {
                    address,
                    brand: self.brand,
                    sid: session.sid.expose().to_owned(),
                    client_secret: session.client_secret.expose().to_owned(),
                    token: code,
                    ip: self.ip,
                };
                ("mail", serde_json::to_string(&payload))
            }
            Medium::Msisdn => {
                let payload = SmsPayload {
                    msisdn: address,
                    token: code,
                };
                ("sms", serde_json::to_string(&payload))
            }
        };
        let unwritable = |_unwritable| Fault::Internal("a message could not be written down");
        Ok(QueuedMessage {
            id: self.id,
            kind: kind.to_owned(),
            payload: payload.map_err(unwritable)?,
            limits: serde_json::to_string(taken).map_err(unwritable)?,
            subject: session.sid.expose().to_owned(),
            send_attempt,
            previous_attempt: session.send_attempt,
            tries: 0,
            created_at: now,
            due_at: now,
            answer_until: self.answer_until,
            expires_at,
            home: self.home,
            home_until: self.home_until,
            lease_owner: String::new(),
            lease_until: 0,
        })
    }
}

/// A submitToken call.
#[derive(Debug)]
pub struct SubmitToken {
    /// Which session.
    pub sid: Sid,
    /// Its secret.
    pub client_secret: ClientSecret,
    /// What its owner read in the message.
    pub token: Token,
    /// The medium of the route (SES-22).
    pub medium: Medium,
    /// Now, ms.
    pub now: i64,
}

/// What a submitToken call came to.
#[derive(Debug)]
pub enum SubmitOutcome {
    /// The session is validated; where the browser goes next.
    Validated(Option<NextLink>),
    /// That was not the token.
    WrongToken,
    /// The session takes no token.
    Denied(Denied),
}

impl Operation for SubmitToken {
    type State = Sessions;
    type Output = SubmitOutcome;

    fn run(self, state: &mut Sessions) -> Result<SubmitOutcome, Fault> {
        let limits = state.limits;
        // One session at a time, so that no guess escapes the count (SES-19).
        state
            .store
            .write(LockKey::Session(&self.sid), |connection| {
                let Some(session) = sessions::by_sid(connection, &self.sid)? else {
                    return Ok(SubmitOutcome::Denied(Denied::NoSession));
                };
                let before = session.state;
                Ok(
                    match session.submit(
                        self.medium,
                        &self.client_secret,
                        &self.token,
                        self.now,
                        limits,
                    ) {
                        Submitted::Denied(denied) => SubmitOutcome::Denied(denied),
                        Submitted::WrongToken(after) => {
                            if after.state != before {
                                sessions::set_state(connection, &after.sid, after.state)?;
                            }
                            SubmitOutcome::WrongToken
                        }
                        Submitted::Validated(after) => {
                            if after.state != before {
                                sessions::set_state(connection, &after.sid, after.state)?;
                            }
                            SubmitOutcome::Validated(after.next_link)
                        }
                    },
                )
            })
    }
}

/// What a session proves to whoever has its secret.
#[derive(Debug)]
pub struct ValidatedSession {
    /// Which session.
    pub sid: Sid,
    /// Its secret.
    pub client_secret: ClientSecret,
    /// Now, ms.
    pub now: i64,
}

impl Operation for ValidatedSession {
    type State = Sessions;
    type Output = Result<Proof, Denied>;

    fn run(self, state: &mut Sessions) -> Result<Self::Output, Fault> {
        let session = sessions::by_sid(state.store.read(), &self.sid)?;
        Ok(session
            .ok_or(Denied::NoSession)
            .and_then(|session| session.proof(&self.client_secret, self.now, state.limits)))
    }
}

/// Removes sessions that ended long ago (SES-28); answers how many.
#[derive(Debug)]
pub struct PurgeSessions {
    /// Sessions that were last changed before that moment go, ms.
    pub before: i64,
}

impl Operation for PurgeSessions {
    type State = Sessions;
    type Output = usize;

    fn run(self, state: &mut Sessions) -> Result<usize, Fault> {
        state.store.write(LockKey::Job("purge"), |connection| {
            Ok(sessions::purge(connection, self.before)?)
        })
    }
}

/// Send limits that are forgotten in one transaction, since who asks for a
/// message may wait for the rows.
const LIMITS_AT_ONCE: i64 = 500;

/// Forgets some of the send limits that nobody is near; answers whether there
/// may be more.
#[derive(Debug)]
pub struct PurgeLimits {
    /// Now, ms.
    pub now: i64,
}

impl Operation for PurgeLimits {
    type State = Sessions;
    type Output = bool;

    fn run(self, state: &mut Sessions) -> Result<bool, Fault> {
        state.store.write(LockKey::Job("purge"), |connection| {
            Ok(send_limits::purge(connection, self.now, LIMITS_AT_ONCE)?)
        })
    }
}
