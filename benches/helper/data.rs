//! The data that a database is filled with. Everything follows from a number, so that
//! `benches/data.py`, which knows the same rules, needs no copy of it.

use std::io::Write as _;

use serde_json::Value;
use sydent::domain::association::Association;
use sydent::domain::ids::{Mxid, ServerName};
use sydent::domain::signing::KeyRing;
use sydent::domain::threepid::ThreePid;

/// The name that the server signs with.
pub const SERVER_NAME: &str = "id.example.org";

const FIRST_TS: i64 = 1_700_000_000_000;
const CHUNK: u32 = 1000;

/// The user with that number.
pub fn user(number: u32) -> String {
    format!("@user{number}:example.org")
}

/// The access token of the user with that number.
pub fn token(number: u32) -> String {
    format!("benchmark-token-{number}")
}

/// The association with that number. Its address is scattered, so that neighbours in the
/// table are not neighbours in an index.
pub fn association(number: u32) -> Association {
    let address = format!("u{:08x}@example.com", number.wrapping_mul(2_654_435_761));
    let threepid = ThreePid::parse("email", &address).expect("an address");
    let mxid = Mxid::parse(&user(number)).expect("a user ID");
    Association::new(threepid, mxid, FIRST_TS + i64::from(number))
}

/// The server's name, parsed.
pub fn server_name() -> ServerName {
    SERVER_NAME.parse().expect("a name")
}

/// Signs an association; returns it as JSON.
pub fn sign(keys: &KeyRing, name: &ServerName, association: &Association) -> String {
    let mut signed = association.to_object();
    keys.active().sign(name, &mut signed).expect("a signature");
    Value::Object(signed).to_string()
}

/// Prints signed associations in their order, signed by all cores.
pub fn print_signed(key: &str, from: u32, to: u32) {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let mut output = std::io::BufWriter::new(std::io::stdout().lock());
    let starts: Vec<u32> = (from..to).step_by(CHUNK as usize).collect();
    for group in starts.chunks(threads) {
        let texts: Vec<String> = std::thread::scope(|scope| {
            let sign = |start: u32| scope.spawn(move || signed(key, start, to.min(start + CHUNK)));
            let running: Vec<_> = group.iter().copied().map(sign).collect();
            running
                .into_iter()
                .map(|thread| thread.join().expect("signatures"))
                .collect()
        });
        for text in texts {
            output.write_all(text.as_bytes()).expect("a reader");
        }
    }
}

fn signed(key: &str, from: u32, to: u32) -> String {
    let (keys, name) = (KeyRing::parse(key).expect("a key"), server_name());
    (from..to)
        .map(|number| sign(&keys, &name, &association(number)) + "\n")
        .collect()
}
