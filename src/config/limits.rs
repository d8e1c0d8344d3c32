//! `[limits]`: how often messages are sent on behalf of somebody or to
//! somebody.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::checker::Checker;
use super::period;
use crate::domain::rate::Rate;

/// `[limits]`. What is counted here is counted in the database: it survives a
/// restart and holds across instances.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct LimitSettings {
    /// Mails that one client, known by its IP address, may have sent (EML-25).
    pub email_per_client: RateSettings,
    /// Mails that may be sent to one address, whoever asks.
    pub email_per_address: RateSettings,
}

/// A burst, then one per interval.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct RateSettings {
    /// How many at once; 0 switches the limit off.
    pub burst: u32,
    /// After how long one more is free.
    #[serde(with = "period")]
    pub every: Duration,
}

impl Default for RateSettings {
    fn default() -> Self {
        Self {
            burst: 5,
            every: Duration::from_mins(5),
        }
    }
}

impl RateSettings {
    /// The rule; `None` when it is switched off.
    #[must_use]
    pub fn rate(&self) -> Option<Rate> {
        let every_ms = i64::try_from(self.every.as_millis()).unwrap_or(i64::MAX);
        (self.burst > 0).then_some(Rate {
            burst: self.burst,
            every_ms,
        })
    }

    fn check(&self, key: &str, checker: &mut Checker<'_>) {
        checker.range(&format!("{key}.burst"), self.burst, 0..=1_000_000);
        let (least, most) = (Duration::from_millis(1), Duration::from_hours(24 * 366));
        checker.period(&format!("{key}.every"), self.every, least, most);
    }
}

impl LimitSettings {
    pub(super) fn check(&self, checker: &mut Checker<'_>) {
        self.email_per_client
            .check("limits.email_per_client", checker);
        self.email_per_address
            .check("limits.email_per_address", checker);
    }
}
