//! An address in the data of a person.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::threepid::ThreePid;

/// An email address or a phone number.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Address {
    /// `email` or `msisdn`.
    pub medium: String,
    /// The address in canonical form.
    pub address: String,
}

impl From<&ThreePid> for Address {
    fn from(threepid: &ThreePid) -> Self {
        Self {
            medium: threepid.medium().as_str().to_owned(),
            address: threepid.address().to_owned(),
        }
    }
}
