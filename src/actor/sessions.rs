//! The sessions actor: validation sessions, their attempts and send limits.

use super::pool::{Fault, Kind, Operation, State};
use super::retention::BATCH;
use crate::db::outbox::{self, QueuedMessage};
use crate::db::send_limits::{self, Charge};
use crate::db::{LockKey, Store, sessions};
use crate::delivery::sms::SmsPayload;
use crate::delivery::verification::VerificationPayload;
use crate::domain::counter::{Limit, Refusal};
use crate::domain::message::{InstanceId, MessageId, MessageKind};
use crate::domain::next_link::NextLink;
use crate::domain::secret::{ClientSecret, Sid, Token};
use crate::domain::session::{
    self, Denied, Proof, SendDecision, Session, SessionLimits, SubmitOutcome,
};
use crate::domain::session_secrets::{HashKey, TokenHashes};
use crate::domain::stored_link::StoredLink;
use crate::domain::threepid::{Medium, ThreePid};
use crate::domain::time::UnixMillis;

/// The state of one thread.
pub struct Sessions {
    /// Its connection.
    pub store: Store,
    /// The lifetime of sessions, and how many wrong tokens they take.
    pub limits: SessionLimits,
    /// Hashes client secrets and tokens.
    pub hash_key: HashKey,
}

impl State for Sessions {
    const NAME: &'static str = "sessions";
}

/// Starts a session or continues one, and queues its message unless this attempt
/// was sent already.
#[derive(Debug)]
pub struct BeginSession {
    /// The 3PID to validate.
    pub threepid: ThreePid,
    /// The client secret.
    pub client_secret: ClientSecret,
    /// The send attempt, counted by the client.
    pub send_attempt: i64,
    /// Where the browser goes after validation.
    pub next_link: Option<NextLink>,
    /// The id of a new session.
    pub fresh_sid: Sid,
    /// The token of the message.
    pub fresh_token: Token,
    /// The send limits that the message is charged to.
    pub limits: Vec<Limit>,
    /// The message without what the session adds.
    pub message: MessageDraft,
    /// Now, ms.
    pub now: i64,
}

/// A message before its session is known. Times are milliseconds since the epoch.
#[derive(Debug)]
pub struct MessageDraft {
    /// Its id.
    pub id: MessageId,
    /// The brand of its templates.
    pub brand: String,
    /// The address of the client, which the mail shows; empty when unknown.
    pub ip: String,
    /// Until then a client waits for the outcome.
    pub answer_until: UnixMillis,
    /// The instance whose client waits.
    pub affinity_instance: InstanceId,
}

/// What a requestToken call did.
#[derive(Debug)]
pub enum BeginOutcome {
    /// A message was queued for this call.
    Queued(Sid),
    /// The message of an earlier call with this attempt is still queued.
    StillQueued(Sid, MessageId),
    /// This attempt was sent before; no message was queued.
    AlreadySent(Sid),
    /// A send limit is reached.
    Limited(Refusal),
}

impl Operation for BeginSession {
    type State = Sessions;
    type Output = BeginOutcome;

    fn run(self, state: &mut Sessions) -> Result<BeginOutcome, Fault> {
        let limits = state.limits;
        let secret_hash = state.hash_key.client_secret(&self.client_secret);
        let hash_key = state.hash_key.clone();
        let next_link = self.next_link.as_ref();
        let next_link = next_link.map(|link| StoredLink::new(link.as_str(), &self.client_secret));
        // Locked by 3PID, so that concurrent requests make one session and one
        // message (SES-09, SES-10).
        let threepid = self.threepid.clone();
        state
            .store
            .write(LockKey::ThreePid(&threepid), |connection| {
                let existing = sessions::current(connection, &self.threepid, &secret_hash)?;
                let decision =
                    session::decide_send(existing.as_ref(), self.send_attempt, self.now, limits);
                let session = match (decision, existing) {
                    (SendDecision::AlreadySent, Some(session)) => {
                        let queued =
                            outbox::find_by_attempt(connection, &session.sid, self.send_attempt)?;
                        return Ok(match queued {
                            Some(id) => BeginOutcome::StillQueued(session.sid, id),
                            None => BeginOutcome::AlreadySent(session.sid),
                        });
                    }
                    (SendDecision::Resend, session) => session,
                    (SendDecision::NewSession | SendDecision::AlreadySent, _) => None,
                };
                let charges = match send_limits::charge_all(connection, &self.limits, self.now)? {
                    Ok(charges) => charges,
                    Err(refusal) => return Ok(BeginOutcome::Limited(refusal)),
                };
                let hash = |sid: &Sid| hash_key.token(sid, &self.client_secret, &self.fresh_token);
                let session = match session {
                    Some(mut session) => {
                        let medium = session.threepid.medium();
                        session.tokens.add(hash(&session.sid), medium);
                        let is_there = sessions::record_attempt(
                            connection,
                            &session.sid,
                            self.send_attempt,
                            &session.tokens,
                            next_link.as_ref(),
                        )?;
                        is_there.then_some(session)
                    }
                    None => None,
                };
                let session = if let Some(session) = session {
                    session
                } else {
                    let token = hash(&self.fresh_sid);
                    let fresh = Session {
                        sid: self.fresh_sid,
                        threepid: self.threepid,
                        client_secret: secret_hash,
                        tokens: TokenHashes::new(token),
                        send_attempt: None,
                        next_link,
                        state: session::State::Pending {
                            created_at: self.now,
                            wrong_tokens: 0,
                        },
                    };
                    sessions::insert(connection, &fresh, self.send_attempt, self.now)?;
                    fresh
                };
                let expires_at = session.ends_at(limits);
                let sent = Sent {
                    attempt: self.send_attempt,
                    client_secret: &self.client_secret,
                    token: &self.fresh_token,
                    now: self.now,
                    expires_at,
                };
                let message = self.message.build(&session, &sent, &charges)?;
                outbox::insert(connection, &message)?;
                Ok(BeginOutcome::Queued(session.sid))
            })
    }
}

/// What a message contains besides its session, which knows only hashes. Times are
/// milliseconds since the epoch.
struct Sent<'a> {
    attempt: i64,
    client_secret: &'a ClientSecret,
    token: &'a Token,
    now: i64,
    expires_at: i64,
}

impl MessageDraft {
    fn build(
        self,
        session: &Session,
        sent: &Sent<'_>,
        charges: &[Charge],
    ) -> Result<QueuedMessage, Fault> {
        let address = session.threepid.address().to_owned();
        let code = sent.token.expose().to_owned();
        let (kind, payload) = match session.threepid.medium() {
            Medium::Email => {
                let payload = VerificationPayload {
                    address,
                    brand: self.brand,
                    sid: session.sid.expose().to_owned(),
                    client_secret: sent.client_secret.expose().to_owned(),
                    token: code,
                    ip: self.ip,
                };
                (MessageKind::Mail, serde_json::to_string(&payload))
            }
            Medium::Msisdn => {
                let payload = SmsPayload {
                    msisdn: address,
                    token: code,
                    provider: None,
                };
                (MessageKind::Sms, serde_json::to_string(&payload))
            }
        };
        let cannot_encode = |_error| Fault::Internal("cannot encode a message");
        Ok(QueuedMessage {
            payload: payload.map_err(cannot_encode)?,
            limits: serde_json::to_string(charges).map_err(cannot_encode)?,
            subject: session.sid.expose().to_owned(),
            send_attempt: sent.attempt,
            previous_attempt: session.send_attempt,
            answer_until: self.answer_until,
            affinity_instance: self.affinity_instance,
            acknowledged: false,
            ..QueuedMessage::new(
                self.id,
                kind,
                String::new(),
                sent.now.into(),
                sent.expires_at.into(),
            )
        })
    }
}

/// How many messages a limit with a period has counted.
#[derive(Debug)]
pub struct UsedOfLimit {
    /// The limit.
    pub limit: Limit,
}

impl Operation for UsedOfLimit {
    type State = Sessions;
    type Output = u32;
    const KIND: Kind = Kind::Read;

    fn run(self, state: &mut Sessions) -> Result<u32, Fault> {
        Ok(send_limits::used(&mut state.store.read(), &self.limit)?)
    }
}

/// Submits a token to a session.
#[derive(Debug)]
pub struct SubmitToken {
    /// The session.
    pub sid: Sid,
    /// The client secret.
    pub client_secret: ClientSecret,
    /// The token from the message.
    pub token: Token,
    /// The medium of the endpoint (SES-22).
    pub medium: Medium,
    /// Now, ms.
    pub now: i64,
}

impl Operation for SubmitToken {
    type State = Sessions;
    type Output = SubmitOutcome;

    fn run(self, state: &mut Sessions) -> Result<SubmitOutcome, Fault> {
        let limits = state.limits;
        let key = &state.hash_key;
        let secret = key.client_secret(&self.client_secret);
        let token = key.token(&self.sid, &self.client_secret, &self.token);
        // Locked by session, so that every guess is counted (SES-19).
        state
            .store
            .write(LockKey::Session(&self.sid), |connection| {
                let Some(session) = sessions::by_sid(connection, &self.sid)? else {
                    return Ok(SubmitOutcome::Denied(Denied::NoSession));
                };
                let before = session.state;
                let outcome = session.submit(self.medium, &secret, &token, self.now, limits);
                if let SubmitOutcome::Validated(after) | SubmitOutcome::WrongToken(after) = &outcome
                    && after.state != before
                {
                    sessions::set_state(connection, &after.sid, after.state)?;
                }
                Ok(outcome)
            })
    }
}

/// The proof that a session holds for a client that has its secret.
#[derive(Debug)]
pub struct ValidatedSession {
    /// The session.
    pub sid: Sid,
    /// The client secret.
    pub client_secret: ClientSecret,
    /// Now, ms.
    pub now: i64,
}

impl Operation for ValidatedSession {
    type State = Sessions;
    type Output = Result<Proof, Denied>;
    const KIND: Kind = Kind::Read;

    fn run(self, state: &mut Sessions) -> Result<Self::Output, Fault> {
        let secret = state.hash_key.client_secret(&self.client_secret);
        let session = sessions::by_sid(&mut state.store.read(), &self.sid)?;
        Ok(session
            .ok_or(Denied::NoSession)
            .and_then(|session| session.proof(&secret, self.now, state.limits)))
    }
}

/// Removes some of the sessions that ended long ago (SES-28). Returns how many; there may
/// be more unless there were none.
#[derive(Debug)]
pub struct PurgeSessions {
    /// Sessions that were last changed before that time are removed, ms.
    pub before: i64,
}

impl Operation for PurgeSessions {
    type State = Sessions;
    type Output = usize;
    const KIND: Kind = Kind::LongWrite;

    fn run(self, state: &mut Sessions) -> Result<usize, Fault> {
        state.store.write(LockKey::Job("purge"), |connection| {
            Ok(sessions::purge(connection, self.before, BATCH)?)
        })
    }
}

/// Send limits that are removed in one transaction, since requests for a message
/// wait for its locks.
const MAX_PURGED_LIMITS: i64 = 500;

/// Removes send limits whose counts are used up. Returns whether there may be
/// more.
#[derive(Debug)]
pub struct PurgeLimits {
    /// Now, ms.
    pub now: i64,
}

impl Operation for PurgeLimits {
    type State = Sessions;
    type Output = bool;
    const KIND: Kind = Kind::LongWrite;

    fn run(self, state: &mut Sessions) -> Result<bool, Fault> {
        state.store.write(LockKey::Job("purge"), |connection| {
            Ok(send_limits::purge(connection, self.now, MAX_PURGED_LIMITS)?)
        })
    }
}
