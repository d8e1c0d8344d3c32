//! Metrics of connections from clients, and of destinations that do not work.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ListenerLabel {
    listener: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct KindLabel {
    kind: &'static str,
}

/// The families, by listener and by kind of destination.
#[derive(Debug, Default)]
pub(super) struct Connectivity {
    open: Family<ListenerLabel, Gauge>,
    closed: Family<ListenerLabel, Counter>,
    paused: Family<KindLabel, Gauge>,
}

/// What a listener counts.
#[derive(Debug, Clone, Default)]
pub(crate) struct ConnectionMetrics {
    /// Connections that are open.
    pub(crate) open: Gauge,
    /// Connections that were closed or not accepted because there were too many.
    pub(crate) closed: Counter,
}

impl Connectivity {
    pub(super) fn register(&self, all: &mut Registry) {
        all.register(
            "http_connections",
            "Open connections, by listener",
            self.open.clone(),
        );
        all.register(
            "http_connections_closed",
            "Connections that were closed because there were too many, by listener",
            self.closed.clone(),
        );
        all.register(
            "destinations_paused",
            "Relays, providers and homeservers that do not work and are left alone",
            self.paused.clone(),
        );
    }

    pub(super) fn listener(&self, listener: &'static str) -> ConnectionMetrics {
        let label = ListenerLabel { listener };
        ConnectionMetrics {
            open: self.open.get_or_create_owned(&label),
            closed: self.closed.get_or_create_owned(&label),
        }
    }

    pub(super) fn paused(&self, kind: &'static str) -> Gauge {
        self.paused.get_or_create_owned(&KindLabel { kind })
    }
}
