//! Refusals that concern accounts and terms.

use actix_web::http::StatusCode;

use super::Error;

impl Error {
    /// 401 `M_UNAUTHORIZED`: no access token, or nobody's (AUTH-05).
    #[must_use]
    pub fn unauthorized() -> Self {
        Self::new(
            StatusCode::UNAUTHORIZED,
            "M_UNAUTHORIZED",
            "This needs the access token of an account on this identity server; register first",
        )
    }

    /// 401 `M_UNKNOWN_TOKEN`: the answer of logout, and of nothing else, to a
    /// token that is nobody's (AUTH-06, AUTH-19).
    #[must_use]
    pub fn unknown_token() -> Self {
        Self::new(
            StatusCode::UNAUTHORIZED,
            "M_UNKNOWN_TOKEN",
            "This access token does not belong to any account",
        )
    }

    /// 403 `M_TERMS_NOT_SIGNED` (AUTH-08).
    #[must_use]
    pub fn terms_not_signed() -> Self {
        Self::new(
            StatusCode::FORBIDDEN,
            "M_TERMS_NOT_SIGNED",
            "Accept the terms of this identity server first",
        )
    }

    /// 403 `M_UNAUTHORIZED`: the token belongs to another user than the one that
    /// is acted for (BND-07, INV-06).
    #[must_use]
    pub fn not_yourself() -> Self {
        Self::new(
            StatusCode::FORBIDDEN,
            "M_UNAUTHORIZED",
            "With this access token you can act for its own user alone",
        )
    }
}
