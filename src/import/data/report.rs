//! The result of an import: how many rows were imported, and never an address.

use std::collections::BTreeMap;
use std::fmt;

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
    pub skipped: BTreeMap<&'static str, u64>,
}

impl TableReport {
    pub(super) fn add_skipped(&mut self, reason: &'static str) {
        *self.skipped.entry(reason).or_default() += 1;
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
    pub remarks: Vec<&'static str>,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{:<24}{:>10}{:>10}{:>10}{:>10}",
            "", "read", "imported", "merged", "skipped"
        )?;
        for (name, table) in &self.tables {
            let skipped: u64 = table.skipped.values().sum();
            writeln!(
                f,
                "{name:<24}{:>10}{:>10}{:>10}{skipped:>10}",
                table.read, table.imported, table.merged
            )?;
            for (reason, count) in &table.skipped {
                writeln!(f, "    {count} skipped: {reason}")?;
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
