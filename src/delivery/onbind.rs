//! What a homeserver is told of a binding (section 16 of the conformance list).

use serde::{Deserialize, Serialize};

use crate::domain::ids::Mxid;
use crate::domain::threepid::ThreePid;

/// What is stored of a notice until its homeserver has taken it.
#[derive(Serialize, Deserialize)]
pub struct OnbindPayload {
    /// The medium of what is bound.
    pub medium: String,
    /// What is bound.
    pub address: String,
    /// To whom.
    pub mxid: String,
}

impl OnbindPayload {
    /// The notice of that binding.
    #[must_use]
    pub fn new(threepid: &ThreePid, mxid: &Mxid) -> Self {
        Self {
            medium: threepid.medium().as_str().to_owned(),
            address: threepid.address().to_owned(),
            mxid: mxid.to_string(),
        }
    }
}
