//! Refusals of unbind. A homeserver takes 400, 404 and 501 for "cannot unbind",
//! and forgets the binding (UNB-08).

use actix_web::http::StatusCode;

use super::Error;
use crate::domain::session::Denied;

impl Error {
    /// 403 `M_FORBIDDEN`: what was shown does not prove that the binding is the
    /// asker's to remove (UNB-05 … UNB-08).
    #[must_use]
    pub fn unbind_refused() -> Self {
        Self::new(
            StatusCode::FORBIDDEN,
            "M_FORBIDDEN",
            "This needs the signature of the user's homeserver, or the session in which this \
             address was validated",
        )
    }

    /// 401 `M_UNAUTHORIZED`: there is no proof at all (UNB-06).
    #[must_use]
    pub fn unbind_unproven() -> Self {
        Self {
            status: StatusCode::UNAUTHORIZED,
            errcode: "M_UNAUTHORIZED",
            ..Self::unbind_refused()
        }
    }

    /// 401 `M_UNAUTHORIZED`: the signature is for another server (UNB-14).
    #[must_use]
    pub fn signed_for_another() -> Self {
        Self::new(
            StatusCode::UNAUTHORIZED,
            "M_UNAUTHORIZED",
            "This request was signed for another server",
        )
    }

    /// 403, with the errcode that says what is wrong with the session (UNB-07).
    #[must_use]
    pub fn unbind_session(denied: Denied) -> Self {
        Self {
            status: StatusCode::FORBIDDEN,
            ..Self::session(denied)
        }
    }

    /// 502 `M_UNKNOWN`: the homeserver answers, but not with its keys.
    #[must_use]
    pub fn homeserver_keys_unusable() -> Self {
        Self::new(
            StatusCode::BAD_GATEWAY,
            "M_UNKNOWN",
            "The homeserver did not answer with keys that it has signed",
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unb_06_unb_07_unb_08_status_codes_that_homeservers_do_not_take_for_an_end() {
        for (error, status, errcode) in [
            (Error::unbind_refused(), 403, "M_FORBIDDEN"),
            (Error::unbind_unproven(), 401, "M_UNAUTHORIZED"),
            (Error::signed_for_another(), 401, "M_UNAUTHORIZED"),
            (Error::homeserver_keys_unusable(), 502, "M_UNKNOWN"),
            (
                Error::unbind_session(Denied::NoSession),
                403,
                "M_NO_VALID_SESSION",
            ),
            (
                Error::unbind_session(Denied::Expired),
                403,
                "M_SESSION_EXPIRED",
            ),
            (
                Error::unbind_session(Denied::NotValidated),
                403,
                "M_SESSION_NOT_VALIDATED",
            ),
        ] {
            assert_eq!((error.status.as_u16(), error.errcode), (status, errcode));
        }
    }
}
