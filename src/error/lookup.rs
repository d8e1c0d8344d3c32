//! Refusals of lookups.

use super::{Error, Kind};
use crate::domain::lookup::{Algorithm, Pepper};

impl Error {
    /// The response to a lookup with another pepper than the current one, which
    /// it contains (LKP-09).
    #[must_use]
    pub fn invalid_pepper(algorithm: Algorithm, pepper: &Pepper) -> Self {
        let mut error = Self::new(
            Kind::INVALID_PEPPER,
            "The pepper has changed; hash the addresses again with the current one",
        );
        error.body.algorithm = Some(algorithm.as_str());
        error.body.lookup_pepper = Some(pepper.as_str().to_owned());
        error
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// LKP-09
    #[test]
    fn invalid_pepper_error_has_the_current_pepper() {
        let error = Error::invalid_pepper(Algorithm::Plain, &Pepper::from_random(7));
        assert_eq!(error.kind, Kind::INVALID_PEPPER);
        assert_eq!(error.body.algorithm, Some("none"));
        let pepper = error.body.lookup_pepper.as_deref();
        assert_eq!(pepper, Some(Pepper::from_random(7).as_str()));
    }
}
