//! Look-ups without HTTP: the same queries on the same database, in one thread.

use std::time::{Duration, Instant};

use sydent::config::DatabaseUrl;
use sydent::db::{Database, DbError, Store, associations, peppers};
use sydent::domain::threepid::{Medium, ThreePid};

/// Runs `operation` (`v1`, `v2` or `bulk`) for so long; prints the time of each. Each line
/// of the file has the addresses or hashes of one operation.
pub fn measure(url: &str, operation: &str, seconds: u32, file: &str) {
    let text = std::fs::read_to_string(file).expect("a file of entries");
    let all: Vec<Vec<&str>> = text.lines().map(|line| line.split(' ').collect()).collect();
    let mut store = open(url).reader().expect("a connection");
    let run: fn(&mut Store, &[&str], i64) = match operation {
        "v1" => v1,
        "v2" => v2,
        "bulk" => bulk,
        other => panic!("there is no operation {other}"),
    };
    let entries = all.iter().cycle();
    report(seconds, entries, |entries| run(&mut store, entries, now()));
}

/// Describes the database.
pub fn open(url: &str) -> Database {
    let url = DatabaseUrl::parse(url).expect("a database");
    Database::new(url, Duration::from_secs(10))
}

/// Now, ms.
pub fn now() -> i64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    i64::try_from(now.expect("a clock").as_millis()).expect("a time")
}

/// Does `work` with each item until the time is over; prints the microseconds of each, by the
/// clock and of CPU: other programs take time of the former, but hardly of the latter.
pub fn report<T>(seconds: u32, items: impl Iterator<Item = T>, mut work: impl FnMut(T)) {
    let time = Duration::from_secs(seconds.into());
    let (started, cpu, mut count) = (Instant::now(), cpu_time(), 0_u32);
    for item in items {
        work(item);
        count += 1;
        if started.elapsed() >= time {
            break;
        }
    }
    let each = |time: Duration| time.as_secs_f64() * 1e6 / f64::from(count);
    let (us, cpu_us) = (
        each(started.elapsed()),
        each(cpu_time().saturating_sub(cpu)),
    );
    println!(r#"{{"count": {count}, "us": {us:.2}, "cpu_us": {cpu_us:.2}}}"#);
}

fn cpu_time() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    Duration::try_from(time).expect("a time")
}

fn v1(store: &mut Store, entries: &[&str], now: i64) {
    let threepid = ThreePid::parse("email", entries[0]).expect("an address");
    let found = associations::find_signed(&mut store.read(), &threepid, now);
    std::hint::black_box(found.expect("an answer"));
}

/// The pepper and the hashes in one snapshot, as the server reads them.
fn v2(store: &mut Store, entries: &[&str], now: i64) {
    let found = store.snapshot(|connection| {
        let answered = peppers::answered(connection, now)?.ok_or(DbError::Corrupt("pepper"))?;
        associations::find_by_hashes(connection, answered.current.slot, entries, now)
    });
    std::hint::black_box(found.expect("an answer"));
}

fn bulk(store: &mut Store, entries: &[&str], now: i64) {
    let found = associations::find_mxids(&mut store.read(), Medium::Email, entries, now);
    std::hint::black_box(found.expect("an answer"));
}
