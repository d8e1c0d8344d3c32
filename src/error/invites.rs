//! Refusals that concern invitations.

use super::{Error, Kind};

impl Error {
    /// The response to an invitation of anything but an email address (INV-07).
    #[must_use]
    pub fn medium_not_invited() -> Self {
        Self::new(
            Kind::MEDIUM_NOT_INVITED,
            "Only email addresses can be invited: medium must be email",
        )
    }

    /// The response to an invitation of an address that is bound to `mxid`
    /// already (INV-08).
    #[must_use]
    pub fn threepid_in_use(mxid: String) -> Self {
        let mut error = Self::new(
            Kind::THREEPID_IN_USE,
            "This address is already bound to a Matrix user; invite that user instead",
        );
        error.body.mxid = Some(mxid);
        error
    }

    /// The response to an invitation that the configuration blocks (INV-22).
    #[must_use]
    pub fn invite_blocked() -> Self {
        Self::new(
            Kind::INVITE_BLOCKED,
            "This identity server does not send this invitation",
        )
    }

    /// The response to an unknown invite token (SGN-04).
    #[must_use]
    pub fn invite_not_found() -> Self {
        Self::new(
            Kind::INVITE_NOT_FOUND,
            "There is no pending invitation with this token; it may have been accepted already",
        )
    }
}
