//! `/_matrix/federation/v1/3pid/onbind`: notifies a homeserver that an address was
//! bound to one of its users (Server-Server API, "Third-party invites").

use awc::http::Method;

use crate::outgoing::CallError;

/// The path of the request.
pub(super) const PATH: &str = "/_matrix/federation/v1/3pid/onbind";

/// The methods in the order in which to try them: the text of the specification says
/// POST, its table PUT, and homeservers implement POST (ONB-02).
pub(super) const METHODS: [Method; 2] = [Method::POST, Method::PUT];

/// Why a notification failed. The reasons contain neither users nor addresses.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OnbindFailure {
    /// A retry would not help.
    #[error("{reason}")]
    Permanent {
        /// What failed and why.
        reason: String,
    },
    /// This server calls that homeserver too often. It says nothing of the homeserver.
    #[error("{reason}")]
    Busy {
        /// The limit.
        reason: String,
    },
    /// A later attempt may succeed.
    #[error("{reason}")]
    Transient {
        /// What failed and why.
        reason: String,
    },
}

impl From<CallError> for OnbindFailure {
    fn from(error: CallError) -> Self {
        let reason = error.to_string();
        match error {
            CallError::NotAllowed => Self::Permanent { reason },
            CallError::TooManyCalls => Self::Busy { reason },
            _ => Self::Transient { reason },
        }
    }
}

/// Whether the status means that the homeserver does not implement the method.
pub(super) fn is_unknown_method(status: u16) -> bool {
    matches!(status, 404 | 405)
}

/// Interprets the status of the last response (ONB-09, ONB-11).
pub(super) fn check_status(status: u16) -> Result<(), OnbindFailure> {
    let reason = format!("the homeserver responded with status {status}");
    match status {
        200 => Ok(()),
        // These mean "not now" or "not implemented yet".
        404 | 405 | 408 | 429 => Err(OnbindFailure::Transient { reason }),
        400..=499 => Err(OnbindFailure::Permanent { reason }),
        _ => Err(OnbindFailure::Transient { reason }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// ONB-11
    #[test]
    fn most_4xx_are_final_and_outages_transient() {
        assert_eq!(check_status(200), Ok(()));
        for status in [400, 401, 403, 410, 413, 451] {
            let is_permanent = matches!(check_status(status), Err(OnbindFailure::Permanent { .. }));
            assert!(is_permanent, "{status}");
        }
        for status in [201, 302, 404, 405, 408, 429, 500, 502, 503] {
            let is_transient = matches!(check_status(status), Err(OnbindFailure::Transient { .. }));
            assert!(is_transient, "{status}");
        }
        let denied = OnbindFailure::from(CallError::NotAllowed);
        assert!(matches!(denied, OnbindFailure::Permanent { .. }));
        let busy = OnbindFailure::from(CallError::TooManyCalls);
        assert!(matches!(busy, OnbindFailure::Busy { .. }));
        let timeout = OnbindFailure::from(CallError::TimedOut);
        assert!(matches!(timeout, OnbindFailure::Transient { .. }));
    }
}
