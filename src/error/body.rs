//! The JSON body of an error.

use serde::Serialize;
use utoipa::ToSchema;

/// The body of every error.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Error)]
pub(super) struct ErrorBody<'a> {
    /// A code for programs.
    pub errcode: &'static str,
    /// A sentence for people.
    pub error: &'a str,
    #[serde(flatten)]
    pub details: &'a Details,
}

/// What some errors say in addition.
#[derive(Debug, Default, Serialize, ToSchema)]
pub(super) struct Details {
    /// `M_LIMIT_EXCEEDED`: after how many milliseconds to try again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_after_ms: Option<i64>,
    /// Errors of submitToken: false, which some clients read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub success: Option<bool>,
    /// `M_INVALID_PEPPER`: the algorithm of the request.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub algorithm: Option<&'static str>,
    /// `M_INVALID_PEPPER`: the current pepper.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lookup_pepper: Option<String>,
    /// `M_THREEPID_IN_USE`: the user that the address is bound to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mxid: Option<String>,
    /// `M_VERIFICATION_FAILED`: the IDs of the associations that were refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failed_ids: Option<Vec<String>>,
}
