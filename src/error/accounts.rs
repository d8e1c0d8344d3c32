//! Refusals that concern accounts and terms.

use super::{Error, Kind};

impl Error {
    /// The response to a missing or unknown access token (AUTH-05).
    #[must_use]
    pub fn unauthorized() -> Self {
        Self::new(
            Kind::UNAUTHORIZED,
            "An access token of this identity server is required; register to get one",
        )
    }

    /// The response of logout, and of nothing else, to an unknown access token
    /// (AUTH-06, AUTH-19).
    #[must_use]
    pub fn unknown_token() -> Self {
        Self::new(
            Kind::UNKNOWN_TOKEN,
            "This identity server does not know the access token",
        )
    }

    /// The response to a user who has not accepted the terms (AUTH-08).
    #[must_use]
    pub fn terms_not_signed() -> Self {
        Self::new(
            Kind::TERMS_NOT_SIGNED,
            "Accept the terms of service of this identity server first",
        )
    }

    /// The response to a request that names another user than that of its
    /// access token (BND-07, INV-06).
    #[must_use]
    pub fn wrong_user() -> Self {
        Self::new(Kind::WRONG_USER, "The access token belongs to another user")
    }

    /// The response to an OpenID token that the homeserver rejects (ACC-08).
    #[must_use]
    pub fn openid_token_refused() -> Self {
        Self::new(
            Kind::OPENID_TOKEN_REFUSED,
            "The homeserver rejected the access_token: it is unknown or has expired; request a \
             new one from the homeserver",
        )
    }

    /// The response when a homeserver attributes an OpenID token to a user of
    /// another homeserver (ACC-05).
    #[must_use]
    pub fn user_of_another_homeserver() -> Self {
        Self::new(
            Kind::FOREIGN_USER,
            "The homeserver returned a user of another homeserver",
        )
    }

    /// The response to a user of a homeserver that the configuration excludes
    /// (ACC-12).
    #[must_use]
    pub fn homeserver_not_allowed() -> Self {
        Self::new(
            Kind::HOMESERVER_NOT_ALLOWED,
            "This identity server does not serve users of this homeserver",
        )
    }

    /// The response to a user that an administrator has blocked (AUTH-21).
    #[must_use]
    pub fn account_blocked() -> Self {
        Self::new(
            Kind::ACCOUNT_BLOCKED,
            "This identity server has blocked this account",
        )
    }

    /// The response when a homeserver cannot be reached (ACC-08).
    #[must_use]
    pub fn homeserver_unreachable() -> Self {
        Self::new(
            Kind::HOMESERVER_UNREACHABLE,
            "The homeserver could not be contacted; try again later",
        )
    }

    /// The response when a homeserver's answer has no usable user ID (ACC-08).
    #[must_use]
    pub fn homeserver_answered_badly() -> Self {
        Self::new(
            Kind::BAD_HOMESERVER_RESPONSE,
            "The homeserver did not return JSON with a user ID",
        )
    }
}
