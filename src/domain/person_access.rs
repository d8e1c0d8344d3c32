//! What is exported of a person's rights: access tokens, blocks, and the peers whose
//! word does not count.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::person_address::Address;

/// An access token of a user.
#[derive(Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TokenRecord {
    /// The user.
    pub user_id: String,
    /// When it was made.
    pub created_at: i64,
    /// The last day on which it was used.
    pub last_used_at: Option<i64>,
}

/// A block of a user.
#[derive(Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct BlockRecord {
    /// The user.
    pub user_id: String,
    /// Since when.
    pub blocked_at: i64,
}

/// A peer whose statements about an address do not count.
#[derive(Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct IgnoredRecord {
    /// The address.
    pub address: Address,
    /// The peer.
    pub origin: String,
    /// Since when.
    pub ignored_at: i64,
}
