//! requestToken: begin a validation session and get its message on the way.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use crate::actor::outbox::Subject;
use crate::actor::sessions::{BeginSession, Begun, Draft};
use crate::app::App;
use crate::delivery::waiting::Outcome;
use crate::domain::email::CanonicalEmail;
use crate::domain::next_link::NextLink;
use crate::domain::rate::{Rate, client_network, counted};
use crate::domain::secret::{ClientSecret, Sid, Token};
use crate::domain::threepid::ThreePid;
use crate::error::Error;
use crate::flow::wait;
use crate::random;

/// How long the instance whose client waits has a message to itself beyond the
/// wait, so that the client hears the outcome and not another instance.
pub(super) const HOME_GRACE_MS: i64 = 2000;

/// What a client asks for.
#[derive(Debug)]
pub struct RequestToken {
    /// What is to be validated.
    pub email: CanonicalEmail,
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
}

/// Begins a session, or goes on with one, and waits up to `answer_within` to
/// hear whether the relay took its message.
///
/// # Errors
/// `M_EMAIL_SEND_ERROR` when the message was refused for good, or when every
/// try failed until the wait was over: the message is dropped then, and the
/// attempt may be made again.
pub async fn request_token(app: Arc<App>, request: RequestToken) -> Result<Sid, Error> {
    let Some(mailer) = &app.mailer else {
        return Err(Error::email_send_error(
            "This server has no way to send e-mail",
        ));
    };
    let now = app.clock.now();
    let answer_until = later(now, app.config.delivery.answer_within);
    let id = random::alphanumeric(32)?;
    let limits = limits(&app, &request);
    let ask = BeginSession {
        limits,
        threepid: ThreePid::Email(request.email),
        client_secret: request.client_secret,
        send_attempt: request.send_attempt,
        next_link: request.next_link,
        fresh_sid: fresh(&random::alphanumeric(32)?, Sid::parse)?,
        fresh_token: fresh(&random::alphanumeric(32)?, Token::parse)?,
        message: Draft {
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
    match app.sessions.ask(ask).await {
        Ok(Begun::Queued(sid)) => {
            mailer.wake();
            let subject = subject(&sid);
            told(wait::outcome(&app, id, subject, listener).await?).map(|()| sid)
        }
        other => {
            app.waiting.forget(&id, listener);
            match other? {
                Begun::Queued(sid) | Begun::AlreadySent(sid) => Ok(sid),
                Begun::StillQueued(sid, id) => {
                    let listener = app.waiting.listen(&id);
                    let subject = subject(&sid);
                    told(wait::outcome(&app, id, subject, listener).await?).map(|()| sid)
                }
                Begun::Limited(wait_ms) => Err(Error::limit_exceeded(wait_ms)),
            }
        }
    }
}

/// Who is counted for the message, and how often it may be (EML-25).
fn limits(app: &App, request: &RequestToken) -> Vec<(String, Rate)> {
    let limits = &app.config.limits;
    let client = request.client.map(client_network);
    let per_client = client
        .zip(limits.email_per_client.rate())
        .map(|(client, rate)| (counted("email-by", &client), rate));
    let per_address = limits
        .email_per_address
        .rate()
        .map(|rate| (counted("email-to", request.email.as_str()), rate));
    per_client.into_iter().chain(per_address).collect()
}

/// What the client of a verification mail is told.
fn told(outcome: Outcome) -> Result<(), Error> {
    match outcome {
        Outcome::Delivered => Ok(()),
        Outcome::GivenUp => Err(Error::email_send_error(
            "The e-mail could not be sent; try again in a few minutes",
        )),
        Outcome::Refused => Err(Error::email_send_error(
            "The mail server does not accept e-mail to this address",
        )),
        Outcome::Failed => Err(Error::email_send_error("The e-mail could not be sent")),
    }
}

pub(super) fn later(now: i64, time: Duration) -> i64 {
    now.saturating_add(i64::try_from(time.as_millis()).unwrap_or(i64::MAX))
}

fn fresh<T, E>(text: &str, parse: impl Fn(&str) -> Result<T, E>) -> Result<T, Error> {
    parse(text).map_err(|_impossible| Error::internal())
}
