//! Onbind notifications in the delivery queue (section 16 of the conformance
//! list).

use serde::{Deserialize, Serialize};

use crate::domain::ids::Mxid;
use crate::domain::threepid::ThreePid;

/// The stored form of a notification until the homeserver has accepted it.
#[derive(Serialize, Deserialize)]
pub struct OnbindPayload {
    /// The medium of the 3PID.
    pub medium: String,
    /// The address of the 3PID.
    pub address: String,
    /// The Matrix ID to which it was bound.
    pub mxid: String,
}

impl OnbindPayload {
    /// Creates the payload for an association.
    #[must_use]
    pub fn new(threepid: &ThreePid, mxid: &Mxid) -> Self {
        Self {
            medium: threepid.medium().as_str().to_owned(),
            address: threepid.address().to_owned(),
            mxid: mxid.to_string(),
        }
    }
}
