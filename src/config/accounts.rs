//! `[accounts]`: access to v2.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::checker::Checker;
use super::duration;

/// `[accounts]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct AccountSettings {
    /// Accept access tokens in the query string of a `GET`, where Synapse puts them
    /// (AUTH-03).
    pub query_tokens: bool,
    /// How long an access token stays valid without a request; zero means forever
    /// (AUTH-20).
    #[serde(with = "duration")]
    pub keep_unused_tokens: Duration,
}

impl Default for AccountSettings {
    fn default() -> Self {
        Self {
            query_tokens: true,
            keep_unused_tokens: 90 * DAY,
        }
    }
}

const DAY: Duration = Duration::from_hours(24);

impl AccountSettings {
    pub(super) fn check(&self, checker: &mut Checker<'_>) {
        if !self.keep_unused_tokens.is_zero() {
            // The use of a token is recorded once a day.
            let key = "accounts.keep_unused_tokens";
            checker.duration(key, self.keep_unused_tokens, 2 * DAY, 3660 * DAY);
        }
    }
}
