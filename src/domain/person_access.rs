//! What is exported of a person's rights: access tokens, blocks, the peers whose word does
//! not count, and earlier exports and erasures.

use serde::{Deserialize, Serialize};
use serde_json::Value;
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
    /// Whether only a keyed hash of the user was kept, since its data was erased.
    pub is_hashed: bool,
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

/// An earlier export or erasure, of which the server has a keyed hash.
#[derive(Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AuditRecord {
    /// When it was made.
    pub at: i64,
    /// `export` or `erase`.
    pub action: String,
    /// How many rows of each table.
    #[schema(value_type = Object)]
    pub affected: Value,
}

/// An earlier erasure.
#[derive(Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ErasureRecord {
    /// When it was made.
    pub erased_at: i64,
    /// Bindings that are not newer stay out.
    pub ts: i64,
}
