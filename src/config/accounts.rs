//! `[accounts]`: who may use v2.

use serde::{Deserialize, Serialize};

/// `[accounts]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct AccountSettings {
    /// Whether an access token may stand in the query string of a `GET`, where
    /// Synapse writes it (AUTH-03).
    pub query_tokens: bool,
}

impl Default for AccountSettings {
    fn default() -> Self {
        Self { query_tokens: true }
    }
}
