//! Everything that the database has about a person, in all tables.
//!
//! | table | exported | erased |
//! |---|---|---|
//! | `accepted_terms`, `access_tokens`, `accounts` | of the users | deleted |
//! | `association_journal` | of the addresses | deleted once the peers have the removal |
//! | `association_removals` | of the addresses | the same |
//! | `associations` | of the addresses and the users | deleted |
//! | `blocked_accounts` | of the users | replaced by a keyed hash, so that the block goes on |
//! | `database_keys`, `imports`, `lookup_peppers`, `server_identity` | not about people | kept |
//! | `ephemeral_keys` | with their invites | those of invites that nobody has taken |
//! | `erasures`, `person_audit` | when | kept: keyed hashes |
//! | `ignored_statements` | of the addresses | deleted |
//! | `invites` | to the addresses and of the users | deleted |
//! | `pending_rewrites` | not about people | kept until the file is rewritten |
//! | `outbox` | with an address or a user in it | deleted |
//! | `replication_peers` | not about people | kept |
//! | `send_limits` | hashes that end by themselves | kept, so that erasing frees no limit |
//! | `validation_sessions` | of the addresses | deleted |

mod audit;
mod erase;
mod export;
mod find;
mod hashed;

pub use audit::{Action, record};
pub use erase::{Removal, erase_all, erase_bindings};
pub use export::export;
pub use find::{Named, find};

use diesel::prelude::*;
use serde_json::{Value, json};

use super::schema::outbox::{self, dsl};
use super::{Conn, DbError};
use crate::domain::person::Person;

/// Messages that are in memory at a time.
const PAGE: i64 = 500;

/// A queued message, also one of another version.
#[derive(Queryable, Selectable)]
#[diesel(table_name = outbox)]
struct Queued {
    id: String,
    kind: String,
    payload: String,
    limits: String,
    tries: i32,
    created_at: i64,
    expires_at: i64,
}

impl Queued {
    /// Whether it is to or about a person. If it is no JSON, its text is searched.
    fn is_about(&self, person: &Person) -> bool {
        serde_json::from_str(&self.payload).map_or_else(
            |_unreadable| person.is_in_text(&self.payload),
            |content: Value| person.is_in(&content),
        )
    }
}

/// The queued messages that are to or about a person.
fn queued_messages(connection: &mut Conn, person: &Person) -> Result<Vec<Queued>, DbError> {
    let mut found = Vec::new();
    let mut last = String::new();
    loop {
        let page: Vec<Queued> = dsl::outbox
            .filter(dsl::id.gt(&last))
            .order(dsl::id.asc())
            .limit(PAGE)
            .select(Queued::as_select())
            .load(connection)?;
        let Some(end) = page.last() else {
            return Ok(found);
        };
        last.clone_from(&end.id);
        let page = page.into_iter();
        found.extend(page.filter(|message| message.is_about(person)));
    }
}

/// What is not JSON is exported as a text, rather than nothing at all.
fn json_or_text(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|_invalid| json!({ "unreadable": text }))
}
