//! The monitor of a standby: it compares how far the database and the standby are, and says
//! where lookups may read.

use std::sync::Arc;
use std::time::Duration;

use actix::{
    Actor, ActorContext as _, Addr, Arbiter, AsyncContext as _, Context, Handler, Message,
    WrapFuture as _,
};

use super::log_positions::{LocatePrimary, LocateStandby, PrimaryPosition, StandbyPosition};
use super::pool::{Fault, Pool};
use super::replica::ReplicaState;
use crate::domain::freshness::{Freshness, FromPrimary, FromStandby, Source};
use crate::metrics::Metrics;

/// What the monitor asks, and where its result goes.
pub struct MonitorParts {
    /// Asks the database.
    pub primary: Pool<PrimaryPosition>,
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
        tokio::time::timeout(limit, self.0.send(Stop)).await.is_ok()
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

/// How long the monitor waits for an answer. Twice that and a round pass until the database
/// counts as away, which should be less than the bound.
#[must_use]
pub fn longest_wait(max_staleness: Duration) -> Duration {
    (max_staleness / 4).clamp(Duration::from_millis(250), Duration::from_secs(2))
}

struct Rounds {
    parts: MonitorParts,
    freshness: Freshness,
    /// Commits of this instance before this round.
    commits: u64,
    logged: Option<Source>,
}

impl Rounds {
    fn new(parts: MonitorParts) -> Self {
        let max_staleness = parts.max_staleness.as_millis();
        Self {
            freshness: Freshness::new(u64::try_from(max_staleness).unwrap_or(u64::MAX)),
            commits: parts.metrics.commits(),
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
        let primary = self.parts.primary.send(LocatePrimary).await;
        let commits = self.parts.metrics.commits();
        let has_committed = commits != std::mem::replace(&mut self.commits, commits);
        let (answer, no_primary) = match primary {
            Ok(answer) => (answer, None),
            // What works for others is not away.
            Err(fault) if has_committed || is_of_server(&fault) => {
                (FromPrimary::Unclear, Some(fault))
            }
            Err(fault) => (FromPrimary::Silent, Some(fault)),
        };
        self.freshness.primary_answered(asked_at, answer);
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
            Source::Nowhere(unfit) => log::error!(
                "the database does not answer, and its standby cannot replace it, which \
                 {unfit}{reason}"
            ),
        }
    }
}

/// Whether the server is running that did not say where it is.
fn is_of_server(fault: &Fault) -> bool {
    matches!(fault, Fault::Database(error) if error.is_refused_session())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outage_is_found_before_the_bound_is_over() {
        for seconds in [1, 2, 5, 10, 60, 300] {
            let bound = Duration::from_secs(seconds);
            assert!(2 * longest_wait(bound) + interval(bound) < bound);
        }
    }
}
