//! Everything that the database has about a person, in all tables.
//!
//! | table | exported | erased |
//! |---|---|---|
//! | `accepted_terms`, `access_tokens`, `accounts` | of the users | deleted |
//! | `association_journal` | of the addresses | deleted once the peers have the removal |
//! | `association_removals` | of the addresses | the same |
//! | `associations` | of the addresses and the users | deleted |
//! | `blocked_accounts` | of the users | deleted, which ends the block |
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

pub use audit::{Action, record};
pub use erase::{Removal, erase_all, erase_bindings};
pub use export::export;
pub use find::{Named, find};

use diesel::prelude::*;
use serde_json::Value;

use super::outbox::QueuedMessage;
use super::schema::outbox::dsl;
use super::{Conn, DbError};
use crate::domain::person::Person;

/// Messages that are in memory at a time.
const PAGE: i64 = 500;

/// The queued messages that are to or about a person, each with its content.
fn queued_messages(
    connection: &mut Conn,
    person: &Person,
) -> Result<Vec<(QueuedMessage, Value)>, DbError> {
    let mut found = Vec::new();
    let mut last = String::new();
    loop {
        let page: Vec<QueuedMessage> = dsl::outbox
            .filter(dsl::id.gt(&last))
            .order(dsl::id.asc())
            .limit(PAGE)
            .select(QueuedMessage::as_select())
            .load(connection)?;
        let Some(end) = page.last() else {
            return Ok(found);
        };
        end.id.as_str().clone_into(&mut last);
        for message in page {
            let content: Value = serde_json::from_str(&message.payload)
                .map_err(|_unreadable| DbError::Corrupt("message"))?;
            if person.is_in(&content) {
                found.push((message, content));
            }
        }
    }
}
