//! Logs in with AUTH PLAIN (RFC 4616) or AUTH LOGIN.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use lettre::transport::smtp::authentication::{Credentials, Mechanism};
use lettre::transport::smtp::commands::Auth;

use super::extensions::Extensions;
use super::refusal::StepFailure;
use super::reply::{Class, Reply};
use super::session::Session;
use super::step::{NoReply, Step};
use crate::delivery::masking::Confidential;

/// The login at the relay.
pub(super) struct Login {
    credentials: Credentials,
    /// What a reply to AUTH must not show.
    secrets: Vec<String>,
    /// The relay refused PLAIN last time and accepted LOGIN, so that LOGIN is tried
    /// first: refused logins may lock this server out.
    skips_plain: AtomicBool,
}

impl Login {
    pub(super) fn new(username: &str, password: &str) -> Self {
        let plain = format!("\0{username}\0{password}");
        let mut secrets: Vec<String> = [username, password, &plain]
            .map(|text| STANDARD.encode(text))
            .into();
        secrets.extend([username.to_owned(), password.to_owned()]);
        Self {
            credentials: Credentials::new(username.to_owned(), password.to_owned()),
            secrets,
            skips_plain: AtomicBool::new(false),
        }
    }

    /// Logs in by a mechanism that the relay offers. A refusal moves on to the next.
    pub(super) async fn log_in(
        &self,
        session: &mut Session,
        extensions: &Extensions,
        limit: Duration,
    ) -> Result<(), StepFailure> {
        let mut mechanisms = [(Mechanism::Plain, "PLAIN"), (Mechanism::Login, "LOGIN")];
        if self.skips_plain.load(Ordering::Relaxed) {
            mechanisms.reverse();
        }
        let offered = mechanisms
            .into_iter()
            .filter(|(_, name)| extensions.offers_login(name));
        let mut refusal = None;
        for (mechanism, _) in offered {
            let reply = self
                .exchange(session, mechanism, limit)
                .await
                .map_err(|error| StepFailure::unanswered(Step::Login, &error))?;
            if reply.class() == Class::Completion {
                return Ok(());
            }
            // The next connection begins with the other one, also if the relay
            // closes this one now.
            let skips_plain = mechanism == Mechanism::Plain;
            self.skips_plain.store(skips_plain, Ordering::Relaxed);
            let is_refused = reply.class() == Class::PermanentNegative;
            refusal = Some(self.refused(&reply));
            if !is_refused {
                break;
            }
        }
        Err(refusal.unwrap_or_else(|| nothing_offered(extensions)))
    }

    /// Runs one mechanism up to its last reply.
    ///
    /// The prompts of LOGIN are ignored, since relays word them as they like. lettre's
    /// own exchange knows four spellings, and gives up at any other.
    async fn exchange(
        &self,
        session: &mut Session,
        mechanism: Mechanism,
        limit: Duration,
    ) -> Result<Reply, NoReply> {
        let mut reply = session
            .command(limit, self.command(mechanism, None)?)
            .await?;
        let answers: &[Option<&str>] = match mechanism {
            Mechanism::Login => &[Some("Username"), Some("Password")],
            // A relay that ignored the initial response asks for it.
            _ => &[None],
        };
        for answer in answers {
            if reply.class() != Class::Intermediate {
                return Ok(reply);
            }
            let command = self.command(mechanism, *answer)?.to_string();
            let response = command.rsplit(' ').next().unwrap_or_default().to_owned();
            reply = session.command(limit, response).await?;
        }
        if reply.class() == Class::Intermediate {
            // Cancels the exchange (RFC 4954, section 4).
            reply = session.command(limit, "*\r\n").await?;
        }
        Ok(reply)
    }

    fn command(&self, mechanism: Mechanism, challenge: Option<&str>) -> Result<Auth, NoReply> {
        let challenge = challenge.map(str::to_owned);
        Auth::new(mechanism, self.credentials.clone(), challenge).map_err(|_never| NoReply::Closed)
    }

    fn refused(&self, reply: &Reply) -> StepFailure {
        let confidential = Confidential {
            secrets: &self.secrets,
            ..Confidential::default()
        };
        StepFailure::refused(Step::Login, reply, false, &confidential)
    }
}

fn nothing_offered(extensions: &Extensions) -> StepFailure {
    const REASON: &str = "the relay supports neither AUTH PLAIN nor AUTH LOGIN";
    let known: Vec<&str> = extensions
        .auth
        .iter()
        .map(String::as_str)
        .filter(|name| name.len() <= 20 && name.bytes().all(|b| b.is_ascii_graphic()))
        .take(10)
        .collect();
    if known.is_empty() {
        return StepFailure::not_offered(REASON);
    }
    StepFailure::not_offered(format!("{REASON}, but {}", known.join(" ")))
}
