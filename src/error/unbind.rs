//! Refusals of unbind.

use super::{Error, Kind};
use crate::domain::session::Denied;

impl Error {
    /// The response to a signature or session that does not prove the right to
    /// remove the binding (UNB-05 … UNB-08).
    #[must_use]
    pub fn unbind_refused() -> Self {
        Self::new(Kind::UNBIND_REFUSED, PROOF_REQUIRED)
    }

    /// The response to a request without any proof (UNB-06).
    #[must_use]
    pub fn unbind_unauthenticated() -> Self {
        Self::new(Kind::UNBIND_UNAUTHENTICATED, PROOF_REQUIRED)
    }

    /// The response to a signature for another server (UNB-14).
    #[must_use]
    pub fn signed_for_another() -> Self {
        Self::new(
            Kind::UNBIND_UNAUTHENTICATED,
            "The request is signed for another server",
        )
    }

    /// The response to a session that proves nothing (UNB-07).
    #[must_use]
    pub fn unbind_session(denied: Denied) -> Self {
        let kind = match denied {
            Denied::NoSession => Kind::UNBIND_NO_VALID_SESSION,
            Denied::Expired => Kind::UNBIND_SESSION_EXPIRED,
            Denied::NotValidated => Kind::UNBIND_SESSION_NOT_VALIDATED,
        };
        Self {
            kind,
            ..Self::session(denied)
        }
    }

    /// The response when a homeserver returns no usable signing keys.
    #[must_use]
    pub fn homeserver_keys_unusable() -> Self {
        Self::new(
            Kind::BAD_HOMESERVER_RESPONSE,
            "The homeserver did not return keys that it has signed",
        )
    }
}

const PROOF_REQUIRED: &str = "Unbinding requires a signature of the user's homeserver, or the \
    session in which this address was validated";

#[cfg(test)]
mod tests {
    use super::*;

    /// UNB-06, UNB-07, UNB-08
    #[test]
    fn unbind_errors_do_not_mean_unsupported() {
        for (error, status, errcode) in [
            (Error::unbind_refused(), 403, "M_FORBIDDEN"),
            (Error::unbind_unauthenticated(), 401, "M_UNAUTHORIZED"),
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
            assert_eq!(
                (error.kind.status.as_u16(), error.kind.errcode),
                (status, errcode)
            );
        }
    }
}
