//! requestToken: starts a validation session and sends its message.

use std::net::IpAddr;
use std::sync::Arc;

use super::FlowError;
use super::charges::{self, Requester};
use super::sms_budget;
use super::wait;
use crate::actor::outbox::Subject;
use crate::actor::sessions::{BeginOutcome, BeginSession, MessageDraft};
use crate::actor::worker_loop::WorkerHandle;
use crate::app::App;
use crate::delivery::pending_replies::PendingReply;
use crate::domain::email::CanonicalEmail;
use crate::domain::ids::Mxid;
use crate::domain::message::MessageId;
use crate::domain::next_link::NextLink;
use crate::domain::phone::PhoneNumber;
use crate::domain::secret::{ClientSecret, Sid, Token};
use crate::domain::threepid::{Medium, ThreePid};
use crate::random;

/// A requestToken call.
#[derive(Debug)]
pub struct RequestToken {
    /// What is to be validated.
    pub target: Target,
    /// The client secret.
    pub client_secret: ClientSecret,
    /// The send attempt, counted by the client.
    pub send_attempt: i64,
    /// Where the browser goes after validation.
    pub next_link: Option<NextLink>,
    /// The brand of the templates.
    pub brand: String,
    /// The address of the client.
    pub client: Option<IpAddr>,
    /// The account of the client.
    pub account: Option<Mxid>,
}

/// What is to be validated.
#[derive(Debug, Clone)]
pub enum Target {
    /// An email address.
    Email(CanonicalEmail),
    /// A phone number.
    Phone(PhoneNumber),
}

impl Target {
    fn threepid(&self) -> ThreePid {
        match self {
            Self::Email(email) => ThreePid::Email(email.clone()),
            Self::Phone(phone) => ThreePid::Msisdn(phone.msisdn().clone()),
        }
    }

    /// A code: short for phones, since people type it.
    fn fresh_token(&self) -> Result<Token, FlowError> {
        let token = match self {
            Self::Email(_) => random::alphanumeric(32)?,
            Self::Phone(_) => random::digits()?,
        };
        Token::parse(&token).map_err(|_impossible| FlowError::Internal("a fresh token is invalid"))
    }

    /// The worker that sends its messages.
    fn worker<'a>(&self, app: &'a App) -> Result<&'a WorkerHandle, FlowError> {
        let worker = match self {
            Self::Email(_) => &app.mail_worker,
            Self::Phone(phone) if !app.config.sms.serves(phone.calling_code()) => {
                return Err(FlowError::DestinationRejected);
            }
            Self::Phone(_) => &app.sms_worker,
        };
        worker
            .as_ref()
            .ok_or_else(|| FlowError::NoTransport(self.threepid().medium()))
    }
}

/// Starts a session, or continues one, and waits up to `answer_within` for the
/// relay or provider to accept its message.
///
/// # Errors
/// [`FlowError::DestinationRejected`] for a number of a country that is not
/// served, [`FlowError::Limited`] by a send limit or when too many wait for the same
/// message or from the same client, [`FlowError::NotSent`] when
/// the message was refused for good or every try failed until the wait was over:
/// the message is then dropped, and the client may repeat the attempt.
pub async fn request_token(app: Arc<App>, request: RequestToken) -> Result<Sid, FlowError> {
    let worker = request.target.worker(&app)?;
    let _waiting = wait::enter(&app, request.client)?;
    let medium = request.target.threepid().medium();
    let is_sms = medium == Medium::Msisdn;
    let send_attempt = request.send_attempt;
    let id = MessageId::from(random::alphanumeric(32)?);
    let begin = begin_session(&app, request, id.clone())?;
    // Before the message is queued, or its outcome may be missed.
    let reply = app.pending_replies.subscribe(&id);
    let outcome = app.sessions.send(begin).await;
    if let Ok(BeginOutcome::Queued(sid)) = outcome {
        worker.wake();
        if is_sms {
            sms_budget::observe(&app).await;
        }
        return wait_for(&app, sid, send_attempt, &id, reply, medium).await;
    }
    app.pending_replies.unsubscribe(&id, reply);
    match outcome? {
        BeginOutcome::Queued(sid) | BeginOutcome::AlreadySent(sid) => Ok(sid),
        BeginOutcome::StillQueued(sid, id) => {
            let reply = wait::join(&app, &id)?;
            wait_for(&app, sid, send_attempt, &id, reply, medium).await
        }
        BeginOutcome::Limited(refusal) => {
            if is_sms {
                sms_budget::observe(&app).await;
            }
            Err(charges::refused(&app, refusal))
        }
    }
}

fn begin_session(
    app: &App,
    request: RequestToken,
    id: MessageId,
) -> Result<BeginSession, FlowError> {
    let now = app.clock.now();
    let answer_until = now.after(app.config.delivery.answer_within);
    let fresh_sid = Sid::parse(&random::alphanumeric(32)?)
        .map_err(|_impossible| FlowError::Internal("a fresh sid is invalid"))?;
    let requester = Requester {
        client: request.client,
        account: request.account.as_ref(),
    };
    Ok(BeginSession {
        limits: match &request.target {
            Target::Email(email) => charges::of_email(app, requester, email),
            Target::Phone(phone) => charges::of_sms(app, requester, phone),
        },
        threepid: request.target.threepid(),
        client_secret: request.client_secret,
        send_attempt: request.send_attempt,
        next_link: request.next_link,
        fresh_sid,
        fresh_token: request.target.fresh_token()?,
        message: MessageDraft {
            id,
            brand: request.brand,
            ip: request.client.map_or_else(String::new, |ip| ip.to_string()),
            answer_until,
            affinity_instance: app.instance.clone(),
        },
        now: now.as_i64(),
    })
}

async fn wait_for(
    app: &App,
    sid: Sid,
    send_attempt: i64,
    id: &MessageId,
    reply: PendingReply,
    medium: Medium,
) -> Result<Sid, FlowError> {
    let subject = Subject::Attempt {
        sid: sid.clone(),
        send_attempt,
    };
    wait::for_outcome(app, id, subject, reply)
        .await?
        .map(|()| sid)
        .map_err(|reason| FlowError::NotSent(medium, reason))
}
