//! Which status and errcode each refusal has.

use super::*;
use crate::db::DbError;
use crate::domain::Invalid;
use crate::domain::counter::Refusal;

#[test]
fn errors_have_their_status_and_errcode() {
    for (error, status, errcode) in [
        (Error::missing_params(&["sid"]), 400, "M_MISSING_PARAMS"),
        (Error::invalid_param("sid", "no"), 400, "M_INVALID_PARAM"),
        (Error::bad_json("no"), 400, "M_BAD_JSON"),
        (Error::invalid_email(), 400, "M_INVALID_EMAIL"),
        (Error::email_send_error("no"), 400, "M_EMAIL_SEND_ERROR"),
        (
            Error::invalid_address(Invalid("must be a phone number")),
            400,
            "M_INVALID_ADDRESS",
        ),
        (Error::destination_rejected(), 400, "M_DESTINATION_REJECTED"),
        (Error::send_error("no"), 400, "M_SEND_ERROR"),
        (Error::token_incorrect(), 400, "M_TOKEN_INCORRECT"),
        (
            Error::submit_denied(Denied::NoSession),
            400,
            "M_INVALID_PARAM",
        ),
        (
            Error::submit_denied(Denied::Expired),
            400,
            "M_SESSION_EXPIRED",
        ),
        (Error::session(Denied::NoSession), 404, "M_NO_VALID_SESSION"),
        (Error::session(Denied::Expired), 400, "M_SESSION_EXPIRED"),
        (
            Error::session(Denied::NotValidated),
            400,
            "M_SESSION_NOT_VALIDATED",
        ),
        (Error::unauthorized(), 401, "M_UNAUTHORIZED"),
        (Error::unknown_token(), 401, "M_UNKNOWN_TOKEN"),
        (Error::terms_not_signed(), 403, "M_TERMS_NOT_SIGNED"),
        (Error::wrong_user(), 403, "M_UNAUTHORIZED"),
        (Error::openid_token_refused(), 401, "M_UNAUTHORIZED"),
        (Error::user_of_another_homeserver(), 403, "M_UNAUTHORIZED"),
        (Error::homeserver_not_allowed(), 403, "M_UNAUTHORIZED"),
        (Error::account_blocked(), 403, "M_FORBIDDEN"),
        (Error::v1_limited(), 403, "M_FORBIDDEN"),
        (Error::link_prefetched(), 403, "M_FORBIDDEN"),
        (Error::homeserver_unreachable(), 504, "M_UNKNOWN"),
        (Error::homeserver_answered_badly(), 502, "M_UNKNOWN"),
        (Error::key_not_found(), 404, "M_NOT_FOUND"),
        (Error::unknown_path(), 404, "M_UNRECOGNIZED"),
        (Error::wrong_method("GET".to_owned()), 405, "M_UNRECOGNIZED"),
        (Error::v1_disabled(), 403, "M_FORBIDDEN"),
        (Error::foreign_origin(), 403, "M_FORBIDDEN"),
        (Error::mail_not_found(), 404, "M_NOT_FOUND"),
        (Error::body_too_large(1), 413, "M_TOO_LARGE"),
        (Error::too_many_addresses(1), 400, "M_TOO_LARGE"),
        (
            Error::limit_exceeded(Refusal::new("limits.a", 1)),
            429,
            "M_LIMIT_EXCEEDED",
        ),
        (Error::internal(), 500, "M_UNKNOWN"),
        (Fault::QueueFull("x").into(), 503, "M_UNKNOWN"),
        (Fault::TimedOut("x").into(), 503, "M_UNKNOWN"),
        (Fault::Panicked("x").into(), 500, "M_UNKNOWN"),
        (
            Fault::from(DbError::Open("leaked".to_owned())).into(),
            503,
            "M_UNKNOWN",
        ),
    ] {
        assert_eq!(
            (error.kind.status.as_u16(), error.kind.errcode),
            (status, errcode)
        );
        assert!(!error.message().contains("leaked"));
    }
}
