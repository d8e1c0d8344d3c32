//! requestToken: begin a validation session and get its message on the way.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use crate::actor::outbox::Subject;
use crate::actor::sessions::{BeginOutcome, BeginSession, MessageDraft};
use crate::actor::worker_loop::WorkerHandle;
use crate::app::App;
use crate::delivery::pending_replies::Outcome;
use crate::domain::email::CanonicalEmail;
use crate::domain::ids::Mxid;
use crate::domain::next_link::NextLink;
use crate::domain::phone::PhoneNumber;
use crate::domain::secret::{ClientSecret, Sid, Token};
use crate::domain::threepid::{Medium, ThreePid};
use crate::error::Error;
use crate::flow::{send_limits, wait};
use crate::random;

/// How long the instance whose client waits has a message to itself beyond the
/// wait, so that the client hears the outcome and not another instance.
pub(super) const HOME_GRACE_MS: i64 = 2000;

/// What a client asks for.
#[derive(Debug)]
pub struct RequestToken {
    /// What is to be validated.
    pub target: Target,
    /// The secret of the client.
    pub client_secret: ClientSecret,
    /// Its count of asks for a message.
    pub send_attempt: i64,
    /// Where a browser goes afterwards.
    pub next_link: Option<NextLink>,
    /// Which template set.
    pub brand: String,
    /// The address of whoever asks.
    pub client: Option<IpAddr>,
    /// The account of whoever asks.
    pub account: Option<Mxid>,
}

/// What is to be validated.
#[derive(Debug, Clone)]
pub enum Target {
    /// An e-mail address.
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

    /// What its owner must show: short for phones, since people type it.
    fn fresh_token(&self) -> Result<Token, Error> {
        let token = match self {
            Self::Email(_) => random::alphanumeric(32)?,
            Self::Phone(_) => random::digits()?,
        };
        fresh(&token, Token::parse)
    }

    /// Who delivers its messages.
    fn dispatcher<'a>(&self, app: &'a App) -> Result<&'a WorkerHandle, Error> {
        match self {
            Self::Email(_) => app
                .mailer
                .as_ref()
                .ok_or_else(|| Error::email_send_error("This server has no way to send e-mail")),
            Self::Phone(phone) if !app.config.sms.serves(phone.calling_code()) => {
                Err(Error::destination_rejected())
            }
            Self::Phone(_) => app
                .texter
                .as_ref()
                .ok_or_else(|| Error::send_error("This server has no way to send texts")),
        }
    }
}

/// Begins a session, or goes on with one, and waits up to `answer_within` to
/// hear whether the relay or provider took its message.
///
/// # Errors
/// `M_DESTINATION_REJECTED` for a number of a country that is not served.
/// `M_EMAIL_SEND_ERROR` or `M_SEND_ERROR` when the message was refused for good, or when every
/// try failed until the wait was over: the message is dropped then, and the
/// attempt may be made again.
pub async fn request_token(app: Arc<App>, request: RequestToken) -> Result<Sid, Error> {
    let dispatcher = request.target.dispatcher(&app)?;
    let now = app.clock.now();
    let answer_until = later(now, app.config.delivery.answer_within);
    let id = random::alphanumeric(32)?;
    let limits = send_limits::of(&app, &request);
    let threepid = request.target.threepid();
    let medium = threepid.medium();
    let ask = BeginSession {
        limits,
        threepid,
        client_secret: request.client_secret,
        send_attempt: request.send_attempt,
        next_link: request.next_link,
        fresh_sid: fresh(&random::alphanumeric(32)?, Sid::parse)?,
        fresh_token: request.target.fresh_token()?,
        message: MessageDraft {
            id: id.clone(),
            brand: request.brand,
            ip: request.client.map_or_else(String::new, |ip| ip.to_string()),
            answer_until,
            home: app.instance.clone(),
            home_until: answer_until.saturating_add(HOME_GRACE_MS),
        },
        now,
    };
    let send_attempt = request.send_attempt;
    let subject = |sid: &Sid| Subject::Attempt {
        sid: sid.clone(),
        send_attempt,
    };
    // Before the message is queued, so that no outcome is missed.
    let listener = app.waiting.listen(&id);
    match app.sessions.send(ask).await {
        Ok(BeginOutcome::Queued(sid)) => {
            dispatcher.wake();
            let subject = subject(&sid);
            told(medium, wait::outcome(&app, id, subject, listener).await?).map(|()| sid)
        }
        other => {
            app.waiting.forget(&id, listener);
            match other? {
                BeginOutcome::Queued(sid) | BeginOutcome::AlreadySent(sid) => Ok(sid),
                BeginOutcome::StillQueued(sid, id) => {
                    let listener = app.waiting.listen(&id);
                    let subject = subject(&sid);
                    told(medium, wait::outcome(&app, id, subject, listener).await?).map(|()| sid)
                }
                BeginOutcome::Limited(wait_ms) => Err(Error::limit_exceeded(wait_ms)),
            }
        }
    }
}

/// What the client is told.
fn told(medium: Medium, outcome: Outcome) -> Result<(), Error> {
    let mail = |why| Err(Error::email_send_error(why));
    let text = |why| Err(Error::send_error(why));
    match (medium, outcome) {
        (_, Outcome::Delivered) => Ok(()),
        (Medium::Email, Outcome::GivenUp) => {
            mail("The e-mail could not be sent; try again in a few minutes")
        }
        (Medium::Email, Outcome::Refused) => {
            mail("The mail server does not accept e-mail to this address")
        }
        (Medium::Email, Outcome::Failed) => mail("The e-mail could not be sent"),
        (Medium::Msisdn, Outcome::GivenUp) => {
            text("The text message could not be sent; try again in a few minutes")
        }
        (Medium::Msisdn, Outcome::Refused) => {
            text("Text messages to this phone number are not accepted")
        }
        (Medium::Msisdn, Outcome::Failed) => text("The text message could not be sent"),
    }
}

pub(super) fn later(now: i64, time: Duration) -> i64 {
    now.saturating_add(i64::try_from(time.as_millis()).unwrap_or(i64::MAX))
}

fn fresh<T, E>(text: &str, parse: impl Fn(&str) -> Result<T, E>) -> Result<T, Error> {
    parse(text).map_err(|_impossible| Error::internal())
}
