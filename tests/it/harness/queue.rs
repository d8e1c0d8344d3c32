//! Mails that were queued before a test began.

use std::sync::atomic::{AtomicU32, Ordering};

use sydent::delivery::verification::VerificationPayload;

use super::TestDatabase;

impl TestDatabase {
    /// Queues a mail to each address; every instance may deliver them at once.
    pub fn queue_mails(&self, addresses: &[String]) {
        let rows: Vec<String> = addresses.iter().map(|address| row(address)).collect();
        self.execute(&format!(
            "INSERT INTO outbox (id, kind, payload, subject, send_attempt, limits, tries, created_at, due_at, \
             answer_until, expires_at, affinity_instance, lease_owner, lease_until, acknowledged) VALUES {}",
            rows.join(", ")
        ));
    }

    /// The number of queued messages for which this SQL condition is true.
    pub fn queued(&self, condition: &str) -> i64 {
        self.count(&format!("outbox WHERE {condition}"))
    }
}

fn row(address: &str) -> String {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let payload = VerificationPayload {
        address: address.to_owned(),
        brand: "default".to_owned(),
        sid: "sid".to_owned(),
        client_secret: "secret".to_owned(),
        token: "abcdefghijklmnopqrstuvwxyz012345".to_owned(),
        ip: String::new(),
    };
    format!(
        "('queued{}', 'mail', '{}', 'sid', 1, '[]', 0, 0, 0, 0, {}, '', '', 0, TRUE)",
        COUNT.fetch_add(1, Ordering::SeqCst),
        serde_json::to_string(&payload).unwrap(),
        i64::MAX
    )
}
