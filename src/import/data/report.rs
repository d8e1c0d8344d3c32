//! What became of everything that was read: numbers, and never an address.

use std::collections::BTreeMap;
use std::fmt;

/// What became of one kind of thing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TableReport {
    /// How many there were.
    pub read: u64,
    /// How many are there now.
    pub taken: u64,
    /// How many gave way to another one that means the same and is newer.
    pub merged: u64,
    /// How many cannot be used, by the reason.
    pub skipped: BTreeMap<&'static str, u64>,
}

impl TableReport {
    pub(super) fn skip(&mut self, reason: &'static str) {
        *self.skipped.entry(reason).or_default() += 1;
    }

    /// Notes that of so many that were good so many are there now.
    pub(super) fn add(&mut self, good: usize, taken: u64) {
        self.taken += taken;
        self.merged += (good as u64).saturating_sub(taken);
    }
}

/// What became of everything.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// The schema of Sydent's database.
    pub schema: i64,
    /// Signatures in it that were checked with the key.
    pub signatures: u64,
    /// A tally for each kind of thing, by its name.
    pub tallies: Vec<(&'static str, TableReport)>,
    /// What an administrator should know besides.
    pub remarks: Vec<&'static str>,
}

impl Report {
    /// The tally of that kind.
    #[must_use]
    pub fn of(&self, kind: &str) -> Option<&TableReport> {
        let mut tallies = self.tallies.iter();
        tallies
            .find(|(name, _)| *name == kind)
            .map(|(_, tally)| tally)
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{:<24}{:>10}{:>10}{:>10}{:>10}",
            "", "read", "taken", "merged", "skipped"
        )?;
        for (name, tally) in &self.tallies {
            let skipped: u64 = tally.skipped.values().sum();
            writeln!(
                f,
                "{name:<24}{:>10}{:>10}{:>10}{skipped:>10}",
                tally.read, tally.taken, tally.merged
            )?;
            for (reason, count) in &tally.skipped {
                writeln!(f, "    {count} skipped: {reason}")?;
            }
        }
        writeln!(
            f,
            "The database had schema {}; {} of its signatures were checked with the key.",
            self.schema, self.signatures
        )?;
        for remark in &self.remarks {
            writeln!(f, "{remark}")?;
        }
        Ok(())
    }
}
