//! The name of a brand.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The name of a set of templates: the key of a brand, never part of a path.
///
/// [`Templates::brand`](super::Templates::brand) returns one for a request. It can be stored with a
/// queued message: a brand that no longer exists when it is used means the default brand.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct BrandName(String);

impl BrandName {
    pub(super) fn new(name: &str) -> Self {
        Self(name.to_owned())
    }

    /// The name of the brand's folder.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for BrandName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
