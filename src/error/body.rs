//! The JSON body of an error.

use std::borrow::Cow;

use serde::Serialize;
use utoipa::ToSchema;

use super::Kind;

/// The body of every error.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Error)]
pub struct ErrorBody {
    /// A code for programs.
    pub(super) errcode: &'static str,
    /// A sentence for people.
    pub(super) error: Cow<'static, str>,
    /// With `M_LIMIT_EXCEEDED`: after how many milliseconds to try again.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub(super) retry_after_ms: Option<i64>,
    /// Errors of submitToken: false, which some clients read.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub(super) success: Option<bool>,
    /// With `M_INVALID_PEPPER`: the algorithm of the request.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub(super) algorithm: Option<&'static str>,
    /// With `M_INVALID_PEPPER`: the current pepper.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub(super) lookup_pepper: Option<String>,
    /// With `M_THREEPID_IN_USE`: the user that the address is bound to.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub(super) mxid: Option<String>,
    /// With `M_VERIFICATION_FAILED`: the IDs of the associations that were refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub(super) failed_ids: Option<Vec<String>>,
}

impl ErrorBody {
    pub(super) fn new(kind: Kind, message: impl Into<Cow<'static, str>>) -> Self {
        Self {
            errcode: kind.errcode,
            error: message.into(),
            retry_after_ms: None,
            success: None,
            algorithm: None,
            lookup_pepper: None,
            mxid: None,
            failed_ids: None,
        }
    }
}
