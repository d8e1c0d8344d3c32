//! What this machine can do at most: signatures and durable writes.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::Path;
use std::time::{Duration, Instant};

use sydent::domain::signing::KeyRing;

use super::data;

const TIME: Duration = Duration::from_millis(500);
const KEY: &str = "ed25519 0 YJDBA9Xnr2sVqXD9Vj7XVUnmFZcZrlw8Md7kMW+3XA1";
const PAGE: [u8; 4096] = [7; 4096];

/// Prints signatures and fsyncs a second, both of one thread. The file that is written
/// is in that folder.
pub fn measure(folder: &str) {
    let (keys, name) = (KeyRing::parse(KEY).expect("a key"), data::server_name());
    let association = data::association(1);
    let signs = per_second(|| {
        std::hint::black_box(data::sign(&keys, &name, &association));
    });
    let path = Path::new(folder).join("fsync");
    let mut file = OpenOptions::new()
        .create(true)
        .append(true)
        .open(&path)
        .expect("a file");
    let fsyncs = per_second(|| {
        file.write_all(&PAGE).expect("space");
        file.sync_data().expect("a disk");
    });
    std::fs::remove_file(path).expect("the file");
    println!(r#"{{"signs_per_second": {signs:.0}, "fsyncs_per_second": {fsyncs:.0}}}"#);
}

fn per_second(mut work: impl FnMut()) -> f64 {
    let (started, mut count) = (Instant::now(), 0);
    while started.elapsed() < TIME {
        work();
        count += 1;
    }
    f64::from(count) / started.elapsed().as_secs_f64()
}
