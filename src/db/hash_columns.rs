//! The hash columns of the associations: two sets, so that a rotation fills one while
//! lookups use the other.

use crate::domain::lookup::{Hashes, Pepper};
use crate::domain::threepid::ThreePid;

/// One of the sets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HashSlot {
    /// `lookup_hash` and `other_hash`.
    First,
    /// `second_hash` and `second_other_hash`.
    Second,
}

impl HashSlot {
    /// From the stored number.
    #[must_use]
    pub fn from_number(number: i32) -> Self {
        if number == 0 {
            Self::First
        } else {
            Self::Second
        }
    }

    /// The stored number.
    #[must_use]
    pub fn number(self) -> i32 {
        match self {
            Self::First => 0,
            Self::Second => 1,
        }
    }

    /// The other one.
    #[must_use]
    pub fn other(self) -> Self {
        match self {
            Self::First => Self::Second,
            Self::Second => Self::First,
        }
    }

    /// The names of its columns.
    #[must_use]
    pub fn columns(self) -> (&'static str, &'static str) {
        match self {
            Self::First => ("lookup_hash", "other_hash"),
            Self::Second => ("second_hash", "second_other_hash"),
        }
    }
}

/// The peppers that a new association is hashed with, each in its slot.
#[derive(Debug, Default)]
pub struct HashingPeppers {
    pub(super) first: Option<Pepper>,
    pub(super) second: Option<Pepper>,
}

/// The values of all hash columns of an association.
pub struct HashColumns {
    /// Empty if the slot has no pepper: the column has no null.
    pub lookup_hash: String,
    /// The hash of the other form.
    pub other_hash: Option<String>,
    /// The hash in the second slot.
    pub second_hash: Option<String>,
    /// The hash of the other form in the second slot.
    pub second_other_hash: Option<String>,
    /// Another form of the address that people type.
    pub other_form: Option<String>,
}

impl HashingPeppers {
    /// Hashes a 3PID with all of them.
    #[must_use]
    pub fn hash(&self, threepid: &ThreePid) -> HashColumns {
        let hashes = |pepper: &Option<Pepper>| pepper.as_ref().map(|it| Hashes::new(threepid, it));
        let split = |hashes: Option<Hashes>| match hashes {
            Some(Hashes { canonical, other }) => (Some(canonical), other.map(|(_, hash)| hash)),
            None => (None, None),
        };
        let (first, other_hash) = split(hashes(&self.first));
        let (second_hash, second_other_hash) = split(hashes(&self.second));
        HashColumns {
            lookup_hash: first.unwrap_or_default(),
            other_hash,
            second_hash,
            second_other_hash,
            other_form: threepid.other_form(),
        }
    }
}
