//! The alarms of the daily budget of SMS (MSI-18). The database counts.

use std::sync::{Mutex, PoisonError};

/// Of this part of the budget on, in percent, there is an alarm.
const ALARM_PERCENT: u64 = 80;

/// What this instance has reported of the budget.
#[derive(Debug, Default)]
pub(crate) struct SmsBudget(Mutex<(i64, Option<Alarm>)>);

/// How far a budget is used up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Alarm {
    /// Little is left.
    Nearly,
    /// Nothing is left.
    UsedUp,
}

impl SmsBudget {
    /// The alarm after so many SMS, once for each day that ends at `day_end`.
    pub(crate) fn alarm(&self, day_end: i64, used: u32, budget: u32) -> Option<Alarm> {
        let alarm = if used >= budget {
            Alarm::UsedUp
        } else if u64::from(used) * 100 >= u64::from(budget) * ALARM_PERCENT {
            Alarm::Nearly
        } else {
            return None;
        };
        let mut reported = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (day, before) = *reported;
        if day == day_end && before >= Some(alarm) {
            return None;
        }
        *reported = (day_end, Some(alarm));
        Some(alarm)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// MSI-18
    #[test]
    fn each_alarm_is_given_once_a_day() {
        let budget = SmsBudget::default();
        for (day, used, expected) in [
            (1, 0, None),
            (1, 79, None),
            (1, 80, Some(Alarm::Nearly)),
            (1, 81, None),
            (1, 100, Some(Alarm::UsedUp)),
            (1, 99, None),
            (1, 100, None),
            (2, 10, None),
            (2, 100, Some(Alarm::UsedUp)),
            (3, 90, Some(Alarm::Nearly)),
        ] {
            assert_eq!(budget.alarm(day, used, 100), expected, "{day} {used}");
        }
    }
}
