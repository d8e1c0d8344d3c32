//! How fast the service answers: `cargo bench --bench service`.
//!
//! Three measurements, each printed as a table:
//! - lookups of v1 on 100,000 associations, alternating with a bare actix-web
//!   handler that returns a constant JSON, under the same load;
//! - hashed lookups of v2, of one address and of a thousand;
//! - lookups while 50 requests for a token wait for a relay that takes 5 s a mail,
//!   and the same lookups without them.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::disallowed_methods,
    reason = "an error ends the measurement"
)]

#[path = "../tests/it/harness/mod.rs"]
#[expect(
    dead_code,
    unused_imports,
    reason = "the harness serves the tests as well"
)]
mod harness;
mod load;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use actix_web::{App, HttpResponse, HttpServer, web};
use serde_json::Value;
use sydent::config::DatabaseUrl;
use sydent::db::{Database, associations, peppers};
use sydent::domain::association::Association;
use sydent::domain::ids::{Mxid, ServerName};
use sydent::domain::lookup::{Pepper, sha256_hash};
use sydent::domain::signing::KeyRing;
use sydent::domain::threepid::ThreePid;

use harness::{KEY_FILE, SERVER_NAME, TestDatabase, TestServer};
use load::{Figures, get, load, post};

const ASSOCIATIONS: u32 = 100_000;
const CONNECTIONS: u32 = 32;
const ROUNDS: usize = 5;
const ROUND: Duration = Duration::from_secs(3);
const LOOKUP: &str = "/_matrix/identity/api/v1/lookup?medium=email&address=user";

fn main() {
    // What `cargo test --benches` passes: there is nothing to test here.
    if std::env::args().any(|argument| argument == "--test") {
        return;
    }
    let database = TestDatabase::fresh();
    let server = TestServer::start_on(database, |settings| {
        settings.http.workers = 0;
        settings.limits.lookup_per_client.burst = 0;
        settings.limits.lookup_per_account.burst = 0;
    });
    let pepper = fill(&server.database);
    let ours = server.addresses.client[0];
    lookups_and_bare_handler(ours);
    hashed_lookups(&server, &pepper);
    lookups_while_the_relay_stalls(&server.database.url);
}

fn lookups_and_bare_handler(ours: SocketAddr) {
    let bare = bare_handler();
    println!(
        "v1 lookup, {ASSOCIATIONS} associations, {CONNECTIONS} connections, {ROUNDS} rounds of {ROUND:?} in turn"
    );
    let mut rounds: Vec<(Figures, Figures)> = Vec::new();
    for _ in 0..ROUNDS {
        let constant = load(bare, CONNECTIONS, ROUND, &get(|_| "/".to_owned()));
        let lookup = load(ours, CONNECTIONS, ROUND, &get(path_of));
        rounds.push((lookup, constant));
    }
    print_median("lookup", rounds.iter().map(|(lookup, _)| lookup));
    print_median("bare handler", rounds.iter().map(|(_, bare)| bare));
}

fn hashed_lookups(server: &TestServer, pepper: &Pepper) {
    let account = actix_web::rt::System::new().block_on(server.account("@bench:example.org"));
    let hashes: Arc<[String]> = (0..ASSOCIATIONS)
        .map(|number| sha256_hash(&threepid(number), pepper))
        .collect();
    println!("v2 lookup by sha256, {ASSOCIATIONS} associations, all of them found");
    for (name, connections, count) in [("1 hash", CONNECTIONS, 1), ("1000 hashes", 4, 1000)] {
        let (hashes, pepper) = (Arc::clone(&hashes), pepper.clone());
        let body = move |number: u32| {
            let first = number.wrapping_mul(2_654_435_761) % (ASSOCIATIONS - count);
            let addresses = &hashes[first as usize..(first + count) as usize];
            serde_json::json!({"algorithm": "sha256", "pepper": pepper.as_str(), "addresses": addresses})
                .to_string()
        };
        let request = post("/_matrix/identity/v2/lookup", account.token(), body);
        let ours = server.addresses.client[0];
        let rounds: Vec<_> = (0..ROUNDS)
            .map(|_| load(ours, connections, ROUND, &request))
            .collect();
        print_median(name, rounds.iter());
    }
}

fn threepid(number: u32) -> ThreePid {
    ThreePid::parse("email", &format!("user{number}@example.com")).expect("an address")
}

fn lookups_while_the_relay_stalls(url: &str) {
    let relay = harness::SmtpServer::start(harness::Tls::None, "localhost", &[]);
    relay.behave(&serde_json::json!({"delay_ms": 5000}));
    let server = TestServer::start_on(TestDatabase::existing(url), |settings| {
        settings.limits.lookup_per_client.burst = 0;
        relay.configure(settings);
    });
    let ours = server.addresses.client[0];
    println!(
        "v1 lookup, 4 connections, without other load and while 50 requestTokens wait on a relay that takes 5 s a mail"
    );
    let second = Duration::from_secs(1);
    print_median(
        "no other load",
        [load(ours, 4, 4 * second, &get(path_of))].iter(),
    );
    let waiting: Vec<_> = (0..50)
        .map(|number| load::request_token(ours, number))
        .collect();
    std::thread::sleep(second / 2);
    print_median(
        "relay stalls",
        [load(ours, 4, 3 * second, &get(path_of))].iter(),
    );
    let answers: Vec<u16> = waiting
        .into_iter()
        .map(|thread| thread.join().expect("an answer"))
        .collect();
    println!("the 50 requestTokens were answered {answers:?}");
}

fn path_of(number: u32) -> String {
    format!(
        "{LOOKUP}{}@example.com",
        number.wrapping_mul(2_654_435_761) % ASSOCIATIONS
    )
}

fn print_median<'a>(name: &str, rounds: impl Iterator<Item = &'a Figures>) {
    let mut rounds: Vec<&Figures> = rounds.collect();
    rounds.sort_by_key(|figures| figures.per_second);
    let figures = rounds[rounds.len() / 2];
    println!(
        "{name:>14}: {:>7} requests/s, median {:>6} µs, 99 % within {:>6} µs",
        figures.per_second,
        figures.median.as_micros(),
        figures.slow.as_micros()
    );
}

/// Stores the associations; returns the pepper of their hashes.
fn fill(database: &TestDatabase) -> Pepper {
    let url = DatabaseUrl::parse(&database.url).expect("a database");
    let mut store = Database::new(url, Duration::from_secs(10))
        .writer()
        .expect("a connection");
    let (name, keys) = (
        SERVER_NAME.parse::<ServerName>().expect("a name"),
        KeyRing::parse(KEY_FILE).expect("keys"),
    );
    store
        .write(sydent::db::LockKey::Job("fill"), |connection| {
            let pepper = peppers::current(connection)?.expect("a pepper").pepper;
            let hashing = peppers::for_hashing(connection)?.expect("a pepper");
            for number in 0..ASSOCIATIONS {
                let mxid = Mxid::parse(&format!("@user{number}:example.org")).expect("a user id");
                let association = Association::new(threepid(number), mxid, 1_700_000_000_000);
                let mut signed = association.to_object();
                keys.active().sign(&name, &mut signed).expect("a signature");
                let hashes = hashing.hash(&association.threepid);
                associations::replace(
                    connection,
                    &association,
                    &name,
                    0,
                    association.ts,
                    &hashes,
                    &Value::Object(signed).to_string(),
                )?;
            }
            Ok::<_, sydent::db::DbError>(pepper)
        })
        .expect("associations")
}

fn bare_handler() -> SocketAddr {
    let (sender, receiver) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        actix_web::rt::System::new().block_on(async move {
            let constant = || async {
                HttpResponse::Ok()
                    .content_type("application/json")
                    .body(r#"{"constant":"json"}"#)
            };
            let server = HttpServer::new(move || App::new().route("/", web::get().to(constant)))
                .bind("127.0.0.1:0")
                .expect("an address");
            sender
                .send(server.addrs()[0])
                .expect("the receiver is open");
            server.run().await
        })
    });
    receiver.recv().expect("the bare handler starts")
}
