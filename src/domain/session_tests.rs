//! The states of a session, and what a submitted token does.

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
        tokens: TokenHashes::new(secret("token")),
        send_attempt,
        next_link: None,
        state,
    }
}

fn secret(text: &str) -> SecretHash {
    SecretHash::from_stored(text.to_owned())
}

fn submit(session: Session, token: &str, now: i64) -> SubmitOutcome {
    session.submit(
        Medium::Email,
        &secret("secret"),
        &secret(token),
        now,
        LIMITS,
    )
}

const PENDING: State = State::Pending {
    created_at: 0,
    wrong_tokens: 0,
};
const VALIDATED: State = State::Validated { at: 500 };

/// SES-09, SES-10, SES-11, SES-12, SES-13, SES-14, SES-15
#[test]
fn begin_resends_or_starts_a_new_session() {
    let ended = State::Pending {
        created_at: 0,
        wrong_tokens: 3,
    };
    for (state, sent, attempt, now, expected) in [
        (PENDING, None, 0, 0, SendDecision::Resend),
        (PENDING, None, -5, 0, SendDecision::Resend),
        (PENDING, Some(1), 1, 0, SendDecision::AlreadySent),
        (PENDING, Some(1), 0, 0, SendDecision::AlreadySent),
        (PENDING, Some(1), 2, 1000, SendDecision::Resend),
        (PENDING, Some(1), 1, 1001, SendDecision::NewSession),
        (ended, Some(1), 1, 0, SendDecision::NewSession),
        (VALIDATED, Some(1), 1, 1500, SendDecision::AlreadySent),
        (VALIDATED, Some(1), 2, 1500, SendDecision::NewSession),
        (VALIDATED, Some(1), 1, 1501, SendDecision::NewSession),
    ] {
        assert_eq!(
            decide_send(Some(&session(state, sent)), attempt, now, LIMITS),
            expected
        );
    }
    assert_eq!(decide_send(None, 1, 0, LIMITS), SendDecision::NewSession);
}

/// SES-07
#[test]
fn lifetime_restarts_at_validation() {
    let SubmitOutcome::Validated(now_validated) = submit(session(PENDING, None), "token", 1000)
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
        submit(session(PENDING, None), "token", 1001),
        SubmitOutcome::Denied(Denied::Expired)
    ));
}

/// SES-18
#[test]
fn repeated_submit_changes_nothing() {
    let SubmitOutcome::Validated(same) = submit(session(VALIDATED, None), "token", 900) else {
        panic!("a repeated submit succeeds");
    };
    assert_eq!(same.state, VALIDATED);
}

/// SES-19
#[test]
fn too_many_wrong_tokens_end_the_session() {
    let mut tried = session(PENDING, None);
    for _ in 0..3 {
        let SubmitOutcome::WrongToken(after) = submit(tried, "wrong", 0) else {
            panic!("wrong")
        };
        tried = after;
    }
    assert!(matches!(
        submit(tried, "token", 0),
        SubmitOutcome::Denied(Denied::Expired)
    ));
}

/// SES-21, SES-22
#[test]
fn wrong_secret_or_medium_is_denied() {
    let token = secret("token");
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

/// VAL-04
#[test]
fn expired_wins_over_not_validated() {
    let proof = |now| {
        session(PENDING, None)
            .proof(&secret("secret"), now, LIMITS)
            .unwrap_err()
    };
    assert_eq!(proof(1000), Denied::NotValidated);
    assert_eq!(proof(1001), Denied::Expired);
}
