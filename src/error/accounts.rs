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

    /// 401 `M_UNAUTHORIZED`: the homeserver does not know the `OpenID` token
    /// (ACC-08).
    #[must_use]
    pub fn openid_token_refused() -> Self {
        Self::new(
            StatusCode::UNAUTHORIZED,
            "M_UNAUTHORIZED",
            "The homeserver does not know this access_token, or it has ended; ask it for a new one",
        )
    }

    /// 403 `M_UNAUTHORIZED`: the homeserver says that the token is that of
    /// another homeserver's user (ACC-05).
    #[must_use]
    pub fn user_of_another_homeserver() -> Self {
        Self::new(
            StatusCode::FORBIDDEN,
            "M_UNAUTHORIZED",
            "The homeserver named a user that is not its own",
        )
    }

    /// 403 `M_UNAUTHORIZED`: the administrator does not let users of this
    /// homeserver in (ACC-12).
    #[must_use]
    pub fn homeserver_not_allowed() -> Self {
        Self::new(
            StatusCode::FORBIDDEN,
            "M_UNAUTHORIZED",
            "This identity server does not serve users of this homeserver",
        )
    }

    /// 504 `M_UNKNOWN`: the homeserver does not answer (ACC-08).
    #[must_use]
    pub fn homeserver_unreachable() -> Self {
        Self::new(
            StatusCode::GATEWAY_TIMEOUT,
            "M_UNKNOWN",
            "The homeserver could not be contacted; try again later",
        )
    }

    /// 502 `M_UNKNOWN`: the homeserver answers, but not what it should (ACC-08).
    #[must_use]
    pub fn homeserver_answered_badly() -> Self {
        Self::new(
            StatusCode::BAD_GATEWAY,
            "M_UNKNOWN",
            "The homeserver did not answer with JSON that says who its user is",
        )
    }
}
