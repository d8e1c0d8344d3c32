//! `[retention]`: how long the rows of each table are kept.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::checker::Checker;
use super::duration;

/// `[retention]`. Zero means that rows are kept for ever, but for expired sessions.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct RetentionSettings {
    /// Expired sessions (SES-08, SES-28).
    #[serde(with = "duration")]
    pub expired_sessions: Duration,
    /// Invites of addresses that nobody has bound.
    #[serde(with = "duration")]
    pub pending_invites: Duration,
    /// Invites that a homeserver has taken, if they are kept at all.
    #[serde(with = "duration")]
    pub delivered_invites: Duration,
    /// The public keys that were made for invites (PUB-09).
    #[serde(with = "duration")]
    pub ephemeral_keys: Duration,
    /// Accounts without an access token, since they were made.
    #[serde(with = "duration")]
    pub unused_accounts: Duration,
    /// The addresses of removed bindings, of which a keyed hash stays.
    #[serde(with = "duration")]
    pub removals: Duration,
    /// The addresses of erased people, for peers that have not heard of it.
    #[serde(with = "duration")]
    pub unconfirmed_erasures: Duration,
    /// The record of exports and erasures.
    #[serde(with = "duration")]
    pub audit: Duration,
}

const DAY: Duration = Duration::from_hours(24);

impl Default for RetentionSettings {
    fn default() -> Self {
        Self {
            expired_sessions: 5 * DAY,
            pending_invites: 365 * DAY,
            delivered_invites: 30 * DAY,
            ephemeral_keys: 730 * DAY,
            unused_accounts: 365 * DAY,
            removals: 180 * DAY,
            unconfirmed_erasures: 30 * DAY,
            audit: 1095 * DAY,
        }
    }
}

impl RetentionSettings {
    pub(super) fn check(&self, checker: &mut Checker<'_>) {
        let (hour, year) = (Duration::from_hours(1), 366 * DAY);
        checker.duration(
            "retention.expired_sessions",
            self.expired_sessions,
            Duration::ZERO,
            year,
        );
        checker.duration(
            "retention.unconfirmed_erasures",
            self.unconfirmed_erasures,
            hour,
            year,
        );
        for (key, value) in [
            ("retention.pending_invites", self.pending_invites),
            ("retention.delivered_invites", self.delivered_invites),
            ("retention.ephemeral_keys", self.ephemeral_keys),
            ("retention.unused_accounts", self.unused_accounts),
            ("retention.removals", self.removals),
            ("retention.audit", self.audit),
        ] {
            if !value.is_zero() {
                checker.duration(key, value, hour, 100 * year);
            }
        }
        let outlives = self.pending_invites.is_zero() || self.ephemeral_keys < self.pending_invites;
        if !self.ephemeral_keys.is_zero() && outlives {
            checker.error(
                "retention.ephemeral_keys",
                "must not be shorter than retention.pending_invites: a homeserver checks the key of \
                 an invite when it is accepted",
            );
        }
    }
}
