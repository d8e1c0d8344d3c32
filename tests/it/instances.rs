//! Several instances on one database.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use sydent::clock::Clock;
use sydent::server::Server;

use crate::harness::{TestDatabase, test_settings};

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
}
