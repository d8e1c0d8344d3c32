//! The monitor of a standby: it compares how far the database and the standby are, and says
//! where lookups may read.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use actix::{
    Actor, ActorContext as _, Addr, Arbiter, AsyncContext as _, Context, Handler, Message,
    WrapFuture as _,
};
use tokio::time::timeout;

use super::log_positions::{LocatePrimary, LocateStandby, PrimaryPosition, StandbyPosition};
use super::lookups::{Lookups, Ping};
use super::pool::{Fault, Pool};
use super::replica::ReplicaState;
use crate::domain::freshness::{Freshness, FromPrimary, FromStandby, Source};
use crate::metrics::Metrics;

/// What the monitor asks, and where its result goes.
pub struct MonitorParts {
    /// Asks the database.
    pub primary: Pool<PrimaryPosition>,
    /// Other connections to the database: what works for them is not away.
    pub others: Pool<Lookups>,
    /// Asks the standby.
    pub standby: Pool<StandbyPosition>,
    /// Where the result goes.
    pub state: Arc<ReplicaState>,
    /// How old what the standby has may be.
    pub max_staleness: Duration,
    /// The metrics.
    pub metrics: Arc<Metrics>,
}

/// The address of the monitor.
#[derive(Clone)]
pub struct MonitorHandle(Addr<Monitor>);

impl MonitorHandle {
    /// Starts the monitor on its own arbiter.
    #[must_use]
    pub fn start(parts: MonitorParts) -> Self {
        let arbiter = Arbiter::new();
        Self(Monitor::start_in_arbiter(
            &arbiter.handle(),
            move |_context| Monitor(Some(parts)),
        ))
    }

    /// Whether it is alive.
    #[must_use]
    pub fn is_running(&self) -> bool {
        self.0.connected()
    }

    /// Ends it. Nothing that it does has to be completed.
    pub async fn stop(&self, limit: Duration) -> bool {
        timeout(limit, self.0.send(Stop)).await.is_ok()
    }
}

struct Monitor(Option<MonitorParts>);

impl Actor for Monitor {
    type Context = Context<Self>;

    fn started(&mut self, context: &mut Context<Self>) {
        if let Some(parts) = self.0.take() {
            context.spawn(Rounds::new(parts).run().into_actor(self));
        }
    }
}

#[derive(Message)]
#[rtype(result = "()")]
struct Stop;

impl Handler<Stop> for Monitor {
    type Result = ();

    fn handle(&mut self, _stop: Stop, context: &mut Context<Self>) {
        context.stop();
        Arbiter::current().stop();
    }
}

/// The time between two rounds: ten of them while the bound lasts.
#[must_use]
pub fn interval(max_staleness: Duration) -> Duration {
    (max_staleness / 10).clamp(Duration::from_millis(100), Duration::from_secs(1))
}

/// How long the monitor waits for an answer. Up to three waits pass until a database that
/// hangs counts as away, since something may still be committed during the first. The bound
/// must not be over before: a lookup that goes to the database then does not come back.
#[must_use]
pub fn longest_wait(max_staleness: Duration) -> Duration {
    (max_staleness / 6).min(Duration::from_secs(2))
}

struct Rounds {
    parts: MonitorParts,
    freshness: Freshness,
    logged: Option<Source>,
}

impl Rounds {
    fn new(parts: MonitorParts) -> Self {
        let max_staleness = parts.max_staleness.as_millis();
        Self {
            freshness: Freshness::new(u64::try_from(max_staleness).unwrap_or(u64::MAX)),
            parts,
            logged: None,
        }
    }

    async fn run(mut self) {
        let interval = interval(self.parts.max_staleness);
        loop {
            self.round().await;
            tokio::time::sleep(interval).await;
        }
    }

    async fn round(&mut self) {
        let state = Arc::clone(&self.parts.state);
        let asked_at = state.now();
        let (answer, no_primary) = self.ask_primary().await;
        self.freshness.primary_answered(asked_at, answer);
        state.publish_changes(self.freshness.accepts_changes());
        // A dead primary must not hide for long that the standby is dead too.
        self.publish();
        let standby = self.parts.standby.send(LocateStandby).await;
        let (answer, no_standby) = match standby {
            Ok(answer) => (answer, None),
            Err(fault) => (FromStandby::Silent, Some(fault)),
        };
        self.freshness.standby_answered(answer);
        let source = self.publish();
        let now = state.now();
        // One that was never fresh is as old as this process at least.
        let staleness = self.freshness.staleness(now).unwrap_or(now);
        let metrics = self.parts.metrics.replica();
        metrics.is_behind(Duration::from_millis(staleness));
        let fault = match source {
            Source::StandbyAlone => no_primary,
            _ => no_standby.or(no_primary),
        };
        self.log(source, fault.as_ref());
    }

    /// Where the database is, or why it did not say that.
    async fn ask_primary(&self) -> (FromPrimary, Option<Fault>) {
        let parts = &self.parts;
        let commits = parts.metrics.commits();
        let mut asked = pin!(parts.primary.send(LocatePrimary));
        let half = longest_wait(parts.max_staleness) / 2;
        let others = async || {
            let answer = timeout(half, parts.others.send(Ping)).await;
            matches!(answer, Ok(Ok(true)))
        };
        let (answer, works_for_others) = match timeout(half, &mut asked).await {
            Ok(Ok(answer)) => return (answer, None),
            Ok(refused) => (refused, others().await),
            Err(_elapsed) => tokio::join!(asked, others()),
        };
        match answer {
            Ok(answer) => (answer, None),
            Err(fault) if works_for_others || commits != parts.metrics.commits() => {
                (FromPrimary::Unclear, Some(fault))
            }
            Err(fault) => (FromPrimary::Silent, Some(fault)),
        }
    }

    /// Publishes where lookups may read now.
    fn publish(&self) -> Source {
        let parts = &self.parts;
        let now = parts.state.now();
        let source = self.freshness.source(now);
        // A round has two waits; a busy machine makes it longer.
        let rest = 4 * (longest_wait(parts.max_staleness) + interval(parts.max_staleness));
        let rest = u64::try_from(rest.as_millis()).unwrap_or(u64::MAX);
        parts.state.publish(source, now.saturating_add(rest));
        source
    }

    /// One line for each change.
    fn log(&mut self, source: Source, fault: Option<&Fault>) {
        let is_known = match (self.logged, source) {
            (Some(Source::Standby { .. }), Source::Standby { .. }) => true,
            (logged, source) => logged == Some(source),
        };
        if is_known {
            return;
        }
        self.logged = Some(source);
        let reason = fault.map(|fault| format!(": {fault}")).unwrap_or_default();
        match source {
            Source::Standby { .. } => log::info!("lookups are answered from the standby"),
            Source::StandbyAlone => log::warn!(
                "the database does not answer: changes are rejected, lookups are answered from \
                 the standby{reason}"
            ),
            Source::Primary(unfit) => log::warn!(
                "lookups are answered from the database and not from its standby, which \
                 {unfit}{reason}"
            ),
            Source::Neither => log::error!(
                "neither the database nor its standby answers: changes and lookups are \
                 rejected{reason}"
            ),
            Source::Nowhere(unfit) => log::error!(
                "the database does not answer, and its standby cannot replace it, which \
                 {unfit}{reason}"
            ),
        }
    }
}

#[cfg(test)]
#[path = "replica_monitor_tests.rs"]
mod tests;
