//! A table as settings, with everything that does not fit named at once.

use std::collections::{BTreeMap, BTreeSet};

use serde_path_to_error::Segment;
use toml::{Table, Value};

use super::Settings;
use super::env::variable_for;
use super::manual::{join, suggestion};
use super::origins::Origins;
use super::problem::Problem;
use super::sentence::sentence;

/// Reads the table. What fails is noted and taken out, until the rest reads;
/// unknown keys are noted at the end. Text from a variable that does not fit
/// is read as TOML first.
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
                decoder.note_unknown(&unknown);
                break settings;
            }
            Err(error) => {
                if !decoder.mend(&error) {
                    break Settings::default();
                }
            }
        }
    };
    (settings, decoder.problems)
}

type Error = serde_path_to_error::Error<toml::de::Error>;

fn read(table: Table, unknown: &mut Vec<String>) -> Result<Settings, Error> {
    let mut note = |path: serde_ignored::Path<'_>| unknown.push(path.to_string());
    serde_path_to_error::deserialize(serde_ignored::Deserializer::new(table, &mut note))
}

struct Decoder<'a> {
    table: Table,
    origins: &'a Origins,
    /// Variables that have been read as TOML.
    as_toml: BTreeSet<String>,
    /// By list: the elements that were taken out, by their place in the file.
    removed: BTreeMap<String, BTreeSet<usize>>,
    problems: Vec<Problem>,
}

impl Decoder<'_> {
    /// Changes the table so that the error does not come again; whether that
    /// worked.
    fn mend(&mut self, error: &Error) -> bool {
        let path: Vec<Segment> = error.path().iter().cloned().collect();
        if self.read_as_toml(&name_of(&path)) {
            return true;
        }
        let key = self.original(&path);
        let said = sentence(error.inner().message());
        self.problems.push(self.origins.problem(&key, said));
        remove(&mut self.table, &path)
    }

    /// Replaces a variable's text by the TOML value that it is, once.
    fn read_as_toml(&mut self, key: &str) -> bool {
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
        let read = slot.as_str().and_then(|text| text.parse::<Value>().ok());
        read.map(|value| *slot = value).is_some()
    }

    /// The path as the file has it: with the elements that were taken out of a
    /// list counted in.
    fn original(&mut self, path: &[Segment]) -> String {
        let Some((Segment::Seq { index }, list)) = path.split_last() else {
            return name_of(path);
        };
        let list = name_of(list);
        let gone = self.removed.entry(list.clone()).or_default();
        let mut place = *index;
        for removed in gone.iter() {
            if *removed <= place {
                place += 1;
            }
        }
        gone.insert(place);
        format!("{list}[{place}]")
    }

    fn note_unknown(&mut self, unknown: &[String]) {
        for key in unknown {
            for written in self.origins.written(key) {
                let meant = suggestion(&written).or_else(|| suggestion(key));
                let meant = meant.map(|meant| match self.origins.variable(&written) {
                    Some(_) => variable_for(&meant),
                    None => meant,
                });
                let sentence = match meant {
                    Some(meant) => format!("is not a setting; did you mean {meant}?"),
                    None => "is not a setting; config/default.toml lists all of them".to_owned(),
                };
                self.problems.push(self.origins.problem(&written, sentence));
            }
        }
    }
}

/// `http.listen[1]`; what is below a list or an enum's name is not counted.
fn name_of(path: &[Segment]) -> String {
    path.iter()
        .fold(String::new(), |name, segment| match segment {
            Segment::Map { key } => join(&name, key),
            Segment::Seq { index } => format!("{name}[{index}]"),
            Segment::Enum { .. } | Segment::Unknown => name,
        })
}

/// Takes a value out; whether it was there.
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
