//! Validation sessions: their states and transitions, and when they end (Identity
//! Service API, "Establishing associations"; SES-07 … SES-22).

use super::secret::Sid;
use super::session_secrets::{SecretHash, TokenHashes};
use super::stored_link::StoredLink;
use super::threepid::{Medium, ThreePid};

/// When sessions end.
#[derive(Debug, Clone, Copy)]
pub struct SessionLimits {
    /// Milliseconds from creation, or from validation, until a session expires.
    pub lifetime_ms: i64,
    /// The number of wrong tokens that ends a session.
    pub max_wrong_tokens: i32,
    /// The same for sessions of phone numbers, whose tokens are shorter.
    pub max_wrong_sms_tokens: i32,
}

impl SessionLimits {
    fn max_wrong_tokens(self, medium: Medium) -> i32 {
        match medium {
            Medium::Email => self.max_wrong_tokens,
            Medium::Msisdn => self.max_wrong_sms_tokens,
        }
    }
}

/// The state of a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// The right token was not submitted yet.
    Pending {
        /// When the session was created, in milliseconds since the epoch.
        created_at: i64,
        /// How many wrong tokens were submitted.
        wrong_tokens: i32,
    },
    /// The right token was submitted.
    Validated {
        /// When it was submitted, in milliseconds since the epoch.
        at: i64,
    },
}

/// A validation session.
#[derive(Debug, Clone)]
pub struct Session {
    /// The session id.
    pub sid: Sid,
    /// The 3PID to validate.
    pub threepid: ThreePid,
    /// The secret that the client chose, hashed.
    pub client_secret: SecretHash,
    /// The tokens that were sent to the address, hashed.
    pub tokens: TokenHashes,
    /// The highest `send_attempt` for which a message was sent or queued; `None`
    /// before the first.
    pub send_attempt: Option<i64>,
    /// Where the browser is redirected after the validation.
    pub next_link: Option<StoredLink>,
    /// The state.
    pub state: State,
}

/// What a requestToken call does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SendDecision {
    /// Create a session and send its token.
    NewSession,
    /// Reuse the session and send a further token.
    Resend,
    /// Reuse the session and send nothing: this attempt was sent before.
    AlreadySent,
}

/// Why a session is not usable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Denied {
    /// No such session, or another client secret. Clients cannot distinguish the
    /// two (SES-21).
    NoSession,
    /// The session has ended.
    Expired,
    /// The right token was not submitted yet.
    NotValidated,
}

/// The outcome of submitting a token.
#[derive(Debug)]
pub enum SubmitOutcome {
    /// The token is right. Contains the session in its new state.
    Validated(Session),
    /// The token is wrong. Contains the session in its new state.
    WrongToken(Session),
    /// The token was not compared.
    Denied(Denied),
}

/// The proof that the client owns a 3PID. Only with one can a 3PID be bound.
#[derive(Debug, Clone)]
pub struct Proof {
    threepid: ThreePid,
    validated_at: Option<i64>,
}

impl Proof {
    /// A proof for a request on the internal listener, which is trusted (INT-01).
    #[must_use]
    pub fn trusted(threepid: ThreePid) -> Self {
        Self {
            threepid,
            validated_at: None,
        }
    }

    /// The 3PID.
    #[must_use]
    pub fn threepid(&self) -> &ThreePid {
        &self.threepid
    }

    /// The 3PID, owned.
    #[must_use]
    pub fn into_threepid(self) -> ThreePid {
        self.threepid
    }

    /// When the 3PID was validated, in milliseconds since the epoch; `None` for a
    /// trusted request.
    #[must_use]
    pub fn validated_at(&self) -> Option<i64> {
        self.validated_at
    }
}

impl Session {
    /// When the session expires in its present state, in milliseconds since the
    /// epoch: the last moment at which its token is valid.
    #[must_use]
    pub fn ends_at(&self, limits: SessionLimits) -> i64 {
        let (State::Pending {
            created_at: since, ..
        }
        | State::Validated { at: since }) = self.state;
        since.saturating_add(limits.lifetime_ms)
    }

    /// Whether the session has ended: it is older than its lifetime, or had too
    /// many wrong tokens.
    #[must_use]
    pub fn has_ended(&self, now: i64, limits: SessionLimits) -> bool {
        let has_too_many_wrong_tokens = match self.state {
            State::Pending { wrong_tokens, .. } => {
                wrong_tokens >= limits.max_wrong_tokens(self.threepid.medium())
            }
            State::Validated { .. } => false,
        };
        now > self.ends_at(limits) || has_too_many_wrong_tokens
    }

    /// Submits a client secret and a token, both hashed (SES-18 … SES-22).
    #[must_use]
    pub fn submit(
        self,
        medium: Medium,
        secret: &SecretHash,
        token: &SecretHash,
        now: i64,
        limits: SessionLimits,
    ) -> SubmitOutcome {
        if !self.client_secret.matches(secret) || self.threepid.medium() != medium {
            return SubmitOutcome::Denied(Denied::NoSession);
        }
        if self.has_ended(now, limits) {
            return SubmitOutcome::Denied(Denied::Expired);
        }
        let is_right = self.tokens.contains(token);
        match self.state {
            State::Validated { .. } if is_right => SubmitOutcome::Validated(self),
            State::Validated { .. } => SubmitOutcome::WrongToken(self),
            State::Pending { .. } if is_right => SubmitOutcome::Validated(Self {
                state: State::Validated { at: now },
                ..self
            }),
            State::Pending {
                created_at,
                wrong_tokens,
            } => {
                let state = State::Pending {
                    created_at,
                    wrong_tokens: wrong_tokens.saturating_add(1),
                };
                SubmitOutcome::WrongToken(Self { state, ..self })
            }
        }
    }

    /// The proof that a validated session is for the client with its secret, hashed.
    ///
    /// # Errors
    /// The session is not usable. `Expired` takes precedence over `NotValidated`
    /// (VAL-04).
    pub fn proof(
        self,
        secret: &SecretHash,
        now: i64,
        limits: SessionLimits,
    ) -> Result<Proof, Denied> {
        if !self.client_secret.matches(secret) {
            return Err(Denied::NoSession);
        }
        if self.has_ended(now, limits) {
            return Err(Denied::Expired);
        }
        match self.state {
            State::Pending { .. } => Err(Denied::NotValidated),
            State::Validated { at } => Ok(Proof {
                threepid: self.threepid,
                validated_at: Some(at),
            }),
        }
    }
}

/// Decides what a requestToken call with `attempt` does. `existing` is the session
/// with the same address and client secret (SES-09 … SES-15).
#[must_use]
pub fn decide_send(
    existing: Option<&Session>,
    attempt: i64,
    now: i64,
    limits: SessionLimits,
) -> SendDecision {
    let Some(session) = existing.filter(|session| !session.has_ended(now, limits)) else {
        return SendDecision::NewSession;
    };
    let is_sent = session
        .send_attempt
        .is_some_and(|highest| attempt <= highest);
    match session.state {
        _ if is_sent => SendDecision::AlreadySent,
        State::Pending { .. } => SendDecision::Resend,
        State::Validated { .. } => SendDecision::NewSession,
    }
}

#[cfg(test)]
#[path = "session_tests.rs"]
mod tests;
