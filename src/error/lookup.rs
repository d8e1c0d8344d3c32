//! Refusals of look-ups.

use actix_web::http::StatusCode;
use serde_json::Value;

use super::Error;
use crate::domain::lookup::{Algorithm, Pepper};

impl Error {
    /// 400 `M_INVALID_PEPPER`, with what would have been right (LKP-09).
    #[must_use]
    pub fn invalid_pepper(algorithm: Algorithm, pepper: &Pepper) -> Self {
        let message = "The pepper has changed; hash the addresses anew with the current one";
        let mut error = Self::new(StatusCode::BAD_REQUEST, "M_INVALID_PEPPER", message);
        let right = [
            ("algorithm", algorithm.as_str()),
            ("lookup_pepper", pepper.as_str()),
        ];
        error.extra = right
            .map(|(name, value)| (name.to_owned(), Value::from(value)))
            .into_iter()
            .collect();
        error
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lkp_09_what_would_have_been_right() {
        let error = Error::invalid_pepper(Algorithm::Plain, &Pepper::of(7));
        assert_eq!(
            (error.status.as_u16(), error.errcode),
            (400, "M_INVALID_PEPPER")
        );
        assert_eq!(error.extra["algorithm"], "none");
        assert_eq!(error.extra["lookup_pepper"], Pepper::of(7).as_str());
    }
}
