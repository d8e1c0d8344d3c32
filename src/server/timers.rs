//! Periodic work.

use std::sync::Arc;
use std::time::Duration;

use actix::{Actor as _, Addr};

use crate::actor::janitor::{Janitor, Stop};
use crate::app::App;
use crate::domain::time::duration_ms;

const PURGE_EVERY: Duration = Duration::from_mins(10);

/// Runs until it is stopped.
pub(super) struct Timers(Addr<Janitor>);

impl Timers {
    /// Starts the timers. To be called only when the server is sure to run: an
    /// actor that never had its turn must not outlive its System.
    pub(super) fn start(app: &App) -> Self {
        let validation = &app.config.validation;
        let pepper_age = app.config.lookup.rotate_pepper_every;
        let janitor = Janitor {
            associations: app.associations.for_background(),
            outbox: app.outbox.for_background(),
            max_pepper_age_ms: (!pepper_age.is_zero()).then(|| duration_ms(pepper_age)),
            sessions: app.sessions.for_background(),
            clock: app.clock.clone(),
            metrics: Arc::clone(&app.metrics),
            keep_sessions_ms: duration_ms(
                validation
                    .session_lifetime
                    .saturating_add(validation.keep_expired),
            ),
            every: PURGE_EVERY,
        };
        Self(janitor.start())
    }

    pub(super) fn stop(&self) {
        // Fails only when the janitor is gone: nothing else is in its mailbox.
        let _ = self.0.try_send(Stop);
    }
}
