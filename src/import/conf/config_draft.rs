//! The new configuration while it is built, and remarks for the administrator.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use toml::Value;

use super::sydent_settings::Setting;
use crate::config::toml_text;

/// A setting with its comment.
struct Entry {
    key: String,
    value: Value,
    comment: String,
}

/// The new configuration. Becomes TOML with [`ConfigDraft::to_toml`].
#[derive(Default)]
pub(super) struct ConfigDraft {
    /// By table, in the order in which they were set.
    tables: Vec<(String, Vec<Entry>)>,
    /// Settings of Sydent that have no counterpart, with the reason.
    pub(super) unsupported: BTreeMap<String, String>,
    /// What the administrator should review, in sentences.
    pub(super) remarks: Vec<String>,
    /// Whether it contains a password.
    pub(super) is_secret: bool,
}

impl ConfigDraft {
    /// Sets `key` in `table` to the converted value of `setting`, whose origin becomes the comment.
    pub(super) fn set(
        &mut self,
        table: &str,
        key: &str,
        value: impl Into<Value>,
        setting: &Setting,
    ) {
        self.set_with_comment(table, key, value, &setting.origin);
    }

    /// Sets `key` in `table`, with this comment.
    pub(super) fn set_with_comment(
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

    /// Removes a setting. Returns whether it was set.
    pub(super) fn remove(&mut self, setting: &str) -> bool {
        let mut removed = false;
        for (table, entries) in &mut self.tables {
            let before = entries.len();
            entries.retain(|entry| setting != format!("{table}.{}", entry.key));
            removed |= entries.len() < before;
        }
        removed
    }

    /// Removes the table of the peer that the setting belongs to. Returns whether there is such a
    /// peer.
    pub(super) fn remove_peer(&mut self, setting: &str) -> bool {
        let table = self
            .tables
            .iter()
            .map(|(table, _)| table)
            .filter(|table| is_setting_of_peer(setting, table))
            // The longest, because the name of a peer may begin with that of another one.
            .max_by_key(|table| table.len())
            .cloned();
        if let Some(table) = &table {
            self.remove_table(table);
        }
        table.is_some()
    }

    /// Removes a table.
    pub(super) fn remove_table(&mut self, table: &str) {
        self.tables.retain(|(name, _)| name != table);
    }

    /// Lists a setting as one without a counterpart, unless it has its default.
    pub(super) fn add_unsupported(&mut self, setting: &Setting, reason: &str) {
        if !setting.is_default {
            self.unsupported
                .insert(setting.key.clone(), reason.to_owned());
        }
    }

    pub(super) fn add_remark(&mut self, sentence: impl Into<String>) {
        self.remarks.push(sentence.into());
    }

    /// The content of the file.
    pub(super) fn to_toml(&self) -> String {
        let mut text = HEAD.to_owned();
        for (table, entries) in &self.tables {
            if entries.is_empty() {
                continue;
            }
            // Writing to a string cannot fail.
            let _ = write!(text, "\n[{table}]\n");
            for entry in entries {
                push_comment(&mut text, &entry.comment);
                let key = toml_text::key(&entry.key);
                let _ = writeln!(text, "{key} = {}", toml_text::value(&entry.value));
            }
        }
        push_list(&mut text, "To review:", self.remarks.iter().cloned());
        let unsupported = self.unsupported.iter();
        let unsupported = unsupported.map(|(key, reason)| format!("{key}: {reason}."));
        push_list(&mut text, "Settings without a counterpart:", unsupported);
        text
    }
}

fn is_setting_of_peer(setting: &str, table: &str) -> bool {
    let name = table.replace('"', "");
    let rest = setting.strip_prefix(&name);
    name.starts_with(PEERS) && rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

/// Prefix of the tables of peers.
const PEERS: &str = "replication.peers.";

const HEAD: &str = "# Converted from a sydent.conf by `sydent import sydent`. The comment above each setting \
    says where\n# its value comes from. All other settings have their defaults, see config/default.toml. \
    Run\n# `sydent config check` after a change.\n";

fn push_list(text: &mut String, head: &str, lines: impl Iterator<Item = String>) {
    let mut lines = lines.peekable();
    if lines.peek().is_none() {
        return;
    }
    text.push('\n');
    push_comment(text, head);
    for line in lines {
        push_indented_comment(text, &line, "- ", "  ");
    }
}

fn push_comment(text: &mut String, line: &str) {
    push_indented_comment(text, line, "", "");
}

/// Appends `line`, wrapped, with `first` before its first line and `others` before the other ones.
/// Control characters, which TOML does not allow in comments, become spaces.
fn push_indented_comment(text: &mut String, line: &str, first: &str, others: &str) {
    let line: String = line
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect();
    for (index, line) in wrap(&line).iter().enumerate() {
        let indent = if index == 0 { first } else { others };
        let _ = writeln!(text, "# {indent}{line}");
    }
}

/// Splits a text into lines of at most 96 characters, unless a word is longer.
fn wrap(text: &str) -> Vec<String> {
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn written_toml_parses_back(key in ".*", text in ".*", words in "(?s).*") {
            let mut draft = ConfigDraft::default();
            let list = Value::Array(vec![text.clone().into(), words.clone().into()]);
            draft.set_with_comment("a", &key, text.clone(), &words);
            let table = format!("b.{}", toml_text::key(&key));
            draft.set_with_comment(&table, "x", list.clone(), &text);
            draft.add_remark(words.clone());
            let table: toml::Table = draft.to_toml().parse().unwrap();
            prop_assert_eq!(&table["a"][&key], &Value::String(text));
            prop_assert_eq!(&table["b"][&key]["x"], &list);
        }
    }
}
