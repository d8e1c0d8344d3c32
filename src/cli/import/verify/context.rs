//! What the steps of a comparison share.

use indicatif::ProgressBar;

use super::servers::{Servers, V1, V2};
use crate::cli::failure::Failure;
use crate::clock::Clock;
use crate::domain::public_key::PublicKey;
use crate::import::verify::{Comparison, OldDatabase};

/// The servers to compare, the old database, and the result so far.
pub(super) struct VerifyContext {
    pub(super) servers: Servers,
    pub(super) old: OldDatabase,
    /// The public key of the old server.
    pub(super) key: PublicKey,
    /// Whether the old server serves v1.
    pub(super) has_v1: bool,
    /// How many of the newest rows, and how many random others; `None` means all.
    pub(super) sample: Option<u32>,
    /// Whether each address is looked up on its own as well.
    pub(super) each: bool,
    pub(super) comparison: Comparison,
    pub(super) bar: ProgressBar,
    pub(super) clock: Clock,
}

impl VerifyContext {
    /// The path prefix of a version that the old server serves.
    pub(super) fn api(&self) -> &'static str {
        if self.has_v1 { V1 } else { V2 }
    }

    /// Adds a remark to the report.
    pub(super) fn remark(&mut self, sentence: &str) {
        self.comparison.remarks.push(sentence.to_owned());
    }

    /// Notes why a part could not be compared, which makes the comparison incomplete.
    pub(super) fn not_compared(&mut self, sentence: &str) {
        self.comparison.not_compared.push(sentence.to_owned());
    }
}

pub(super) fn database_failure(error: impl std::fmt::Display) -> Failure {
    Failure::new(format!("Cannot read the old database: {error}."))
}
