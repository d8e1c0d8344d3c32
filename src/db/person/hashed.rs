//! What the database has about a person under keyed hashes.

use diesel::prelude::*;

use super::json_or_text;
use crate::db::schema::{erasures, person_audit};
use crate::db::{Conn, DbError, account_admin, subject_keys};
use crate::domain::person::{AuditRecord, BlockRecord, ErasureRecord, Person, PersonRecords};

/// Adds what the database has under keyed hashes of the person.
pub(super) fn add_hashed(
    connection: &mut Conn,
    person: &Person,
    records: &mut PersonRecords,
) -> Result<(), DbError> {
    let Some(key) = subject_keys::for_erasures(connection)? else {
        return Ok(());
    };
    for user in &person.users {
        if let Some(blocked_at) = account_admin::hashed_block(connection, user, &key)? {
            records.blocked_accounts.push(BlockRecord {
                user_id: user.to_string(),
                blocked_at,
                is_hashed: true,
            });
        }
    }
    let addresses = person.threepids.iter().map(|own| key.threepid(own));
    let users = person.users.iter().map(|user| key.user(user));
    let subjects: Vec<String> = addresses.chain(users).collect();
    let erased: Vec<(i64, i64)> = erasures::table
        .filter(erasures::subject.eq_any(&subjects))
        .order(erasures::erased_at.asc())
        .select((erasures::erased_at, erasures::ts))
        .load(connection)?;
    let erasure = |(erased_at, ts)| ErasureRecord { erased_at, ts };
    records.erasures = erased.into_iter().map(erasure).collect();
    let done: Vec<(i64, String, String)> = person_audit::table
        .filter(person_audit::subject.eq_any(&subjects))
        .order(person_audit::id.asc())
        .select((
            person_audit::at,
            person_audit::action,
            person_audit::affected,
        ))
        .load(connection)?;
    let audit = |(at, action, affected): (i64, String, String)| AuditRecord {
        at,
        action,
        affected: json_or_text(&affected),
    };
    records.person_audit = done.into_iter().map(audit).collect();
    Ok(())
}
