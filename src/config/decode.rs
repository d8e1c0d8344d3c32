//! Decodes a table as settings and reports all problems at once.

use std::collections::{BTreeMap, BTreeSet};

use serde_path_to_error::Segment;
use toml::{Table, Value};

use super::Settings;
use super::env::variable_for;
use super::origins::Origins;
use super::problem::Problem;
use super::reference::{join, suggestion};
use super::serde_message::explain;

/// Decodes the table. serde stops at the first error, so the value that caused it is
/// reported and removed, until the rest can be decoded. A variable's text is parsed
/// as TOML before it is reported. Unknown keys are reported at the end.
pub(super) fn decode(table: Table, origins: &Origins) -> (Settings, Vec<Problem>) {
    let mut decoder = Decoder {
        table,
        origins,
        as_toml: BTreeSet::new(),
        removed: BTreeMap::new(),
        problems: Vec::new(),
    };
    let settings = loop {
        let mut unknown = Vec::new();
        match read(decoder.table.clone(), &mut unknown) {
            Ok(settings) => {
                decoder.report_unknown(&unknown);
                break settings;
            }
            Err(error) => {
                if !decoder.repair(&error) {
                    break Settings::default();
                }
            }
        }
    };
    (settings, decoder.problems)
}

type Error = serde_path_to_error::Error<toml::de::Error>;

fn read(table: Table, unknown: &mut Vec<String>) -> Result<Settings, Error> {
    let mut add = |path: serde_ignored::Path<'_>| unknown.push(path.to_string());
    serde_path_to_error::deserialize(serde_ignored::Deserializer::new(table, &mut add))
}

struct Decoder<'a> {
    table: Table,
    origins: &'a Origins,
    /// Variables whose text has been parsed as TOML.
    as_toml: BTreeSet<String>,
    /// By list: the original indices of the elements that were removed.
    removed: BTreeMap<String, BTreeSet<usize>>,
    problems: Vec<Problem>,
}

impl Decoder<'_> {
    /// Changes the table so that the error does not occur again. Returns false if that
    /// is not possible.
    fn repair(&mut self, error: &Error) -> bool {
        let path: Vec<Segment> = error.path().iter().cloned().collect();
        if self.parse_variable(&key_of(&path)) {
            return true;
        }
        let key = self.original_key(&path);
        let message = explain(error.inner().message());
        self.problems.push(self.origins.problem(&key, message));
        remove(&mut self.table, &path)
    }

    /// Replaces the text of a variable with the TOML value in it, once per variable.
    fn parse_variable(&mut self, key: &str) -> bool {
        let Some((key, variable)) = self.origins.variable(key) else {
            return false;
        };
        if !self.as_toml.insert(variable.to_owned()) {
            return false;
        }
        let mut slot = None;
        let mut names = key.split('.');
        if let Some(first) = names.next() {
            slot = self.table.get_mut(first);
        }
        for name in names {
            slot = slot.and_then(|section| section.get_mut(name));
        }
        let Some(slot) = slot else {
            return false;
        };
        let value = slot.as_str().and_then(|text| text.parse::<Value>().ok());
        value.map(|value| *slot = value).is_some()
    }

    /// The key as in the file: the index of a list element counts the elements that
    /// were removed before it.
    fn original_key(&mut self, path: &[Segment]) -> String {
        let Some((Segment::Seq { index }, list)) = path.split_last() else {
            return key_of(path);
        };
        let list = key_of(list);
        let removed = self.removed.entry(list.clone()).or_default();
        let mut original = *index;
        for index in removed.iter() {
            if *index <= original {
                original += 1;
            }
        }
        removed.insert(original);
        format!("{list}[{original}]")
    }

    fn report_unknown(&mut self, unknown: &[String]) {
        for section in unknown {
            for key in self.origins.keys_in_unknown(section) {
                let suggested = suggestion(&key).or_else(|| suggestion(section));
                let suggested = suggested.map(|suggested| match self.origins.variable(&key) {
                    Some(_) => variable_for(&suggested),
                    None => suggested,
                });
                let message = match suggested {
                    Some(suggested) => format!("is not a setting; did you mean {suggested}?"),
                    None => "is not a setting; see config/default.toml for all settings".to_owned(),
                };
                self.problems.push(self.origins.problem(&key, message));
            }
        }
    }
}

/// A path as a key, such as `http.listen[1]`, without the variants of enums.
fn key_of(path: &[Segment]) -> String {
    path.iter()
        .fold(String::new(), |name, segment| match segment {
            Segment::Map { key } => join(&name, key),
            Segment::Seq { index } => format!("{name}[{index}]"),
            Segment::Enum { .. } | Segment::Unknown => name,
        })
}

/// Removes a value. Returns false if it does not exist.
fn remove(table: &mut Table, path: &[Segment]) -> bool {
    let mut keys = path
        .iter()
        .filter(|segment| matches!(segment, Segment::Map { .. } | Segment::Seq { .. }));
    let Some(Segment::Map { key }) = keys.next() else {
        return false;
    };
    let rest: Vec<&Segment> = keys.collect();
    let Some((last, between)) = rest.split_last() else {
        return table.remove(key).is_some();
    };
    let mut slot = table.get_mut(key);
    for segment in between {
        slot = slot.and_then(|value| match segment {
            Segment::Map { key } => value.get_mut(key.as_str()),
            Segment::Seq { index } => value.get_mut(*index),
            _ => None,
        });
    }
    match (slot, last) {
        (Some(Value::Table(section)), Segment::Map { key }) => section.remove(key).is_some(),
        (Some(Value::Array(elements)), Segment::Seq { index }) if *index < elements.len() => {
            elements.remove(*index);
            true
        }
        _ => false,
    }
}
