//! The log: lines of this program, as text or as JSON, on standard error.
//!
//! Other crates speak only from warnings up, whatever the level is: what they
//! write on their lower levels may hold addresses and secrets.

use std::io::{self, Write};
use std::panic::{self, Location};
use std::thread;

use env_logger::fmt::Formatter;
use env_logger::{Builder, Target};
use log::kv::{Error as KvError, Key, Value, VisitSource};
use log::{LevelFilter, Record};
use serde_json::{Map, Value as Json};

use crate::config::{LogFormat, LogSettings};

/// Starts the log, and keeps panics from speaking past it: what a panic says may
/// quote the text that it stumbled over, and so an address or a secret. Only
/// the first call has an effect.
pub fn start(settings: LogSettings) {
    let own: LevelFilter = settings.level.into();
    let mut builder = Builder::new();
    builder
        .target(Target::Stderr)
        .filter_level(LevelFilter::Warn)
        .filter_module("sydent", own)
        .format_timestamp_millis();
    if settings.format == LogFormat::Json {
        builder.format(json);
    }
    // Fails when there is a log already, as in tests that start many servers.
    let _ = builder.try_init();
    panic::set_hook(Box::new(|panic| {
        let thread = thread::current();
        log::error!("{}", where_it_was(thread.name(), panic.location()));
    }));
}

fn where_it_was(thread: Option<&str>, location: Option<&Location<'_>>) -> String {
    let thread = thread.unwrap_or("without a name");
    match location {
        Some(place) => format!("the thread {thread} panicked at {place}"),
        None => format!("the thread {thread} panicked"),
    }
}

fn json(out: &mut Formatter, record: &Record<'_>) -> io::Result<()> {
    let mut line = Fields(Map::new());
    // What is in a record is printed; a field that cannot be is left out.
    let _ = record.key_values().visit(&mut line);
    let mut line = line.0;
    line.insert("time".to_owned(), out.timestamp_millis().to_string().into());
    line.insert("level".to_owned(), record.level().as_str().into());
    line.insert("target".to_owned(), record.target().into());
    line.insert("message".to_owned(), record.args().to_string().into());
    writeln!(out, "{}", Json::Object(line))
}

struct Fields(Map<String, Json>);

impl<'kvs> VisitSource<'kvs> for Fields {
    fn visit_pair(&mut self, key: Key<'kvs>, value: Value<'kvs>) -> Result<(), KvError> {
        let json = if let Some(number) = value.to_i64() {
            number.into()
        } else if let Some(truth) = value.to_bool() {
            truth.into()
        } else {
            value.to_string().into()
        };
        self.0.insert(key.as_str().to_owned(), json);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;
    use crate::config::LogLevel;

    /// Tells the process that panics from the one that looks at it; to the test
    /// runner it is one more filter.
    const MARK: &str = "panic-with-a-secret";

    // In a process of its own: the hook is the same for all tests of a process.
    #[test]
    fn sec_23_a_panic_is_logged_without_what_it_quotes() {
        if std::env::args().any(|argument| argument == MARK) {
            start(LogSettings {
                level: LogLevel::Error,
                format: LogFormat::Json,
            });
            let address = format!("alice@{}", "example.com");
            let work = move || assert!(address.is_empty(), "quoted: {address}");
            let ended = thread::Builder::new().name("worker".to_owned()).spawn(work);
            assert!(ended.unwrap().join().is_err());
            return;
        }
        let name = "logging::tests::sec_23_a_panic_is_logged_without_what_it_quotes";
        let program = std::env::current_exe().unwrap();
        let told = Command::new(program)
            .args(["--exact", name, MARK, "--nocapture"])
            .output()
            .unwrap();
        let log = String::from_utf8(told.stderr).unwrap();
        assert!(told.status.success(), "{log}");
        let said = "\"message\":\"the thread worker panicked at src/logging.rs:";
        assert!(log.contains(said), "{log}");
        assert!(!log.contains("alice") && !log.contains("quoted"), "{log}");
    }
}
