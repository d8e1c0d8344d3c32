//! The TOML that is being written, and what people are told about it.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use toml::Value;

use super::reading::Given;

/// A setting with the comment above it.
struct Entry {
    key: String,
    value: Value,
    comment: String,
}

/// What a conversion has come to so far.
#[derive(Default)]
pub(super) struct ConfigDraft {
    /// By table, in the order in which they came.
    tables: Vec<(String, Vec<Entry>)>,
    /// Settings of Sydent that have no counterpart, and why.
    pub(super) without: BTreeMap<String, String>,
    /// What should be looked at.
    pub(super) remarks: Vec<String>,
    /// Whether a password is inside.
    pub(super) is_secret: bool,
}

impl ConfigDraft {
    /// Sets `key` in the table to what `given` became.
    pub(super) fn set(&mut self, table: &str, key: &str, value: impl Into<Value>, given: &Given) {
        self.set_because(table, key, value, &given.from);
    }

    /// The same with a comment of its own.
    pub(super) fn set_because(
        &mut self,
        table: &str,
        key: &str,
        value: impl Into<Value>,
        comment: &str,
    ) {
        let entry = Entry {
            key: key.to_owned(),
            value: value.into(),
            comment: comment.to_owned(),
        };
        match self.tables.iter_mut().find(|(name, _)| name == table) {
            Some((_, entries)) => entries.push(entry),
            None => self.tables.push((table.to_owned(), vec![entry])),
        }
    }

    /// Takes a setting out again; whether it was there.
    pub(super) fn remove(&mut self, setting: &str) -> bool {
        let mut removed = false;
        for (table, entries) in &mut self.tables {
            let before = entries.len();
            entries.retain(|entry| setting != format!("{table}.{}", entry.key));
            removed |= entries.len() < before;
        }
        removed
    }

    /// Takes out the table of the peer that the setting is one of; whether there
    /// is one.
    pub(super) fn remove_peer(&mut self, setting: &str) -> bool {
        let is_peer = |(table, _): &&(String, Vec<Entry>)| {
            let name = table.replace('"', "");
            let rest = setting.strip_prefix(&name);
            name.starts_with(PEERS)
                && rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        };
        // The name of one may begin with that of another.
        let peers = self.tables.iter().filter(is_peer);
        let Some((name, _)) = peers.max_by_key(|(table, _)| table.len()) else {
            return false;
        };
        let name = name.clone();
        self.remove_table(&name);
        true
    }

    /// Takes a whole table out.
    pub(super) fn remove_table(&mut self, table: &str) {
        self.tables.retain(|(name, _)| name != table);
    }

    /// Notes that a setting has no counterpart.
    pub(super) fn without(&mut self, given: &Given, reason: &str) {
        if !given.by_default {
            self.without.insert(given.key.clone(), reason.to_owned());
        }
    }

    pub(super) fn remark(&mut self, sentence: impl Into<String>) {
        self.remarks.push(sentence.into());
    }

    /// The file.
    pub(super) fn toml(&self) -> String {
        let mut text = HEAD.to_owned();
        for (table, entries) in &self.tables {
            if entries.is_empty() {
                continue;
            }
            // Writing to a text does not fail.
            let _ = write!(text, "\n[{table}]\n");
            for entry in entries {
                comment(&mut text, &entry.comment);
                let _ = writeln!(
                    text,
                    "{} = {}",
                    quoted_key(&entry.key),
                    written(&entry.value)
                );
            }
        }
        closing(&mut text, "To look at:", self.remarks.iter().cloned());
        let without = self.without.iter();
        let without = without.map(|(key, reason)| format!("{key}: {reason}."));
        closing(&mut text, "Without a counterpart here:", without);
        text
    }
}

/// What the tables of peers begin with.
const PEERS: &str = "replication.peers.";

const HEAD: &str = "# Made of a sydent.conf by `sydent import sydent`. Above each setting stands the one \
    that it came\n# from. What is not here has its default: config/default.toml shows all settings, and\n\
    # `sydent config check` names what is wrong after a change.\n";

fn closing(text: &mut String, head: &str, lines: impl Iterator<Item = String>) {
    let mut lines = lines.peekable();
    if lines.peek().is_none() {
        return;
    }
    text.push('\n');
    comment(text, head);
    for line in lines {
        comment_with(text, &line, "- ", "  ");
    }
}

fn comment(text: &mut String, line: &str) {
    comment_with(text, line, "", "");
}

/// Begins the first line and all others as they are told. What a comment may not hold becomes a
/// space.
fn comment_with(text: &mut String, line: &str, first: &str, others: &str) {
    let line: String = line
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect();
    for (index, line) in wrapped(&line).iter().enumerate() {
        let begin = if index == 0 { first } else { others };
        let _ = writeln!(text, "# {begin}{line}");
    }
}

/// Lines of at most 96 characters, unless a word is longer.
fn wrapped(text: &str) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split(' ') {
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + word.chars().count() <= 96 => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

/// On one line, also a text with line ends.
fn written(value: &Value) -> String {
    match value {
        Value::String(text) => quoted(text),
        Value::Array(values) => {
            let values: Vec<String> = values.iter().map(written).collect();
            format!("[{}]", values.join(", "))
        }
        other => other.to_string(),
    }
}

/// A basic string of TOML.
fn quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    for c in text.chars() {
        match c {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            '\n' => quoted.push_str("\\n"),
            c if c.is_control() => {
                let _ = write!(quoted, "\\u{:04X}", u32::from(c));
            }
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

/// A key, in quotes where it needs them.
pub(super) fn quoted_key(key: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
    if !key.is_empty() && key.bytes().all(plain) {
        key.to_owned()
    } else {
        quoted(key)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_is_written_is_read_back(key in ".*", text in ".*", words in "(?s).*") {
            let mut draft = ConfigDraft::default();
            let list = Value::Array(vec![text.clone().into(), words.clone().into()]);
            draft.set_because("a", &key, text.clone(), &words);
            draft.set_because(&format!("b.{}", quoted_key(&key)), "x", list.clone(), &text);
            draft.remark(words.clone());
            let table: toml::Table = draft.toml().parse().unwrap();
            prop_assert_eq!(&table["a"][&key], &Value::String(text));
            prop_assert_eq!(&table["b"][&key]["x"], &list);
        }
    }
}
