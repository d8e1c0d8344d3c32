//! Refusals that concern phone numbers.

use super::{Error, Kind};
use crate::domain::Invalid;

impl Error {
    /// The response to an unknown country or an impossible number (MSI-06,
    /// MSI-07).
    #[must_use]
    pub fn invalid_address(reason: Invalid) -> Self {
        Self::new(
            Kind::INVALID_ADDRESS,
            format!("The phone number is not valid: {reason}"),
        )
    }

    /// The response to a number of a country that the configuration excludes
    /// (MSI-11).
    #[must_use]
    pub fn destination_rejected() -> Self {
        Self::new(
            Kind::DESTINATION_REJECTED,
            "This server does not send SMS to phone numbers of this country",
        )
    }

    /// The response when an SMS could not be sent (MSI-10, MSI-16).
    #[must_use]
    pub fn send_error(message: &'static str) -> Self {
        Self::new(Kind::SEND_ERROR, message)
    }
}
