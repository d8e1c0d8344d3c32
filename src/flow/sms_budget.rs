//! The daily budget of SMS: its metric, and an alarm before and at its end (MSI-18).

use super::charges;
use crate::actor::sessions::UsedOfLimit;
use crate::app::App;
use crate::limiter::sms_budget::Alarm;

/// Reads how much of the budget of this day is used, for the metric and the alarms.
pub async fn observe(app: &App) {
    let Some(limit) = charges::sms_budget(app) else {
        return;
    };
    let (budget, day_end) = (limit.rate.burst, limit.period_end.unwrap_or_default());
    let used = match app.sessions.send(UsedOfLimit { limit }).await {
        Ok(used) => used,
        Err(fault) => {
            log::warn!("cannot read how many SMS of this day are used: {fault}");
            return;
        }
    };
    app.metrics.sms_budget(used, budget);
    match app.limiters.sms_budget.alarm(day_end, used, budget) {
        Some(Alarm::UsedUp) => {
            log::error!(used, budget; "the daily budget of SMS is used up; no more are sent until midnight UTC (limits.sms_per_day)");
        }
        Some(Alarm::Nearly) => {
            log::warn!(used, budget; "most of the daily budget of SMS is used (limits.sms_per_day)");
        }
        None => {}
    }
}
