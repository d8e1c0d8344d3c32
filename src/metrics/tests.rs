//! The format of the metrics.

use super::*;

#[test]
fn metrics_are_rendered_with_their_labels() {
    let metrics = Metrics::default();
    metrics.answered("/a/{b}", "GET", 200, Duration::from_millis(3));
    metrics.delivered("mail", "delivered");
    metrics.dropped("mail", "gave_up");
    metrics.dropped_by("mail", "gave_up", 2);
    metrics.homeserver_called("userinfo", "answered");
    metrics.push_received("a.example", "accepted");
    metrics.changes_skipped("a.example", 2);
    metrics.changes_skipped("other.example", 0);
    metrics.removed("invites", 3);
    metrics.queue(7, Duration::from_secs(9));
    metrics.sms_budget(8, 10);
    metrics.message_refused("limits.a");
    metrics.pushed("other.example", "accepted");
    metrics.peer_behind("other.example", 5, Duration::from_secs(6));
    metrics.replica().answered("standby");
    metrics.replica().is_behind(Duration::from_millis(1500));
    let text = metrics.render().unwrap();
    for line in [
        "sydent_http_requests_total{route=\"/a/{b}\",method=\"GET\",status=\"200\"} 1",
        "sydent_http_request_duration_seconds_count{route=\"/a/{b}\",method=\"GET\"} 1",
        "sydent_deliveries_total{kind=\"mail\",outcome=\"delivered\"} 1",
        "sydent_messages_dropped_total{kind=\"mail\",reason=\"gave_up\"} 3",
        "sydent_homeserver_calls_total{what=\"userinfo\",outcome=\"answered\"} 1",
        "sydent_replication_received_total{peer=\"a.example\",outcome=\"accepted\"} 1",
        "sydent_replication_skipped_total{peer=\"a.example\"} 2",
        "sydent_retention_removed_total{table=\"invites\"} 3",
        "sydent_queue_messages 7",
        "sydent_queue_age_seconds 9",
        "sydent_sms_today 8",
        "sydent_sms_budget 10",
        "sydent_messages_refused_total{limit=\"limits.a\"} 1",
        "sydent_peer_pushes_total{peer=\"other.example\",outcome=\"accepted\"} 1",
        "sydent_replica_lookups_total{source=\"standby\"} 1",
        "sydent_replica_staleness_seconds 1.5",
        "sydent_peer_lag{peer=\"other.example\"} 5",
        "sydent_peer_lag_age_seconds{peer=\"other.example\"} 6",
    ] {
        assert!(text.contains(line), "{line} not in {text}");
    }
}
