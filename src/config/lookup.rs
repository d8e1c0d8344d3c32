//! `[lookup]`: what look-ups may ask for, and their pepper.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::checker::Checker;
use super::period;

/// `[lookup]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct LookupSettings {
    /// Addresses that one look-up may ask for (LKP-12, V1L-06).
    pub max_addresses: usize,
    /// Whether look-ups of v2 may ask for addresses in the clear (LKP-20).
    pub allow_none: bool,
    /// How old a pepper becomes before it is replaced (LKP-11); zero for ever.
    #[serde(with = "period")]
    pub rotate_pepper_every: Duration,
}

impl Default for LookupSettings {
    fn default() -> Self {
        Self {
            max_addresses: 10_000,
            allow_none: true,
            rotate_pepper_every: Duration::ZERO,
        }
    }
}

impl LookupSettings {
    pub(super) fn check(&self, checker: &mut Checker<'_>) {
        checker.range("lookup.max_addresses", self.max_addresses, 1..=100_000);
        if !self.rotate_pepper_every.is_zero() {
            let (least, most) = (Duration::from_hours(1), Duration::from_hours(24 * 3660));
            checker.period(
                "lookup.rotate_pepper_every",
                self.rotate_pepper_every,
                least,
                most,
            );
        }
    }
}
