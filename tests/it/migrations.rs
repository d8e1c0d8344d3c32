//! Migrations that change rows, with rows from before.

use sydent::actor::outbox::{Outbox, TakeDue};
use sydent::actor::pool::Operation as _;
use sydent::config::DatabaseUrl;
use sydent::db::Database;
use sydent::domain::message::{InstanceId, MessageKind};
use sydent::domain::time::UnixMillis;

use std::time::Duration;

use crate::harness::{TestDatabase, repository};

fn statements(database: &TestDatabase, file: &str) -> String {
    let kind = if database.url.starts_with("postgres") {
        "postgres"
    } else {
        "sqlite"
    };
    std::fs::read_to_string(repository(&format!("migrations/{kind}/{file}"))).unwrap()
}

/// A deadline of 0 meant that the client was told that the message is on its way.
#[test]
fn queued_messages_keep_their_acknowledgement() {
    let test = TestDatabase::fresh();
    let url = DatabaseUrl::parse(&test.url).unwrap();
    let database = Database::new(url, Duration::from_secs(20));
    database.prepare(|_connection| Ok(())).unwrap();
    test.execute(&statements(&test, "0004_outbox_affinity/down.sql"));
    for (id, answer_until, home, home_until) in [("told", 0, "", 0), ("waits", 5000, "one", 7000)] {
        test.execute(&format!(
            "INSERT INTO outbox (id, kind, payload, subject, send_attempt, limits, tries, \
             created_at, due_at, answer_until, expires_at, home, home_until, lease_owner, \
             lease_until) VALUES ('{id}', 'mail', '{{}}', '', 0, '[]', 0, 0, 0, {answer_until}, \
             90000, '{home}', {home_until}, '', 0)"
        ));
    }
    test.execute(&statements(&test, "0004_outbox_affinity/up.sql"));
    assert_eq!(test.queued("id = 'told' AND acknowledged"), 1);
    assert_eq!(
        test.queued("id = 'waits' AND NOT acknowledged AND affinity_instance = 'one'"),
        1
    );
    let mut outbox = Outbox {
        store: database.writer().unwrap(),
    };
    let mut take = |instance: &str, now: i64| -> Vec<String> {
        let take = TakeDue {
            instance: InstanceId::from(instance.to_owned()),
            kinds: [MessageKind::Mail; 2],
            now: UnixMillis::new(now),
            lease_until: UnixMillis::new(now),
            limit: 10,
            in_flight: Vec::new(),
        };
        let taken = take.run(&mut outbox).unwrap();
        taken.iter().map(|message| message.id.to_string()).collect()
    };
    assert_eq!(take("two", 6900), ["told"]);
    assert_eq!(take("one", 6901).len(), 2);
    assert_eq!(take("two", 7001).len(), 2);
}

/// A removal from before does not hide what was found until now, and is kept otherwise.
#[test]
fn earlier_removals_hide_nothing_that_was_found() {
    let test = TestDatabase::fresh();
    let url = DatabaseUrl::parse(&test.url).unwrap();
    let database = Database::new(url, Duration::from_secs(20));
    database.prepare(|_connection| Ok(())).unwrap();
    test.execute(&statements(&test, "0014_start_indexes/down.sql"));
    test.execute(&statements(&test, "0011_access/down.sql"));
    test.execute(&statements(&test, "0005_mesh_order/down.sql"));
    test.execute(
        "INSERT INTO association_journal (medium, address, removed_at) VALUES \
         ('email', 'removed@example.com', 50), ('email', 'bound@example.com', NULL), \
         ('email', 'gone@example.com', 50)",
    );
    for (address, ts) in [
        ("removed@example.com", 49),
        ("bound@example.com", 51),
        ("other@example.com", 1),
    ] {
        test.execute(&format!(
            "INSERT INTO associations (medium, address, origin, mxid, ts, not_before, not_after, \
             lookup_hash, signed) VALUES ('email', '{address}', 'peer.test', '@a:hs', {ts}, 0, \
             9000, '', '')"
        ));
    }
    test.execute(&statements(&test, "0005_mesh_order/up.sql"));
    test.execute(&statements(&test, "0011_access/up.sql"));
    let mut store = database.reader().unwrap();
    let addresses = [
        "removed@example.com",
        "bound@example.com",
        "other@example.com",
    ];
    let medium = sydent::domain::threepid::Medium::Email;
    let found =
        sydent::db::associations::find_mxids(&mut store.read(), medium, &addresses, 5).unwrap();
    let mut found: Vec<&str> = found.keys().map(String::as_str).collect();
    found.sort_unstable();
    assert_eq!(
        found,
        [
            "bound@example.com",
            "other@example.com",
            "removed@example.com"
        ]
    );
    let kept = "association_removals WHERE address = 'gone@example.com' AND ts = 50";
    assert_eq!(test.count(kept), 1);
    assert_eq!(test.count("association_removals"), 1);
}
