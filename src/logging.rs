//! The log: lines of this program, as text or as JSON, on standard error.
//!
//! Other crates speak only from warnings up, whatever the level is: what they
//! write on their lower levels may hold addresses and secrets.

use std::io::{self, Write};

use env_logger::fmt::Formatter;
use env_logger::{Builder, Target};
use log::kv::{Error as KvError, Key, Value, VisitSource};
use log::{LevelFilter, Record};
use serde_json::{Map, Value as Json};

use crate::config::{LogFormat, LogSettings};

/// Starts the log. Only the first call has an effect.
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
