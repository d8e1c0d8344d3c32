//! All metrics, in one struct. Labels never hold addresses, ids or secrets.

mod connectivity;
mod labels;
mod replica;

pub(crate) use connectivity::ConnectionMetrics;
pub(crate) use replica::ReplicaMetrics;

use std::time::Duration;

use connectivity::Connectivity;

use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::{Registry, Unit};

use self::labels::{
    ActorLabel, DeliveryLabel, DropLabel, HomeserverLabel, LimitLabel, PeerLabel, PushLabel,
    RequestLabel, RouteLabel, TableLabel,
};

/// What the operations listener serves at `/metrics`.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    requests: Family<RequestLabel, Counter>,
    latency: Family<RouteLabel, Histogram>,
    deliveries: Family<DeliveryLabel, Counter>,
    dropped: Family<DropLabel, Counter>,
    homeservers: Family<HomeserverLabel, Counter>,
    pushes_received: Family<PushLabel, Counter>,
    changes_skipped: Family<PeerLabel, Counter>,
    queue_messages: Gauge,
    queue_age: Gauge,
    sms_today: Gauge,
    sms_budget: Gauge,
    refused: Family<LimitLabel, Counter>,
    pushes: Family<PushLabel, Counter>,
    peer_lag: Family<PeerLabel, Gauge>,
    peer_lag_age: Family<PeerLabel, Gauge>,
    queue_time: Family<ActorLabel, Histogram>,
    run_time: Family<ActorLabel, Histogram>,
    commit_time: Histogram,
    committed: Counter,
    rejected: Family<ActorLabel, Counter>,
    panics: Family<ActorLabel, Counter>,
    removed: Family<TableLabel, Counter>,
    connectivity: Connectivity,
    replica: ReplicaMetrics,
}

fn seconds() -> Histogram {
    // 50 µs to 26 s, each bucket twice the one before.
    Histogram::new(exponential_buckets(0.000_05, 2.0, 20))
}

impl Default for Metrics {
    fn default() -> Self {
        let mut metrics = Self {
            registry: Registry::with_prefix("sydent"),
            requests: Family::default(),
            latency: Family::new_with_constructor(seconds),
            deliveries: Family::default(),
            dropped: Family::default(),
            homeservers: Family::default(),
            pushes_received: Family::default(),
            changes_skipped: Family::default(),
            queue_messages: Gauge::default(),
            queue_age: Gauge::default(),
            sms_today: Gauge::default(),
            sms_budget: Gauge::default(),
            refused: Family::default(),
            pushes: Family::default(),
            peer_lag: Family::default(),
            peer_lag_age: Family::default(),
            queue_time: Family::new_with_constructor(seconds),
            run_time: Family::new_with_constructor(seconds),
            commit_time: seconds(),
            committed: Counter::default(),
            rejected: Family::default(),
            panics: Family::default(),
            removed: Family::default(),
            connectivity: Connectivity::default(),
            replica: ReplicaMetrics::default(),
        };
        metrics.register();
        metrics.register_others();
        metrics.connectivity.register(&mut metrics.registry);
        metrics.replica.register(&mut metrics.registry);
        metrics
    }
}

impl Metrics {
    fn register(&mut self) {
        let all = &mut self.registry;
        all.register(
            "http_requests",
            "HTTP requests, by route, method and status",
            self.requests.clone(),
        );
        all.register_with_unit(
            "http_request_duration",
            "Time from a request to its response",
            Unit::Seconds,
            self.latency.clone(),
        );
        all.register(
            "deliveries",
            "Delivery attempts, by outcome",
            self.deliveries.clone(),
        );
        all.register(
            "messages_dropped",
            "Messages that will not be sent, by reason",
            self.dropped.clone(),
        );
        all.register(
            "homeserver_calls",
            "Calls to homeservers, by outcome",
            self.homeservers.clone(),
        );
        all.register(
            "replication_received",
            "Pushes received from peers, by outcome",
            self.pushes_received.clone(),
        );
        all.register(
            "replication_skipped",
            "Changes of peers that were skipped because they are not valid",
            self.changes_skipped.clone(),
        );
        all.register(
            "queue_messages",
            "Messages that are not delivered yet",
            self.queue_messages.clone(),
        );
        all.register_with_unit(
            "queue_age",
            "Age of the oldest message that is not delivered yet",
            Unit::Seconds,
            self.queue_age.clone(),
        );
        all.register(
            "peer_pushes",
            "Pushes to peers, by outcome",
            self.pushes.clone(),
        );
        all.register(
            "peer_lag",
            "Changes that a peer has not received",
            self.peer_lag.clone(),
        );
        all.register_with_unit(
            "peer_lag_age",
            "Age of the oldest change that a peer has not received",
            Unit::Seconds,
            self.peer_lag_age.clone(),
        );
        all.register_with_unit(
            "actor_queue_duration",
            "Time that an operation was queued",
            Unit::Seconds,
            self.queue_time.clone(),
        );
        all.register_with_unit(
            "actor_run_duration",
            "Time that an operation ran",
            Unit::Seconds,
            self.run_time.clone(),
        );
        all.register(
            "actor_rejected",
            "Operations rejected because the queue was full",
            self.rejected.clone(),
        );
        all.register(
            "actor_panics",
            "Operations that panicked",
            self.panics.clone(),
        );
        all.register(
            "retention_removed",
            "Rows that were kept long enough and were removed, by table",
            self.removed.clone(),
        );
    }

    fn register_others(&mut self) {
        let all = &mut self.registry;
        all.register_with_unit(
            "database_commit_duration",
            "Time that a commit of changes took",
            Unit::Seconds,
            self.commit_time.clone(),
        );
        all.register(
            "database_committed_operations",
            "Operations that ended with a commit and succeeded, several with one",
            self.committed.clone(),
        );
        all.register(
            "sms_today",
            "SMS of this day (UTC) in all, which count for the budget",
            self.sms_today.clone(),
        );
        all.register(
            "sms_budget",
            "SMS that may be sent in a day in all; 0 without a budget",
            self.sms_budget.clone(),
        );
        all.register(
            "messages_refused",
            "Requests for a message that a limit refused, by limit",
            self.refused.clone(),
        );
    }

    /// A response was sent. `route` is the pattern, never the path.
    pub fn answered(&self, route: &str, method: &str, status: u16, took: Duration) {
        let (route, method) = (route.to_owned(), method.to_owned());
        let labels = RequestLabel {
            route: route.clone(),
            method: method.clone(),
            status,
        };
        self.requests.get_or_create(&labels).inc();
        self.latency
            .get_or_create(&RouteLabel { route, method })
            .observe(took.as_secs_f64());
    }

    /// A delivery attempt ended.
    pub fn delivered(&self, kind: &'static str, outcome: &'static str) {
        self.deliveries
            .get_or_create(&DeliveryLabel { kind, outcome })
            .inc();
    }

    /// A message was dropped from the queue and will not be sent.
    pub fn dropped(&self, kind: &'static str, reason: &'static str) {
        self.dropped_by(kind, reason, 1);
    }

    /// So many messages were dropped for the same reason.
    pub fn dropped_by(&self, kind: &'static str, reason: &'static str, messages: u64) {
        self.dropped
            .get_or_create(&DropLabel { kind, reason })
            .inc_by(messages);
    }

    /// A homeserver was called, or a cached result was used.
    pub fn homeserver_called(&self, what: &'static str, outcome: &'static str) {
        self.homeservers
            .get_or_create(&HomeserverLabel { what, outcome })
            .inc();
    }

    /// A peer has pushed changes. Its name is one of the configuration, or empty.
    pub fn push_received(&self, peer: &str, outcome: &'static str) {
        let peer = peer.to_owned();
        self.pushes_received
            .get_or_create(&PushLabel { peer, outcome })
            .inc();
    }

    /// So many changes of a peer were skipped. Its name is one of the configuration.
    pub fn changes_skipped(&self, peer: &str, count: usize) {
        if count > 0 {
            let peer = peer.to_owned();
            let counter = self.changes_skipped.get_or_create(&PeerLabel { peer });
            counter.inc_by(u64::try_from(count).unwrap_or(u64::MAX));
        }
    }

    /// An operation was `queued` and then `ran` for so long.
    pub fn actor_ran(&self, actor: &'static str, queued: Duration, ran: Duration) {
        self.queue_time
            .get_or_create(&ActorLabel { actor })
            .observe(queued.as_secs_f64());
        self.run_time
            .get_or_create(&ActorLabel { actor })
            .observe(ran.as_secs_f64());
    }

    /// A commit, which took so long, has ended so many operations.
    pub fn committed(&self, operations: usize, took: Duration) {
        self.commit_time.observe(took.as_secs_f64());
        self.committed
            .inc_by(u64::try_from(operations).unwrap_or(u64::MAX));
    }

    /// How many commits there were.
    #[must_use]
    pub(crate) fn commits(&self) -> u64 {
        self.committed.get()
    }

    /// What is counted of a standby.
    #[must_use]
    pub(crate) fn replica(&self) -> &ReplicaMetrics {
        &self.replica
    }

    /// An actor's queue was full.
    pub fn actor_rejected(&self, actor: &'static str) {
        self.rejected.get_or_create(&ActorLabel { actor }).inc();
    }

    /// An operation panicked.
    pub fn actor_panicked(&self, actor: &'static str) {
        self.panics.get_or_create(&ActorLabel { actor }).inc();
    }

    /// Rows of a table were removed because they were kept long enough.
    pub fn removed(&self, table: &'static str, rows: usize) {
        let counter = self.removed.get_or_create(&TableLabel { table });
        counter.inc_by(u64::try_from(rows).unwrap_or(u64::MAX));
    }

    /// The size of the outbox, and the age of its oldest message.
    pub fn queue(&self, messages: i64, age: Duration) {
        self.queue_messages.set(messages);
        self.queue_age
            .set(i64::try_from(age.as_secs()).unwrap_or(i64::MAX));
    }

    /// So many SMS of the budget of this day are used.
    pub fn sms_budget(&self, used: u32, budget: u32) {
        self.sms_today.set(i64::from(used));
        self.sms_budget.set(i64::from(budget));
    }

    /// A request for a message was refused by the limit of that setting.
    pub fn message_refused(&self, limit: &'static str) {
        self.refused.get_or_create(&LimitLabel { limit }).inc();
    }

    /// What a listener counts.
    #[must_use]
    pub(crate) fn listener(&self, name: &'static str) -> ConnectionMetrics {
        self.connectivity.listener(name)
    }

    /// The number of destinations of a kind that do not work and are left alone.
    #[must_use]
    pub fn paused(&self, kind: &'static str) -> Gauge {
        self.connectivity.paused(kind)
    }

    /// A push to a peer ended.
    pub fn pushed(&self, peer: &str, outcome: &'static str) {
        let peer = peer.to_owned();
        self.pushes
            .get_or_create(&PushLabel { peer, outcome })
            .inc();
    }

    /// The number of changes that a peer has not received, and the age of the oldest.
    pub fn peer_behind(&self, peer: &str, changes: i64, age: Duration) {
        let peer = PeerLabel {
            peer: peer.to_owned(),
        };
        self.peer_lag.get_or_create(&peer).set(changes);
        self.peer_lag_age
            .get_or_create(&peer)
            .set(i64::try_from(age.as_secs()).unwrap_or(i64::MAX));
    }

    /// All metrics in the OpenMetrics text format.
    ///
    /// # Errors
    /// Never in practice: writing to a `String` does not fail.
    pub fn render(&self) -> Result<String, std::fmt::Error> {
        let mut text = String::new();
        encode(&mut text, &self.registry)?;
        Ok(text)
    }
}

#[cfg(test)]
mod tests;
