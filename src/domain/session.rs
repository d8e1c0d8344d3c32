//! Validation sessions: what may happen in one, and when it is over
//! (identity service API, "Establishing associations"; SES-07 … SES-22).

use super::next_link::NextLink;
use super::secret::{ClientSecret, Sid, Token};
use super::threepid::{Medium, ThreePid};

/// When a session ends.
#[derive(Debug, Clone, Copy)]
pub struct SessionLimits {
    /// Milliseconds from creation, or from validation, until it expires.
    pub lifetime_ms: i64,
    /// Wrong tokens after which it is dead.
    pub max_wrong_tokens: i32,
    /// The same for a phone number, whose tokens are short.
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

/// How far a session has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Nobody has shown the token yet.
    Pending {
        /// When the session was made, ms.
        created_at: i64,
        /// How many wrong tokens were shown.
        wrong_tokens: i32,
    },
    /// The token was shown.
    Validated {
        /// When that was, ms.
        at: i64,
    },
}

/// A validation session.
#[derive(Debug, Clone)]
pub struct Session {
    /// Its id.
    pub sid: Sid,
    /// What is being validated.
    pub threepid: ThreePid,
    /// The secret that its client chose.
    pub client_secret: ClientSecret,
    /// What the owner of the address must show.
    pub token: Token,
    /// The highest `send_attempt` for which a message was sent or is on its
    /// way; `None` before the first.
    pub send_attempt: Option<i64>,
    /// Where a browser goes after validation.
    pub next_link: Option<NextLink>,
    /// How far it has come.
    pub state: State,
}

/// What a requestToken call does with what is already there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Begin {
    /// Make a new session and send its token.
    Fresh,
    /// Go on with the session and send its token again.
    Resend,
    /// Go on with the session; this attempt was sent before.
    AlreadySent,
}

/// Why a session does not prove anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Denied {
    /// No such session, or not with that secret: the two are not told apart
    /// (SES-21).
    NoSession,
    /// The session is over.
    Expired,
    /// The token has not been shown yet.
    NotValidated,
}

/// The result of a submitted token.
#[derive(Debug)]
pub enum SubmitOutcome {
    /// The token is right; the session as it is now.
    Validated(Session),
    /// The token is wrong; the session as it is now.
    WrongToken(Session),
    /// The session takes no token.
    Denied(Denied),
}

/// That somebody owns a 3PID: the one thing a binding can rest on.
#[derive(Debug, Clone)]
pub struct Proof {
    threepid: ThreePid,
    validated_at: Option<i64>,
}

impl Proof {
    /// The word of a tool on the internal listener, which is believed (INT-01).
    #[must_use]
    pub fn trusted(threepid: ThreePid) -> Self {
        Self {
            threepid,
            validated_at: None,
        }
    }

    /// What is owned.
    #[must_use]
    pub fn threepid(&self) -> &ThreePid {
        &self.threepid
    }

    /// What is owned, for a binding.
    #[must_use]
    pub fn into_threepid(self) -> ThreePid {
        self.threepid
    }

    /// When the owner validated it, ms; `None` for a trusted word.
    #[must_use]
    pub fn validated_at(&self) -> Option<i64> {
        self.validated_at
    }
}

impl Session {
    /// When the session expires unless something happens in it, ms: the last
    /// moment at which its token is good.
    #[must_use]
    pub fn ends_at(&self, limits: SessionLimits) -> i64 {
        let (State::Pending {
            created_at: since, ..
        }
        | State::Validated { at: since }) = self.state;
        since.saturating_add(limits.lifetime_ms)
    }

    /// Whether the session is over: too old (exactly its lifetime still
    /// counts), or too many wrong tokens.
    #[must_use]
    pub fn is_over(&self, now: i64, limits: SessionLimits) -> bool {
        let too_many = match self.state {
            State::Pending { wrong_tokens, .. } => {
                wrong_tokens >= limits.max_wrong_tokens(self.threepid.medium())
            }
            State::Validated { .. } => false,
        };
        now > self.ends_at(limits) || too_many
    }

    /// Checks a submitted token (SES-18 … SES-22).
    #[must_use]
    pub fn submit(
        self,
        medium: Medium,
        secret: &ClientSecret,
        token: &Token,
        now: i64,
        limits: SessionLimits,
    ) -> SubmitOutcome {
        if !self.client_secret.matches(secret) || self.threepid.medium() != medium {
            return SubmitOutcome::Denied(Denied::NoSession);
        }
        if self.is_over(now, limits) {
            return SubmitOutcome::Denied(Denied::Expired);
        }
        let right = self.token.matches(token);
        match self.state {
            State::Validated { .. } if right => SubmitOutcome::Validated(self),
            State::Validated { .. } => SubmitOutcome::WrongToken(self),
            State::Pending { .. } if right => SubmitOutcome::Validated(Self {
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

    /// The proof that a validated session gives to whoever has its secret.
    ///
    /// # Errors
    /// Why it gives none; being over comes before not being validated (VAL-04).
    pub fn proof(
        self,
        secret: &ClientSecret,
        now: i64,
        limits: SessionLimits,
    ) -> Result<Proof, Denied> {
        if !self.client_secret.matches(secret) {
            return Err(Denied::NoSession);
        }
        if self.is_over(now, limits) {
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

/// What a requestToken call with `attempt` does, given the session that its
/// address and secret have (SES-09 … SES-15).
#[must_use]
pub fn begin(existing: Option<&Session>, attempt: i64, now: i64, limits: SessionLimits) -> Begin {
    let Some(session) = existing.filter(|session| !session.is_over(now, limits)) else {
        return Begin::Fresh;
    };
    let sent = session
        .send_attempt
        .is_some_and(|highest| attempt <= highest);
    match session.state {
        _ if sent => Begin::AlreadySent,
        State::Pending { .. } => Begin::Resend,
        State::Validated { .. } => Begin::Fresh,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: SessionLimits = SessionLimits {
        lifetime_ms: 1000,
        max_wrong_tokens: 3,
        max_wrong_sms_tokens: 2,
    };

    fn session(state: State, send_attempt: Option<i64>) -> Session {
        Session {
            sid: Sid::parse("sid").unwrap(),
            threepid: ThreePid::parse("email", "a@b.com").unwrap(),
            client_secret: secret("secret"),
            token: Token::parse("token").unwrap(),
            send_attempt,
            next_link: None,
            state,
        }
    }

    fn secret(text: &str) -> ClientSecret {
        ClientSecret::parse(text).unwrap()
    }

    fn show(session: Session, token: &str, now: i64) -> SubmitOutcome {
        session.submit(
            Medium::Email,
            &secret("secret"),
            &Token::parse(token).unwrap(),
            now,
            LIMITS,
        )
    }

    const PENDING: State = State::Pending {
        created_at: 0,
        wrong_tokens: 0,
    };
    const VALIDATED: State = State::Validated { at: 500 };

    #[test]
    fn ses_09_to_15_what_a_request_does() {
        let over = State::Pending {
            created_at: 0,
            wrong_tokens: 3,
        };
        for (state, sent, attempt, now, expected) in [
            (PENDING, None, 0, 0, Begin::Resend),
            (PENDING, None, -5, 0, Begin::Resend),
            (PENDING, Some(1), 1, 0, Begin::AlreadySent),
            (PENDING, Some(1), 0, 0, Begin::AlreadySent),
            (PENDING, Some(1), 2, 1000, Begin::Resend),
            (PENDING, Some(1), 1, 1001, Begin::Fresh),
            (over, Some(1), 1, 0, Begin::Fresh),
            (VALIDATED, Some(1), 1, 1500, Begin::AlreadySent),
            (VALIDATED, Some(1), 2, 1500, Begin::Fresh),
            (VALIDATED, Some(1), 1, 1501, Begin::Fresh),
        ] {
            assert_eq!(
                begin(Some(&session(state, sent)), attempt, now, LIMITS),
                expected
            );
        }
        assert_eq!(begin(None, 1, 0, LIMITS), Begin::Fresh);
    }

    #[test]
    fn ses_07_the_clock_starts_again_at_validation() {
        let SubmitOutcome::Validated(now_validated) = show(session(PENDING, None), "token", 1000)
        else {
            panic!("the last moment of the lifetime still counts");
        };
        assert!(
            now_validated
                .clone()
                .proof(&secret("secret"), 2000, LIMITS)
                .is_ok()
        );
        assert_eq!(
            now_validated
                .proof(&secret("secret"), 2001, LIMITS)
                .unwrap_err(),
            Denied::Expired
        );
        assert!(matches!(
            show(session(PENDING, None), "token", 1001),
            SubmitOutcome::Denied(Denied::Expired)
        ));
    }

    #[test]
    fn ses_18_showing_the_token_again_changes_nothing() {
        let SubmitOutcome::Validated(same) = show(session(VALIDATED, None), "token", 900) else {
            panic!("a repeated submit succeeds");
        };
        assert_eq!(same.state, VALIDATED);
    }

    #[test]
    fn ses_19_too_many_wrong_tokens_end_the_session() {
        let mut tried = session(PENDING, None);
        for _ in 0..3 {
            let SubmitOutcome::WrongToken(after) = show(tried, "wrong", 0) else {
                panic!("wrong")
            };
            tried = after;
        }
        assert!(matches!(
            show(tried, "token", 0),
            SubmitOutcome::Denied(Denied::Expired)
        ));
    }

    #[test]
    fn ses_21_ses_22_secret_and_medium_must_fit() {
        let token = Token::parse("token").unwrap();
        let wrong_secret =
            session(PENDING, None).submit(Medium::Email, &secret("other"), &token, 0, LIMITS);
        assert!(matches!(
            wrong_secret,
            SubmitOutcome::Denied(Denied::NoSession)
        ));
        let wrong_medium =
            session(PENDING, None).submit(Medium::Msisdn, &secret("secret"), &token, 0, LIMITS);
        assert!(matches!(
            wrong_medium,
            SubmitOutcome::Denied(Denied::NoSession)
        ));
        assert_eq!(
            session(VALIDATED, None)
                .proof(&secret("other"), 600, LIMITS)
                .unwrap_err(),
            Denied::NoSession
        );
    }

    #[test]
    fn val_04_over_comes_before_not_validated() {
        let proof = |now| {
            session(PENDING, None)
                .proof(&secret("secret"), now, LIMITS)
                .unwrap_err()
        };
        assert_eq!(proof(1000), Denied::NotValidated);
        assert_eq!(proof(1001), Denied::Expired);
    }
}
