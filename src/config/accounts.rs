//! `[accounts]`: access to v2.

use serde::{Deserialize, Serialize};

/// `[accounts]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct AccountSettings {
    /// Accept access tokens in the query string of a `GET`, where Synapse puts them
    /// (AUTH-03).
    pub query_tokens: bool,
}

impl Default for AccountSettings {
    fn default() -> Self {
        Self { query_tokens: true }
    }
}
