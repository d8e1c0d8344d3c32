//! The result of an import: how many rows were imported, and never an address.

use std::collections::BTreeMap;
use std::fmt::{self, Write as _};

/// The result for one kind of data.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct TableReport {
    /// Rows in Sydent's database.
    pub read: u64,
    /// Rows that were inserted.
    pub imported: u64,
    /// Rows that a newer one replaces, such as an older binding of an address.
    pub merged: u64,
    /// Rows that cannot be imported, by reason.
    pub skipped: BTreeMap<&'static str, SkippedRows>,
}

/// Rows that were skipped for one reason.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct SkippedRows {
    count: u64,
    /// The numbers of the first ones, by table of Sydent.
    first: BTreeMap<String, Vec<i64>>,
}

/// How many rows of a table are named for one reason.
const MAX_NAMED: usize = 50;

/// Reasons that say nothing about a single row: it is out of date.
const ORDINARY: [&str; 2] = [EXPIRED, NOT_ACTIVE];
pub(super) const EXPIRED: &str = "expired";
pub(super) const NOT_ACTIVE: &str = "not active";

impl TableReport {
    /// Counts a row of a table of Sydent that is skipped.
    pub(super) fn add_skipped(&mut self, reason: &'static str, table: &str, row: i64) {
        let skipped = self.skipped.entry(reason).or_default();
        skipped.count += 1;
        let first = skipped.first.entry(table.to_owned()).or_default();
        if first.len() < MAX_NAMED && !ORDINARY.contains(&reason) {
            first.push(row);
        }
    }

    /// Counts `valid` rows, of which `inserted` did not conflict with another one.
    pub(super) fn add_imported(&mut self, valid: usize, inserted: u64) {
        self.imported += inserted;
        self.merged += (valid as u64).saturating_sub(inserted);
    }
}

/// The result of an import.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Report {
    /// The schema version of Sydent's database.
    pub schema_version: i64,
    /// How many of its signatures were checked with the signing key.
    pub signatures: u64,
    /// A report for each kind of data, with its name.
    pub tables: Vec<(&'static str, TableReport)>,
    /// Sentences for the administrator.
    pub remarks: Vec<String>,
}

impl SkippedRows {
    /// The numbers of the rows, such as `rows 3, 9 of peers`; empty if none is
    /// named.
    fn names(&self) -> String {
        let (mut text, mut count) = (String::new(), 0);
        for (table, rows) in self.first.iter().filter(|(_, rows)| !rows.is_empty()) {
            let separator = if text.is_empty() { ": row " } else { "; row " };
            let rows: Vec<String> = rows.iter().map(i64::to_string).collect();
            count += rows.len() as u64;
            // Writing to a string cannot fail.
            let _ = write!(text, "{separator}{} of {table}", rows.join(", "));
        }
        if count > 0 && count < self.count {
            let _ = write!(text, " and {} more", self.count - count);
        }
        text
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{:<24}{:>10}{:>10}{:>10}{:>10}",
            "", "read", "imported", "merged", "skipped"
        )?;
        for (name, table) in &self.tables {
            let skipped: u64 = table.skipped.values().map(|rows| rows.count).sum();
            writeln!(
                f,
                "{name:<24}{:>10}{:>10}{:>10}{skipped:>10}",
                table.read, table.imported, table.merged
            )?;
            for (reason, rows) in &table.skipped {
                writeln!(f, "    {} skipped: {reason}{}", rows.count, rows.names())?;
            }
        }
        writeln!(
            f,
            "Sydent's database has schema version {}; {} of its signatures were checked with the \
             signing key.",
            self.schema_version, self.signatures
        )?;
        for remark in &self.remarks {
            writeln!(f, "{remark}")?;
        }
        Ok(())
    }
}
