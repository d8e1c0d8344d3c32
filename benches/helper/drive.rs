//! Loads a server, as standard input says; each command prints one line of JSON.
//!
//! - `accounts COUNT`: the users of flows;
//! - `flow CLIENTS SECONDS`: whole flows;
//! - `send CLIENTS SECONDS FILE`: requests of that file;
//! - `mixed CLIENTS SECONDS FILE`: 95 % requests of that file, and 5 % whole flows;
//! - `probe CLIENTS PER_SECOND SECONDS FILE`: requests of that file at a constant rate, timed
//!   from when they were to be sent, so that a server that stalls does not delay the others;
//! - `delay MS`: the relay takes so long for a mail.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use super::flow::Flows;
use super::homeserver;
use super::http::{Connection, read_requests};
use super::relay::Relay;

/// One of so many operations of the mixed load is a flow.
const FLOW_EVERY: u32 = 20;

/// Prints the ports of the relay and of the homeserver, and waits for commands.
pub fn serve(server: &str) {
    let at: SocketAddr = server.parse().expect("an address");
    let (relay, port) = Relay::start();
    println!(
        r#"{{"relay": {port}, "homeserver": {}}}"#,
        homeserver::start()
    );
    let mut flows = Flows::new(relay.clone(), 1);
    for line in std::io::stdin().lines() {
        let line = line.expect("a command");
        let words: Vec<&str> = line.split(' ').collect();
        match words[..] {
            ["accounts", count] => {
                flows = Flows::new(relay.clone(), super::number(count));
                println!("{{}}");
            }
            ["delay", ms] => {
                relay.delay(super::number(ms).into());
                println!("{{}}");
            }
            ["flow", clients, seconds] => {
                load(at, clients, seconds, |connection, _| {
                    flows.run(connection);
                    true
                });
            }
            ["send", clients, seconds, file] => {
                let requests = read_requests(file);
                load(at, clients, seconds, |connection, number| {
                    send(connection, &requests, number)
                });
            }
            ["mixed", clients, seconds, file] => {
                let requests = read_requests(file);
                load(at, clients, seconds, |connection, number| {
                    if number % FLOW_EVERY == 0 {
                        flows.run(connection);
                        true
                    } else {
                        send(connection, &requests, number)
                    }
                });
            }
            ["probe", clients, rate, seconds, file] => probe(at, clients, rate, seconds, file),
            _ => panic!("there is no command {line}"),
        }
    }
}

/// Sends one of the requests; returns whether it succeeded.
fn send(connection: &mut Connection, requests: &[Vec<u8>], number: u32) -> bool {
    let index = number.wrapping_mul(2_654_435_761) as usize % requests.len();
    connection.send(&requests[index]) == 200
}

/// The times of a client's requests, and how many failed.
#[derive(Default)]
struct Times {
    each: Vec<Duration>,
    errors: usize,
}

impl Times {
    fn record(&mut self, since: Instant, succeeded: bool) {
        self.each.push(since.elapsed());
        self.errors += usize::from(!succeeded);
    }
}

/// Keeps so many connections busy. `work` returns whether it succeeded.
fn load(
    at: SocketAddr,
    clients: &str,
    seconds: &str,
    work: impl Fn(&mut Connection, u32) -> bool + Sync,
) {
    let time = Duration::from_secs_f64(seconds.parse().expect("seconds"));
    run(clients, |client| {
        let mut connection = Connection::open(at);
        let (started, mut times) = (Instant::now(), Times::default());
        // The clients are at different places.
        for number in client.wrapping_mul(1_000_003).. {
            let sent = Instant::now();
            if sent - started >= time {
                break;
            }
            let succeeded = work(&mut connection, number);
            times.record(sent, succeeded);
        }
        times
    });
}

fn probe(at: SocketAddr, clients: &str, rate: &str, seconds: &str, file: &str) {
    let requests = read_requests(file);
    let count = super::number(clients);
    let every = Duration::from_secs(count.into()) / super::number(rate);
    let time = Duration::from_secs_f64(seconds.parse().expect("seconds"));
    run(clients, |client| {
        let mut connection = Connection::open(at);
        let mut times = Times::default();
        let mut due = Instant::now() + every * client / count;
        let end = due + time;
        let mut number = client.wrapping_mul(1_000_003);
        while due < end {
            std::thread::sleep(due.saturating_duration_since(Instant::now()));
            let succeeded = send(&mut connection, &requests, number);
            times.record(due, succeeded);
            due += every;
            number = number.wrapping_add(1);
        }
        times
    });
}

/// Runs the clients in threads, and prints what they measured.
fn run(clients: &str, work: impl Fn(u32) -> Times + Sync) {
    let started = Instant::now();
    let all: Vec<Times> = std::thread::scope(|scope| {
        let work = &work;
        let threads: Vec<_> = (0..super::number(clients))
            .map(|client| scope.spawn(move || work(client)))
            .collect();
        let joined = threads
            .into_iter()
            .map(|thread| thread.join().expect("a client"));
        joined.collect()
    });
    let took = started.elapsed().as_secs_f64();
    let errors: usize = all.iter().map(|times| times.errors).sum();
    let mut times: Vec<Duration> = all.into_iter().flat_map(|times| times.each).collect();
    times.sort_unstable();
    let at = |share: usize| {
        let index = times.len() * share / 1000;
        times
            .get(index)
            .or(times.last())
            .map_or(0, Duration::as_micros)
    };
    println!(
        r#"{{"requests": {}, "seconds": {took:.4}, "errors": {errors}, "p50_us": {}, "p99_us": {}, "max_us": {}}}"#,
        times.len(),
        at(500),
        at(990),
        at(1000),
    );
}
