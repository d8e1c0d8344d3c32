//! Refusals that concern phones.

use actix_web::http::StatusCode;

use super::Error;
use crate::domain::Invalid;

impl Error {
    /// 400 `M_INVALID_ADDRESS`: the country or the number is none (MSI-06,
    /// MSI-07).
    #[must_use]
    pub fn invalid_address(why: Invalid) -> Self {
        let message = format!("This is not a valid phone number: {why}");
        Self::new(StatusCode::BAD_REQUEST, "M_INVALID_ADDRESS", message)
    }

    /// 400 `M_DESTINATION_REJECTED`: no texts are sent to that country (MSI-11).
    #[must_use]
    pub fn destination_rejected() -> Self {
        Self::new(
            StatusCode::BAD_REQUEST,
            "M_DESTINATION_REJECTED",
            "This server does not send text messages to phone numbers of this country",
        )
    }

    /// 400 `M_SEND_ERROR` (MSI-10, MSI-16).
    #[must_use]
    pub fn send_error(why: &'static str) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "M_SEND_ERROR", why)
    }
}
