//! Several instances on one database.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use serde_json::json;
use sydent::clock::Clock;
use sydent::config::DatabaseUrl;
use sydent::db::{Database, Owner};
use sydent::domain::ids::ServerName;
use sydent::domain::signing::KeyRing;
use sydent::server::Server;

use crate::harness::{KEY_FILE, Peer, SERVER_NAME, TestDatabase, TestServer, test_settings};

/// OPS-11
#[test]
fn concurrent_starts_make_one_schema_and_pepper() {
    let database = TestDatabase::fresh();
    let started = Arc::new(AtomicUsize::new(0));
    let threads: Vec<_> = (0..4)
        .map(|_| {
            let (url, started) = (database.url.clone(), Arc::clone(&started));
            thread::spawn(move || {
                let folder = tempfile::tempdir().unwrap();
                let settings = test_settings(&folder, &TestDatabase::existing(&url));
                let config = settings.into_config().unwrap();
                actix_web::rt::System::new().block_on(async {
                    let server = Server::start(config, Clock::system()).unwrap();
                    started.fetch_add(1, Ordering::SeqCst);
                    server.run(async {}).await.unwrap();
                });
            })
        })
        .collect();
    for thread in threads {
        thread.join().unwrap();
    }
    assert_eq!(started.load(Ordering::SeqCst), 4);
    assert_eq!(database.count("lookup_peppers"), 1);
    assert_eq!(database.count("database_keys WHERE name = 'counters'"), 1);
}

/// OPS-13, OPS-11
#[test]
fn new_database_becomes_that_of_one_name() {
    for _ in 0..6 {
        let database = TestDatabase::fresh();
        let threads = ["one.example", "two.example"].map(|name| {
            let url = DatabaseUrl::parse(&database.url).unwrap();
            thread::spawn(move || {
                let (name, keys) = (ServerName::parse(name), KeyRing::parse(KEY_FILE));
                let (name, keys) = (name.unwrap(), keys.unwrap());
                let owner = Owner {
                    name: &name,
                    keys: &keys,
                };
                let prepared = Database::new(url, Duration::from_secs(20));
                let prepared = prepared.prepare_for(owner, |_connection| Ok(()));
                prepared.map_err(|error| error.to_string())
            })
        });
        let mut refused = Vec::new();
        for thread in threads {
            refused.extend(thread.join().unwrap().err());
        }
        assert_eq!(refused.len(), 1, "{refused:?}");
        let reason = "it belongs to the server ";
        assert!(refused[0].contains(reason), "{refused:?}");
        assert_eq!(database.count("server_identity"), 1);
    }
}

/// OPS-11, UNB-18
#[actix_web::test]
async fn removal_by_an_earlier_version_stays() {
    const ADDRESS: &str = "removed@example.com";
    let peer = Peer::new("peer.test");
    let server = TestServer::start(|settings| peer.configure(settings));
    let internal = server.internal();
    let bound = internal.internal_bind("email", ADDRESS, "@alice:example.org");
    let ts = bound.await.ok()["ts"].as_i64().unwrap();
    // What an instance does that does not store removals.
    server.database.execute(&format!(
        "DELETE FROM associations; UPDATE association_journal SET removed_at = {}; \
         INSERT INTO association_removals (medium, address, origin, number, ts) \
         VALUES ('email', '{ADDRESS}', '{SERVER_NAME}', 0, {})",
        ts + 1,
        ts - 9
    ));
    let server = server.start_again(|settings| peer.configure(settings));
    let push = json!({"1": peer.bound(ADDRESS, "@bob:example.org", ts)});
    peer.push(&server, push).await.ok();
    let found = server.api().lookup("email", ADDRESS).await.ok();
    assert_eq!(found, json!({}));
    let kept = format!("association_removals WHERE ts = {}", ts + 1);
    assert_eq!(server.database.count(&kept), 1);
}
