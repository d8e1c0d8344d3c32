//! Refusals of what another server of the mesh sends (INT-03).

use actix_web::http::StatusCode;

use super::Error;

impl Error {
    /// 403 `M_UNKNOWN_PEER`: the certificate is that of no peer.
    #[must_use]
    pub fn unknown_peer() -> Self {
        let message = "This server has no peer of the name that the certificate is for";
        Self::new(StatusCode::FORBIDDEN, "M_UNKNOWN_PEER", message)
    }

    /// 400 `M_NOT_JSON`: the body does not say that it is JSON.
    #[must_use]
    pub fn not_json() -> Self {
        let message = "The Content-Type must be application/json";
        Self::new(StatusCode::BAD_REQUEST, "M_NOT_JSON", message)
    }

    /// 400 `M_TOO_LARGE`: too many associations at once.
    #[must_use]
    pub fn too_many_associations(limit: usize) -> Self {
        let message = format!("One push must not hold more than {limit} associations");
        Self::new(StatusCode::BAD_REQUEST, "M_TOO_LARGE", message)
    }

    /// 400 `M_VERIFICATION_FAILED`, with the numbers of the associations that
    /// are not signed by the peer or make no sense. None was taken.
    #[must_use]
    pub fn verification_failed(ids: Vec<String>) -> Self {
        let message = format!(
            "Nothing was taken: not signed with the key that is known here, or malformed: {}",
            ids.join(", ")
        );
        let mut error = Self::new(StatusCode::BAD_REQUEST, "M_VERIFICATION_FAILED", message);
        error.extra.insert("failed_ids".to_owned(), ids.into());
        error
    }
}
