//! Limits of the addresses that are looked up.

use serde::{Deserialize, Serialize};

use super::checker::Checker;
use super::lookup::LookupSettings;
use crate::domain::rate::Rate;

const DAY_MS: u64 = 24 * 60 * 60 * 1000;

/// How many new addresses may be looked up: some at once, and so many in a day. An
/// address that was looked up in the last day is not new.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct BudgetSettings {
    /// New addresses at once; 0 switches the limit off.
    pub burst: u32,
    /// New addresses in a day, besides the burst.
    pub per_day: u32,
}

/// Less than 50,000 new addresses in any day for an attacker with one network, or one
/// domain with any number of accounts.
impl Default for BudgetSettings {
    fn default() -> Self {
        Self {
            burst: 25_000,
            per_day: 24_000,
        }
    }
}

impl BudgetSettings {
    /// The rate; `None` when the limit is switched off.
    #[must_use]
    pub fn rate(&self) -> Option<Rate> {
        let every_ms = DAY_MS.div_ceil(u64::from(self.per_day.max(1)));
        (self.burst > 0).then_some(Rate {
            burst: self.burst,
            every_ms: i64::try_from(every_ms).unwrap_or(i64::MAX),
        })
    }

    pub(super) fn check(&self, key: &str, lookup: &LookupSettings, checker: &mut Checker<'_>) {
        let burst = usize::try_from(self.burst).unwrap_or(usize::MAX);
        let key = |name| format!("{key}.{name}");
        if (1..lookup.max_addresses).contains(&burst) {
            checker.error(&key("burst"), BURST_TOO_SMALL);
        }
        checker.range(&key("burst"), self.burst, 0..=100_000_000);
        checker.range(&key("per_day"), self.per_day, 1..=86_400_000);
    }
}

pub(super) const BURST_TOO_SMALL: &str = "must be at least lookup.max_addresses, otherwise a \
    lookup of that many addresses could never succeed; 0 switches the limit off";

#[cfg(test)]
mod tests {
    use super::*;

    /// LKP-18
    #[test]
    fn no_day_allows_more_than_burst_and_day() {
        for per_day in [1, 7, 24_000, 70_000, 86_400_000] {
            let budget = BudgetSettings { burst: 1, per_day };
            let every_ms = budget.rate().unwrap().every_ms.unsigned_abs();
            assert!(DAY_MS / every_ms <= u64::from(per_day), "{per_day}");
        }
        let off = BudgetSettings {
            burst: 0,
            per_day: 1,
        };
        assert_eq!(off.rate(), None);
    }
}
