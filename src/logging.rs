//! The log on standard error, as text or as JSON.
//!
//! Other crates log only warnings and errors, whatever the configured level: their lower
//! levels may contain addresses and secrets.

use std::io::{self, Write};
use std::panic::{self, Location};
use std::thread;

use env_logger::fmt::Formatter;
use env_logger::{Builder, Target};
use log::kv::{Error as KvError, Key, Value, VisitSource};
use log::{LevelFilter, Record};
use serde_json::{Map, Value as Json};

use crate::config::{LogFormat, LogSettings};

/// Starts the log, and logs panics with their location only: their message may quote a
/// value, and so an address or a secret. Only the first call has an effect.
pub(crate) fn start(settings: LogSettings) {
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
    // Fails when the log has been started, as in tests that start several servers.
    let _ = builder.try_init();
    panic::set_hook(Box::new(|panic| {
        let thread = thread::current();
        log::error!("{}", panic_message(thread.name(), panic.location()));
    }));
}

fn panic_message(thread: Option<&str>, location: Option<&Location<'_>>) -> String {
    let thread = thread.unwrap_or("without a name");
    match location {
        Some(location) => format!("thread {thread} panicked at {location}"),
        None => format!("thread {thread} panicked"),
    }
}

fn json(out: &mut Formatter, record: &Record<'_>) -> io::Result<()> {
    let mut fields = Fields(Map::new());
    // The line is logged even if one of its fields cannot be read.
    let _ = record.key_values().visit(&mut fields);
    let mut line = fields.0;
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
        } else if let Some(boolean) = value.to_bool() {
            boolean.into()
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

    /// Marks the child process that panics; the test runner takes it for another filter.
    const MARK: &str = "panic-with-a-secret";

    // In a child process, since all tests of a process share one panic hook.
    /// SEC-23
    #[test]
    fn panic_is_logged_without_its_message() {
        if std::env::args().any(|argument| argument == MARK) {
            start(LogSettings {
                level: LogLevel::Error,
                format: LogFormat::Json,
                ..LogSettings::default()
            });
            let address = format!("alice@{}", "example.com");
            let work = move || assert!(address.is_empty(), "quoted: {address}");
            let thread = thread::Builder::new().name("worker".to_owned()).spawn(work);
            assert!(thread.unwrap().join().is_err());
            return;
        }
        let name = "logging::tests::panic_is_logged_without_its_message";
        let program = std::env::current_exe().unwrap();
        let output = Command::new(program)
            .args(["--exact", name, MARK, "--nocapture"])
            .output()
            .unwrap();
        let log = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.success(), "{log}");
        let message = "\"message\":\"thread worker panicked at src/logging.rs:";
        assert!(log.contains(message), "{log}");
        assert!(!log.contains("alice") && !log.contains("quoted"), "{log}");
    }
}
