//! What the server stores about a person, as `sydent person export` writes it.
//! `docs/person.schema.json` is made from these types.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use super::ids::Mxid;
pub use super::person_access::{
    AuditRecord, BlockRecord, ErasureRecord, IgnoredRecord, TokenRecord,
};
pub use super::person_address::Address;
use super::threepid::ThreePid;

/// The version of the format. A field that is added does not change it.
pub const FORMAT: u32 = 1;

/// Secrets that an export leaves out: anyone who has the file could act with them.
pub const WITHHELD: [&str; 6] = [
    "access_tokens.token_hash",
    "invites_received.token",
    "invites_sent.token",
    "queued_messages.content: tokens, client secrets and private keys",
    "validation_sessions.client_secret, also in next_link",
    "validation_sessions.token",
];

/// The addresses and the users that are one person.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Person {
    /// The 3PIDs.
    pub threepids: Vec<ThreePid>,
    /// The users.
    pub users: Vec<Mxid>,
}

// Written by hand: it identifies a person.
impl std::fmt::Debug for Person {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Person")
            .field("threepids", &self.threepids.len())
            .field("users", &self.users.len())
            .finish()
    }
}

impl Person {
    /// Adds a 3PID unless it is one of them.
    pub fn add_threepid(&mut self, threepid: ThreePid) {
        if !self.threepids.contains(&threepid) {
            self.threepids.push(threepid);
        }
    }

    /// Adds a user unless it is one of them.
    pub fn add_user(&mut self, user: Mxid) {
        if !self.users.contains(&user) {
            self.users.push(user);
        }
    }

    /// Whether a stored 3PID is one of the person.
    #[must_use]
    pub fn has_address(&self, medium: &str, address: &str) -> bool {
        self.threepids
            .iter()
            .any(|own| own.medium().as_str() == medium && own.address() == address)
    }
}

/// How many rows of each table.
pub type RowCounts = BTreeMap<String, u64>;

/// Everything that the server stores about a person. Times are milliseconds since
/// the Unix epoch.
#[derive(Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PersonExport {
    /// The version of this format.
    pub format: u32,
    /// When the export was made.
    pub exported_at: i64,
    /// The name of the server.
    pub server: String,
    /// The addresses of the person.
    pub addresses: Vec<Address>,
    /// The Matrix users of the person.
    pub users: Vec<String>,
    /// Secrets that are stored and not exported.
    pub withheld: Vec<String>,
    /// The rows of each table.
    pub tables: PersonRecords,
}

/// The rows of each table.
#[derive(Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PersonRecords {
    /// Addresses that are bound to users, as this server or another one of the mesh
    /// has stated.
    pub associations: Vec<AssociationRecord>,
    /// Bindings that were removed.
    pub association_removals: Vec<RemovalRecord>,
    /// Changes that the peers of the mesh receive.
    pub association_journal: Vec<ChangeRecord>,
    /// Peers of the mesh whose statements about the addresses do not count.
    pub ignored_statements: Vec<IgnoredRecord>,
    /// Validations of addresses.
    pub validation_sessions: Vec<SessionRecord>,
    /// Invites of the addresses to rooms.
    pub invites_received: Vec<InviteRecord>,
    /// Invites of other addresses, sent by the users.
    pub invites_sent: Vec<InviteRecord>,
    /// Messages that are not delivered yet.
    pub queued_messages: Vec<QueuedMessageRecord>,
    /// Accounts of the users.
    pub accounts: Vec<AccountRecord>,
    /// Access tokens of the accounts.
    pub access_tokens: Vec<TokenRecord>,
    /// Blocks of the users by the administrator.
    pub blocked_accounts: Vec<BlockRecord>,
    /// Policies that the users have accepted.
    pub accepted_terms: Vec<AcceptedTermsRecord>,
    /// Earlier erasures, of which only keyed hashes were kept.
    pub erasures: Vec<ErasureRecord>,
    /// Exports and erasures of the addresses and users, if they were named.
    pub person_audit: Vec<AuditRecord>,
}

impl PersonRecords {
    /// Whether there are none, also no keyed hashes.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.counts().is_empty()
            && self.blocked_accounts.is_empty()
            && self.erasures.is_empty()
            && self.person_audit.is_empty()
    }

    /// How many rows of each table that has some which can be erased. Invites sent and
    /// received may be the same rows.
    #[must_use]
    pub fn counts(&self) -> RowCounts {
        let blocks = self.blocked_accounts.iter().filter(|it| !it.is_hashed);
        [
            ("accepted_terms", self.accepted_terms.len()),
            ("access_tokens", self.access_tokens.len()),
            ("accounts", self.accounts.len()),
            ("association_journal", self.association_journal.len()),
            ("association_removals", self.association_removals.len()),
            ("associations", self.associations.len()),
            ("blocked_accounts", blocks.count()),
            ("ignored_statements", self.ignored_statements.len()),
            (
                "invites",
                self.invites_received
                    .len()
                    .saturating_add(self.invites_sent.len()),
            ),
            ("outbox", self.queued_messages.len()),
            ("validation_sessions", self.validation_sessions.len()),
        ]
        .into_iter()
        .filter(|(_, rows)| *rows > 0)
        .map(|(table, rows)| (table.to_owned(), u64::try_from(rows).unwrap_or(u64::MAX)))
        .collect()
    }
}

/// A binding of an address to a user.
#[derive(Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AssociationRecord {
    /// The address.
    pub address: Address,
    /// Another form of the address that people type.
    pub other_form: Option<String>,
    /// The user.
    pub mxid: String,
    /// The server that has bound it.
    pub origin: String,
    /// Its number among the statements of that server; 0 if unknown.
    pub number: i64,
    /// When it was bound.
    pub ts: i64,
    /// The time that the server has stated, if that was too far ahead.
    pub stated_ts: Option<i64>,
    /// From when it is valid.
    pub not_before: i64,
    /// Until when it is valid.
    pub not_after: i64,
    /// The hashes by which lookups find it.
    pub lookup_hashes: Vec<String>,
    /// The association with its signatures.
    #[schema(value_type = Object)]
    pub signed: Value,
}

/// A removal of a binding.
#[derive(Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RemovalRecord {
    /// The address.
    pub address: Address,
    /// The server that has removed it.
    pub origin: String,
    /// Its number among the statements of that server; 0 if unknown.
    pub number: i64,
    /// When it was removed.
    pub ts: i64,
    /// The time that the server has stated, if that was too far ahead.
    pub stated_ts: Option<i64>,
}

/// A change that peers receive.
#[derive(Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ChangeRecord {
    /// The address.
    pub address: Address,
    /// When its binding was removed; null if it was bound.
    pub removed_at: Option<i64>,
    /// Whether peers have made statements about the address, too.
    pub restates: bool,
}

/// A validation of an address.
#[derive(Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SessionRecord {
    /// The address.
    pub address: Address,
    /// The id of the session.
    pub sid: String,
    /// When it was started.
    pub created_at: i64,
    /// When the address was validated; null if it was not.
    pub validated_at: Option<i64>,
    /// The attempt of the client that was sent last.
    pub send_attempt: Option<i64>,
    /// Where the browser goes after the validation, without the client secret.
    pub next_link: Option<String>,
    /// How many wrong codes were submitted.
    pub wrong_tokens: i32,
    /// Whether a later session of the same client has replaced it.
    pub superseded: bool,
}

/// An invite of an address to a room.
#[derive(Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct InviteRecord {
    /// The invited address.
    pub address: Address,
    /// The room.
    pub room_id: String,
    /// The user who invites.
    pub sender: String,
    /// The id of the key of this server that signs it.
    pub key_id: String,
    /// The public key that was made for it.
    pub ephemeral_key: String,
    /// When it was made.
    pub created_at: i64,
    /// When a homeserver has taken it; null until then.
    pub delivered_at: Option<i64>,
}

/// A message in the queue.
#[derive(Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct QueuedMessageRecord {
    /// What it is: a mail, an SMS, an invite, or a notification of a homeserver.
    pub kind: String,
    /// When it was queued.
    pub created_at: i64,
    /// When it is given up.
    pub expires_at: i64,
    /// How often it was tried.
    pub tries: i32,
    /// Why the last try failed; empty if none has.
    pub last_failure: String,
    /// The limits that it was charged to, under keyed hashes.
    #[schema(value_type = Vec<Object>)]
    pub limits: Vec<Value>,
    /// What it contains, without secrets.
    #[schema(value_type = Object)]
    pub content: Value,
}

/// An account of a user.
#[derive(Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AccountRecord {
    /// The user.
    pub user_id: String,
    /// When it was made.
    pub created_at: i64,
}

/// A policy that a user has accepted.
#[derive(Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AcceptedTermsRecord {
    /// The user.
    pub user_id: String,
    /// The URL of the policy.
    pub url: String,
    /// When it was accepted.
    pub accepted_at: i64,
}
