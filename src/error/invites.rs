//! Refusals that concern invitations.

use actix_web::http::StatusCode;

use super::{Error, UNRECOGNIZED};

impl Error {
    /// 400 `M_UNRECOGNIZED`: only e-mail addresses can be invited (INV-07).
    #[must_use]
    pub fn medium_not_invited() -> Self {
        Self::new(
            StatusCode::BAD_REQUEST,
            UNRECOGNIZED,
            "Only e-mail addresses can be invited: medium must be email",
        )
    }

    /// 400 `M_THREEPID_IN_USE`, with the user that the address is bound to
    /// (INV-08).
    #[must_use]
    pub fn threepid_in_use(mxid: String) -> Self {
        let mut error = Self::new(
            StatusCode::BAD_REQUEST,
            "M_THREEPID_IN_USE",
            "This address belongs to a Matrix user already; invite that user",
        );
        error.extra.insert("mxid".to_owned(), mxid.into());
        error
    }

    /// 403 `M_UNAUTHORIZED`: the administrator does not let it out (INV-22).
    #[must_use]
    pub fn invite_blocked() -> Self {
        Self::new(
            StatusCode::FORBIDDEN,
            "M_UNAUTHORIZED",
            "This identity server does not send this invitation",
        )
    }

    /// 404 `M_UNRECOGNIZED`: there is no invite with that token (SGN-04).
    #[must_use]
    pub fn invite_not_found() -> Self {
        Self::new(
            StatusCode::NOT_FOUND,
            UNRECOGNIZED,
            "There is no invitation with this token; it may have been accepted already",
        )
    }
}
