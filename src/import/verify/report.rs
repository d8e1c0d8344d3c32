//! The result of a comparison: numbers and row ids, and never an address.

use std::collections::BTreeMap;
use std::fmt;

use super::rules::{Correction, Verdict};

/// A group of requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Topic {
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
    /// All topics, in the order of the report.
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

    /// The name in the report.
    #[must_use]
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Keys => "public keys",
            Self::InviteKeys => "invite keys",
            Self::Terms => "terms",
            Self::Accounts => "access tokens",
            Self::Lookups => "signed lookups",
            Self::BulkLookups => "bulk lookups",
            Self::HashDetails => "hash details",
            Self::HashedLookups => "hashed lookups",
        }
    }
}

/// How many differences of a topic are listed; the others are only counted.
const MAX_LISTED: usize = 20;

#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct TopicReport {
    equal: u64,
    /// Responses that differ as docs/from-sydent.md says.
    corrected: BTreeMap<Correction, u64>,
    /// Responses that differ for another reason.
    different: u64,
    /// The first of those: what was requested, and how the responses differ.
    listed: Vec<(String, &'static str)>,
}

impl TopicReport {
    fn corrections(&self) -> u64 {
        self.corrected.values().sum()
    }
}

/// The result of the whole comparison.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Comparison {
    topics: BTreeMap<Topic, TopicReport>,
    /// What could not be compared, in sentences.
    pub not_compared: Vec<String>,
    /// Further sentences for the administrator.
    pub remarks: Vec<String>,
}

impl Comparison {
    /// Counts a verdict on `what`, which must not contain an address or a token.
    pub(crate) fn add(&mut self, topic: Topic, verdict: Verdict, what: impl fmt::Display) {
        let report = self.topics.entry(topic).or_default();
        match verdict {
            Verdict::Equal => report.equal += 1,
            Verdict::Corrected(correction) => {
                *report.corrected.entry(correction).or_default() += 1;
            }
            Verdict::Different(how) => {
                report.different += 1;
                if report.listed.len() < MAX_LISTED {
                    report.listed.push((what.to_string(), how));
                }
            }
        }
    }

    /// How many responses differ for a reason that docs/from-sydent.md does not
    /// give.
    #[must_use]
    pub(crate) fn different(&self) -> u64 {
        self.topics.values().map(|report| report.different).sum()
    }
}

impl fmt::Display for Comparison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{:<20}{:>10}{:>10}{:>11}{:>11}",
            "", "compared", "equal", "corrected", "different"
        )?;
        for topic in Topic::ALL {
            let report = self.topics.get(&topic).cloned().unwrap_or_default();
            let corrected = report.corrections();
            writeln!(
                f,
                "{:<20}{:>10}{:>10}{corrected:>11}{:>11}",
                topic.as_str(),
                report.equal + corrected + report.different,
                report.equal,
                report.different
            )?;
            for (correction, count) in &report.corrected {
                writeln!(f, "    {count} corrected: {}", correction.as_str())?;
            }
            for (what, how) in &report.listed {
                writeln!(f, "    different: {what}: {how}")?;
            }
            let more = report.different - report.listed.len() as u64;
            if more > 0 {
                writeln!(f, "    and {more} more")?;
            }
        }
        for sentence in self.not_compared.iter().chain(&self.remarks) {
            writeln!(f, "{sentence}")?;
        }
        Ok(())
    }
}
