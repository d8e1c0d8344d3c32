//! Metrics of lookups from a standby.

use std::sync::atomic::AtomicU64;
use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::{Registry, Unit};

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct SourceLabel {
    source: &'static str,
}

/// What is counted where there is a standby.
#[derive(Debug, Default)]
pub(crate) struct ReplicaMetrics {
    lookups: Family<SourceLabel, Counter>,
    staleness: Gauge<f64, AtomicU64>,
}

impl ReplicaMetrics {
    pub(super) fn register(&self, all: &mut Registry) {
        all.register(
            "replica_lookups",
            "Reads of lookups with a standby, by where they were answered",
            self.lookups.clone(),
        );
        all.register_with_unit(
            "replica_staleness",
            "Age of the newest state that the standby is known to have; 0 without a standby",
            Unit::Seconds,
            self.staleness.clone(),
        );
    }

    /// A read was answered by the standby, or not.
    pub(crate) fn answered(&self, source: &'static str) {
        self.lookups.get_or_create(&SourceLabel { source }).inc();
    }

    /// What the standby has is so old at most.
    pub(crate) fn is_behind(&self, staleness: Duration) {
        self.staleness.set(staleness.as_secs_f64());
    }
}
