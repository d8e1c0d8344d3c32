//! Refunds of send limits when a mail is dropped, and concurrent charges to them.

use std::thread;
use std::time::Duration;

use sydent::actor::outbox::{DropExpired, Outbox, Settle, Settlement, TakeDue};
use sydent::actor::pool::Operation;
use sydent::config::DatabaseUrl;
use sydent::db::outbox::QueuedMessage;
use sydent::db::{Database, DbError, LockKey, outbox as table, send_limits};
use sydent::domain::counter::{Limit, Payer};
use sydent::domain::message::{InstanceId, MessageKind};
use sydent::domain::rate::Rate;
use sydent::domain::time::UnixMillis;

use crate::harness::{TestDatabase, fresh_address};

const LEASE_MS: i64 = 1000;

fn prepared(test: &TestDatabase) -> Database {
    let url = DatabaseUrl::parse(&test.url).unwrap();
    let database = Database::new(url, Duration::from_secs(10));
    database.prepare(|_connection| Ok(())).unwrap();
    database
}

fn outbox(database: &Database) -> Outbox {
    let store = database.writer().unwrap();
    Outbox { store }
}

/// Takes the one mail that is due.
fn take(outbox: &mut Outbox, instance: &str, now: i64) -> QueuedMessage {
    let take = TakeDue {
        instance: InstanceId::from(instance.to_owned()),
        kinds: [MessageKind::Mail; 2],
        now: UnixMillis::new(now),
        lease_until: UnixMillis::new(now + LEASE_MS),
        limit: 1,
        in_flight: Vec::new(),
    };
    take.run(outbox).unwrap().remove(0)
}

fn settle(outbox: &mut Outbox, message: &QueuedMessage, settlement: Settlement) {
    let message = message.clone();
    Settle {
        message,
        settlement,
    }
    .run(outbox)
    .unwrap();
}

/// Queues one mail that was charged 100 ms of a limit, and 1 ms that is never refunded.
fn queue_one_mail(test: &TestDatabase) {
    test.queue_mails(&[fresh_address("dropped")]);
    test.execute(
        "UPDATE outbox SET acknowledged = FALSE, limits = \
         '[{\"counted\":\"a\",\"every_ms\":100}, \
           {\"counted\":\"a\",\"every_ms\":1,\"is_final\":true}]'",
    );
    test.execute("INSERT INTO send_limits (counted, paid_until) VALUES ('a', 1000)");
}

#[test]
fn duplicate_drop_refunds_the_limit_once() {
    let test = TestDatabase::fresh();
    let mut outbox = outbox(&prepared(&test));
    queue_one_mail(&test);
    let message = take(&mut outbox, "one", 1);
    for _ in 0..2 {
        settle(&mut outbox, &message, Settlement::Dropped);
        assert_eq!(test.count("send_limits WHERE paid_until = 900"), 1);
    }
}

/// A client was told that it is on its way.
#[test]
fn acknowledged_mail_refunds_nothing() {
    let test = TestDatabase::fresh();
    let mut outbox = outbox(&prepared(&test));
    queue_one_mail(&test);
    test.execute("UPDATE outbox SET acknowledged = TRUE");
    let message = take(&mut outbox, "one", 1);
    settle(&mut outbox, &message, Settlement::Dropped);
    assert_eq!(test.count("outbox"), 0);
    assert_eq!(test.count("send_limits WHERE paid_until = 1000"), 1);
}

#[test]
fn lost_lease_cannot_drop_a_mail() {
    let test = TestDatabase::fresh();
    let mut outbox = outbox(&prepared(&test));
    queue_one_mail(&test);
    let message = take(&mut outbox, "one", 1);
    take(&mut outbox, "two", LEASE_MS + 2);
    settle(&mut outbox, &message, Settlement::Dropped);
    assert_eq!(test.queued("lease_owner = 'two'"), 1);
    assert_eq!(test.count("send_limits WHERE paid_until = 1000"), 1);
    // A delivered mail must not be sent again, whichever instance has it now.
    settle(&mut outbox, &message, Settlement::Delivered);
    assert_eq!(test.queued("tries > 0"), 0);
}

/// A kind that is no longer configured has no worker to drop it.
#[test]
fn expired_unleased_message_is_dropped() {
    let test = TestDatabase::fresh();
    let mut outbox = outbox(&prepared(&test));
    queue_one_mail(&test);
    test.execute("UPDATE outbox SET kind = 'sms', expires_at = 50");
    let mut dropped = |now| {
        DropExpired {
            now: UnixMillis::new(now),
        }
        .run(&mut outbox)
        .unwrap()
    };
    assert_eq!(dropped(50), 0);
    test.execute("UPDATE outbox SET lease_until = 60");
    assert_eq!(dropped(60), 0, "an instance is delivering it");
    assert_eq!(dropped(61), 1);
    assert_eq!(test.count("outbox"), 0);
    assert_eq!(test.count("send_limits WHERE paid_until = 900"), 1);
}

/// The waiting client and the worker lock different keys.
#[test]
fn dropped_mail_is_not_acknowledged() {
    let test = TestDatabase::fresh();
    let database = prepared(&test);
    let mut outbox = outbox(&database);
    queue_one_mail(&test);
    let message = take(&mut outbox, "one", 1);
    let acknowledge = || {
        let mut store = database.writer().unwrap();
        table::acknowledge(&mut store.read(), &message.id).unwrap()
    };
    assert!(acknowledge());
    settle(&mut outbox, &message, Settlement::Dropped);
    assert!(!acknowledge());
}

#[test]
fn concurrent_limit_purge_refuses_no_request() {
    const ROUNDS: i64 = 300;
    let rate = Rate {
        burst: 1_000_000,
        every_ms: 1,
    };
    let limits = &["c", "a", "b"].map(|counted| Limit {
        name: "a limit",
        counted: counted.to_owned(),
        rate,
        payer: Payer::Sender,
        period_end: None,
    });
    let test = TestDatabase::fresh();
    let database = prepared(&test);
    thread::scope(|threads| {
        for job in ["one", "two"] {
            let mut store = database.writer().unwrap();
            threads.spawn(move || {
                for now in 0..ROUNDS {
                    let charged: Result<_, DbError> = store
                        .write(LockKey::Job(job), |connection| {
                            send_limits::charge_all(connection, limits, now)
                        });
                    charged.unwrap().unwrap();
                }
            });
        }
        let mut store = database.writer().unwrap();
        threads.spawn(move || {
            for _ in 0..ROUNDS {
                let purged: Result<bool, DbError> = store
                    .write(LockKey::Job("purge"), |connection| {
                        send_limits::purge(connection, i64::MAX, 10)
                    });
                purged.unwrap();
            }
        });
    });
}
