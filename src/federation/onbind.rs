//! `/_matrix/federation/v1/3pid/onbind`: telling a homeserver that one of its
//! users has been bound (Server-Server API, "Third-party invites").

use awc::http::Method;

use super::CallError;

/// Where it is told.
pub(super) const PATH: &str = "/_matrix/federation/v1/3pid/onbind";

/// The methods, the first to be tried first: the specification's text says POST
/// and its table PUT, and homeservers know POST (ONB-02).
pub(super) const METHODS: [Method; 2] = [Method::POST, Method::PUT];

/// Why a homeserver was not told.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OnbindFailure {
    /// It will not be told by trying again; the text says why, and names neither
    /// users nor addresses.
    #[error("{what}")]
    Final {
        /// Why.
        what: String,
    },
    /// It may be told later.
    #[error("{what}")]
    Passing {
        /// Why not now.
        what: String,
    },
}

impl From<CallError> for OnbindFailure {
    fn from(error: CallError) -> Self {
        let what = error.to_string();
        match error {
            CallError::NotAllowed => Self::Final { what },
            _ => Self::Passing { what },
        }
    }
}

/// Whether the answer says that the method is not known.
pub(super) fn is_unknown_method(status: u16) -> bool {
    matches!(status, 404 | 405)
}

/// What the last answer means (ONB-09, ONB-11).
pub(super) fn read(status: u16) -> Result<(), OnbindFailure> {
    let what = format!("the homeserver answered {status}");
    match status {
        200 => Ok(()),
        // These say "not now" or "not here yet".
        404 | 405 | 408 | 429 => Err(OnbindFailure::Passing { what }),
        400..=499 => Err(OnbindFailure::Final { what }),
        _ => Err(OnbindFailure::Passing { what }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn onb_11_most_refusals_are_final_and_outages_pass() {
        assert_eq!(read(200), Ok(()));
        for status in [400, 401, 403, 410, 413, 451] {
            let is_final = matches!(read(status), Err(OnbindFailure::Final { .. }));
            assert!(is_final, "{status}");
        }
        for status in [201, 302, 404, 405, 408, 429, 500, 502, 503] {
            let passes = matches!(read(status), Err(OnbindFailure::Passing { .. }));
            assert!(passes, "{status}");
        }
        let denied = OnbindFailure::from(CallError::NotAllowed);
        assert!(matches!(denied, OnbindFailure::Final { .. }));
        let late = OnbindFailure::from(CallError::Late);
        assert!(matches!(late, OnbindFailure::Passing { .. }));
    }
}
