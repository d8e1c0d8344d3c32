//! What came of a comparison: numbers and the ids of rows, and never an address.

use std::collections::BTreeMap;
use std::fmt;

use super::rules::{Correction, Verdict};

/// What is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Topic {
    /// `pubkey/{id}` and `pubkey/isvalid`.
    Keys,
    /// `pubkey/ephemeral/isvalid`.
    InviteKeys,
    /// `terms` of v2.
    Terms,
    /// `account` of v2.
    Accounts,
    /// `lookup` of v1.
    Lookups,
    /// `bulk_lookup` of v1.
    BulkLookups,
    /// `hash_details` of v2.
    HashDetails,
    /// `lookup` of v2, by hash.
    HashedLookups,
}

impl Topic {
    /// Every topic, in the order in which people read them.
    const ALL: [Self; 8] = [
        Self::Keys,
        Self::InviteKeys,
        Self::Terms,
        Self::Accounts,
        Self::Lookups,
        Self::BulkLookups,
        Self::HashDetails,
        Self::HashedLookups,
    ];

    /// Its name for people.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Keys => "public keys",
            Self::InviteKeys => "keys of invites",
            Self::Terms => "terms",
            Self::Accounts => "access tokens",
            Self::Lookups => "signed look-ups",
            Self::BulkLookups => "bulk look-ups",
            Self::HashDetails => "pepper, algorithms",
            Self::HashedLookups => "look-ups by hash",
        }
    }
}

/// So many differences of a topic are named; the others are counted.
const NAMED: usize = 20;

/// What came of one topic.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TopicReport {
    /// Questions whose answers say the same.
    pub equal: u64,
    /// How many answers differ as the guide says that they do.
    pub corrected: BTreeMap<Correction, u64>,
    /// How many differ otherwise.
    pub different: u64,
    /// The first of those: what was asked about, and how they differ.
    pub named: Vec<(String, &'static str)>,
}

impl TopicReport {
    fn corrections(&self) -> u64 {
        self.corrected.values().sum()
    }
}

/// What came of everything.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Comparison {
    tallies: BTreeMap<Topic, TopicReport>,
    /// What could not be compared, in sentences.
    pub not_asked: Vec<String>,
    /// What an administrator should know besides.
    pub remarks: Vec<String>,
}

impl Comparison {
    /// Counts a question about `what`, which names no address and no token.
    pub fn add(&mut self, topic: Topic, verdict: Verdict, what: impl fmt::Display) {
        let tally = self.tallies.entry(topic).or_default();
        match verdict {
            Verdict::Equal => tally.equal += 1,
            Verdict::Corrected(correction) => {
                *tally.corrected.entry(correction).or_default() += 1;
            }
            Verdict::Different(how) => {
                tally.different += 1;
                if tally.named.len() < NAMED {
                    tally.named.push((what.to_string(), how));
                }
            }
        }
    }

    /// What came of a topic.
    #[must_use]
    pub fn of(&self, topic: Topic) -> TopicReport {
        self.tallies.get(&topic).cloned().unwrap_or_default()
    }

    /// How many answers differ for no reason that the guide gives.
    #[must_use]
    pub fn different(&self) -> u64 {
        self.tallies.values().map(|tally| tally.different).sum()
    }
}

impl fmt::Display for Comparison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{:<20}{:>10}{:>10}{:>11}{:>11}",
            "", "asked", "equal", "corrected", "different"
        )?;
        for topic in Topic::ALL {
            let tally = self.of(topic);
            let corrected = tally.corrections();
            writeln!(
                f,
                "{:<20}{:>10}{:>10}{corrected:>11}{:>11}",
                topic.as_str(),
                tally.equal + corrected + tally.different,
                tally.equal,
                tally.different
            )?;
            for (correction, count) in &tally.corrected {
                writeln!(f, "    {count} corrected: {}", correction.as_str())?;
            }
            for (what, how) in &tally.named {
                writeln!(f, "    different: {what}: {how}")?;
            }
            let more = tally.different - tally.named.len() as u64;
            if more > 0 {
                writeln!(f, "    and {more} more")?;
            }
        }
        for sentence in self.not_asked.iter().chain(&self.remarks) {
            writeln!(f, "{sentence}")?;
        }
        Ok(())
    }
}
