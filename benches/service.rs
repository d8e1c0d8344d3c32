//! The compiled part of the benchmark, which `benches/main.py` starts: see
//! `benches/README.md`. `cargo bench --bench service -- COMMAND ARGUMENT...`:
//!
//! - `signed KEY FROM TO` prints the signed associations with these numbers, one a line;
//! - `bare BYTES` serves an answer of that size at any path; prints the port;
//! - `sql URL OPERATION SECONDS [FILE]` runs the SQL of requests without HTTP;
//! - `machine FOLDER` prints how many signatures and fsyncs there are in a second;
//! - `drive SERVER` loads a server with whole flows, and is its mail relay and its
//!   homeserver; it reads commands from standard input.

#![expect(
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::disallowed_methods,
    reason = "an error ends the measurement"
)]

#[path = "helper/bare.rs"]
mod bare;
#[path = "helper/data.rs"]
mod data;
#[path = "helper/drive.rs"]
mod drive;
#[path = "helper/flow.rs"]
mod flow;
#[path = "helper/homeserver.rs"]
mod homeserver;
#[path = "helper/http.rs"]
mod http;
#[path = "helper/machine.rs"]
mod machine;
#[path = "helper/relay.rs"]
mod relay;
#[path = "helper/sql.rs"]
mod sql;
#[path = "helper/sql_flow.rs"]
mod sql_flow;

fn main() {
    let arguments: Vec<String> = std::env::args()
        .skip(1)
        // What `cargo bench` adds.
        .filter(|argument| argument != "--bench")
        .collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments[..] {
        // What `cargo test --benches` passes: there is nothing to test here.
        ["--test", ..] => {}
        ["signed", key, from, to] => data::print_signed(key, number(from), number(to)),
        ["bare", bytes] => bare::serve(number(bytes)),
        ["sql", url, "flow", seconds] => sql_flow::measure(url, number(seconds)),
        ["sql", url, operation, seconds, file] => {
            sql::measure(url, operation, number(seconds), file);
        }
        ["machine", folder] => machine::measure(folder),
        ["drive", server] => drive::serve(server),
        _ => println!("This is a part of the benchmark: tests/run bench (benches/README.md)."),
    }
}

fn number(text: &str) -> u32 {
    text.parse().expect("a number")
}
