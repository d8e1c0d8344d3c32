//! `[delivery]`: the patience of the durable queue.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::checker::Checker;
use super::period;

/// `[delivery]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct DeliverySettings {
    /// How long a requestToken waits to learn whether the relay took the mail.
    #[serde(with = "period")]
    pub answer_within: Duration,
    /// How long a process that took a message has it to itself; while it delivers
    /// it says so again after every third of that.
    #[serde(with = "period")]
    pub lease: Duration,
    /// The pause before the second try.
    #[serde(with = "period")]
    pub retry_first: Duration,
    /// The longest pause between tries.
    #[serde(with = "period")]
    pub retry_max: Duration,
    /// How long a homeserver is told of a binding again and again.
    #[serde(with = "period")]
    pub onbind_give_up: Duration,
    /// How often the queue is searched for due messages.
    #[serde(with = "period")]
    pub poll_every: Duration,
}

impl Default for DeliverySettings {
    fn default() -> Self {
        Self {
            answer_within: Duration::from_secs(5),
            lease: Duration::from_mins(1),
            retry_first: Duration::from_millis(500),
            retry_max: Duration::from_mins(15),
            onbind_give_up: Duration::from_hours(7 * 24),
            poll_every: Duration::from_secs(1),
        }
    }
}

/// Instances compare leases by their own clocks: one whose clock is ahead by a
/// whole lease would take what another is delivering.
const SHORTEST_LEASE: Duration = Duration::from_secs(10);

impl DeliverySettings {
    /// Checks each time, and the times that depend on those of other sections.
    pub(super) fn check(&self, request_timeout: Duration, checker: &mut Checker<'_>) {
        let ten = Duration::from_millis(10);
        let (minute, day) = (Duration::from_mins(1), Duration::from_hours(24));
        checker.period("delivery.answer_within", self.answer_within, ten, minute);
        checker.period("delivery.lease", self.lease, SHORTEST_LEASE, day);
        checker.period("delivery.retry_first", self.retry_first, ten, day);
        checker.period("delivery.retry_max", self.retry_max, ten, day);
        let year = 366 * day;
        checker.period("delivery.onbind_give_up", self.onbind_give_up, minute, year);
        checker.period("delivery.poll_every", self.poll_every, ten, minute);
        if self.retry_max < self.retry_first {
            checker.refuse(
                "delivery.retry_max",
                "must not be shorter than delivery.retry_first",
            );
        }
        if self.answer_within >= request_timeout {
            checker.refuse(
                "delivery.answer_within",
                "must be shorter than http.request_timeout, or the answer comes too late",
            );
        }
    }
}
