//! What a message is charged to: send limits by sender and by recipient (EML-25,
//! MSI-15, INV-23).

use crate::domain::rate::{Rate, counter_key};

/// The charges of one message, collected limit by limit.
#[derive(Debug, Default)]
pub(super) struct Charges(Vec<(String, Rate)>);

impl Charges {
    /// Adds a charge to `name` in `scope`, unless there is no such name or the
    /// limit is switched off.
    pub(super) fn add(&mut self, scope: &str, name: Option<&str>, rate: Option<Rate>) {
        if let (Some(name), Some(rate)) = (name, rate) {
            self.0.push((counter_key(scope, name), rate));
        }
    }

    /// All charges, each with the key that it is counted under.
    pub(super) fn into_inner(self) -> Vec<(String, Rate)> {
        self.0
    }
}
