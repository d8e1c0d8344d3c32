//! Periodic work.

use std::sync::Arc;
use std::time::Duration;

use actix::{Actor as _, Addr};

use crate::actor::cleaner::{Cleaner, Periods};
use crate::actor::janitor::{Janitor, Stop};
use crate::actor::retention::Expiring;
use crate::app::App;
use crate::config::Config;
use crate::db::Database;
use crate::domain::time::duration_ms;

const PURGE_EVERY: Duration = Duration::from_mins(10);

/// Runs until it is stopped.
pub(super) struct Timers(Addr<Janitor>);

impl Timers {
    /// Starts the timers. To be called only when the server is sure to run: an
    /// actor that never had its turn must not outlive its System.
    pub(super) fn start(app: &App) -> Self {
        let peers = app.config.replication.peers.keys();
        let janitor = Janitor {
            max_pepper_age_ms: unless_zero(app.config.lookup.rotate_pepper_every),
            outbox: app.outbox.for_background(),
            cleaner: Cleaner {
                associations: app.associations.for_background(),
                sessions: app.sessions.for_background(),
                database: Database::new(
                    app.config.database.url.clone(),
                    app.config.database.busy_timeout,
                ),
                clock: app.clock.clone(),
                metrics: Arc::clone(&app.metrics),
                periods: Arc::new(periods(&app.config)),
                peers: peers.map(ToString::to_string).collect(),
            },
            every: PURGE_EVERY,
        };
        Self(janitor.start())
    }

    pub(super) fn stop(&self) {
        // Fails only when the janitor is gone: nothing else is in its mailbox.
        let _ = self.0.try_send(Stop);
    }
}

fn unless_zero(period: Duration) -> Option<i64> {
    (!period.is_zero()).then(|| duration_ms(period))
}

fn periods(config: &Config) -> Periods {
    let retention = &config.retention;
    let lifetime = config.validation.session_lifetime;
    let period = |what| {
        unless_zero(match what {
            Expiring::PendingInvites => retention.pending_invites,
            Expiring::DeliveredInvites => retention.delivered_invites,
            Expiring::EphemeralKeys => retention.ephemeral_keys,
            Expiring::UnusedTokens => config.accounts.keep_unused_tokens,
            Expiring::UnusedAccounts => retention.unused_accounts,
            Expiring::Audit => retention.audit,
        })
    };
    Periods {
        sessions_ms: duration_ms(lifetime.saturating_add(retention.expired_sessions)),
        expiring_ms: Expiring::ALL.map(|what| (what, period(what))),
        removals_ms: unless_zero(retention.removals),
        unconfirmed_erasures_ms: duration_ms(retention.unconfirmed_erasures),
    }
}
