//! `[lookup]`: limits of lookups, and their pepper.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::checker::Checker;
use super::duration;

/// `[lookup]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct LookupSettings {
    /// The maximum number of addresses in one lookup (LKP-12, V1L-06).
    pub max_addresses: usize,
    /// Accept v2 lookups of unhashed addresses, algorithm `none` (LKP-20).
    pub allow_none: bool,
    /// The age at which the pepper is rotated (LKP-11); zero means never.
    #[serde(with = "duration")]
    pub rotate_pepper_every: Duration,
}

impl Default for LookupSettings {
    fn default() -> Self {
        Self {
            max_addresses: 10_000,
            allow_none: true,
            rotate_pepper_every: Duration::from_hours(24 * 30),
        }
    }
}

impl LookupSettings {
    pub(super) fn check(&self, checker: &mut Checker<'_>) {
        checker.range("lookup.max_addresses", self.max_addresses, 1..=100_000);
        if !self.rotate_pepper_every.is_zero() {
            let (hour, ten_years) = (Duration::from_hours(1), Duration::from_hours(24 * 3660));
            checker.duration(
                "lookup.rotate_pepper_every",
                self.rotate_pepper_every,
                hour,
                ten_years,
            );
        }
    }
}
