//! `[delivery]`: the queue of outgoing messages.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::checker::Checker;
use super::duration;

/// `[delivery]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct DeliverySettings {
    /// How long a requestToken waits for the first delivery attempt.
    #[serde(with = "duration")]
    pub answer_within: Duration,
    /// The length of an instance's lease on a message. The instance renews it every
    /// third of that during the delivery.
    #[serde(with = "duration")]
    pub lease: Duration,
    /// The delay before the second attempt.
    #[serde(with = "duration")]
    pub retry_first: Duration,
    /// The maximum delay between attempts.
    #[serde(with = "duration")]
    pub retry_max: Duration,
    /// After so many failures in a row a relay, provider or homeserver is left alone; 0
    /// means never.
    pub pause_after_failures: u32,
    /// The longest pause before one attempt finds out whether it works again.
    #[serde(with = "duration")]
    pub pause_max: Duration,
    /// How long the delivery of an onbind notification is attempted.
    #[serde(with = "duration")]
    pub onbind_give_up: Duration,
    /// How often the queue is polled for due messages.
    #[serde(with = "duration")]
    pub poll_every: Duration,
}

impl Default for DeliverySettings {
    fn default() -> Self {
        Self {
            answer_within: Duration::from_secs(5),
            lease: Duration::from_mins(1),
            retry_first: Duration::from_millis(500),
            retry_max: Duration::from_mins(15),
            pause_after_failures: 5,
            pause_max: Duration::from_secs(30),
            onbind_give_up: Duration::from_hours(7 * 24),
            poll_every: Duration::from_secs(1),
        }
    }
}

/// Each instance compares leases with its own clock: one whose clock is ahead by a whole
/// lease would take over a message that another is still delivering.
const MIN_LEASE: Duration = Duration::from_secs(10);

impl DeliverySettings {
    pub(super) fn check(&self, request_timeout: Duration, checker: &mut Checker<'_>) {
        let ten = Duration::from_millis(10);
        let (minute, day) = (Duration::from_mins(1), Duration::from_hours(24));
        checker.duration("delivery.answer_within", self.answer_within, ten, minute);
        checker.duration("delivery.lease", self.lease, MIN_LEASE, day);
        checker.duration("delivery.retry_first", self.retry_first, ten, day);
        checker.duration("delivery.retry_max", self.retry_max, ten, day);
        checker.range(
            "delivery.pause_after_failures",
            self.pause_after_failures,
            0..=1000,
        );
        checker.duration("delivery.pause_max", self.pause_max, ten, day);
        let year = 366 * day;
        checker.duration("delivery.onbind_give_up", self.onbind_give_up, minute, year);
        checker.duration("delivery.poll_every", self.poll_every, ten, minute);
        if self.retry_max < self.retry_first {
            checker.error(
                "delivery.retry_max",
                "must not be shorter than delivery.retry_first",
            );
        }
        if self.answer_within >= request_timeout {
            checker.error(
                "delivery.answer_within",
                "must be shorter than http.request_timeout, which would end the request first",
            );
        }
    }
}
