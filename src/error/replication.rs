//! Refusals of what another server of the mesh pushes (INT-03).

use super::{Error, Kind};

impl Error {
    /// The response to another Content-Type than JSON.
    #[must_use]
    pub fn not_json() -> Self {
        Self::new(Kind::NOT_JSON, "The Content-Type must be application/json")
    }

    /// The response to a push of more than `limit` associations.
    #[must_use]
    pub fn too_many_associations(limit: usize) -> Self {
        let message = format!("A push must not have more than {limit} associations");
        Self::new(Kind::TOO_MANY_ASSOCIATIONS, message)
    }

    /// The response to a push in which the associations with these IDs are
    /// malformed or not signed by the peer. None of the push was stored.
    #[must_use]
    pub fn verification_failed(ids: Vec<String>) -> Self {
        let message = format!(
            "No association was stored: not signed with the peer's configured key, or malformed: {}",
            ids.join(", ")
        );
        let mut error = Self::new(Kind::VERIFICATION_FAILED, message);
        error.body.failed_ids = Some(ids);
        error
    }
}
