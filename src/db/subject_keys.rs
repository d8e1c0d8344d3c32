//! The keys of [`SubjectKey`] hashes, which are random and belong to the database.

use super::{Conn, DbError, database_keys};
use crate::domain::subject_key::SubjectKey;

/// The name of the key for erasures and their audit.
const ERASURES: &str = "erasures";
/// The names of the keys of pseudonyms in logs begin so; a date follows.
const PSEUDONYMS: &str = "pseudonyms ";

/// The key for erasures; `None` if nothing was erased yet.
pub fn for_erasures(connection: &mut Conn) -> Result<Option<SubjectKey>, DbError> {
    find(connection, ERASURES)
}

/// The key for erasures; `fresh` if there is none yet.
pub fn for_erasures_or(connection: &mut Conn, fresh: &SubjectKey) -> Result<SubjectKey, DbError> {
    find_or(connection, ERASURES, fresh)
}

/// The key for the pseudonyms of a day, such as `2026-11-28`; `fresh` if there is none
/// yet. Deletes those of earlier days. That of the next one stays: around midnight another
/// instance, whose clock is ahead, has it already.
pub fn for_pseudonyms_or(
    connection: &mut Conn,
    day: &str,
    fresh: &SubjectKey,
) -> Result<SubjectKey, DbError> {
    forget_pseudonyms_before(connection, day)?;
    find_or(connection, &format!("{PSEUDONYMS}{day}"), fresh)
}

/// Deletes the keys for the pseudonyms of earlier days, so that nobody can recognise them.
pub fn forget_pseudonyms_before(connection: &mut Conn, day: &str) -> Result<(), DbError> {
    database_keys::delete_before(connection, PSEUDONYMS, &format!("{PSEUDONYMS}{day}"))
}

fn find(connection: &mut Conn, name: &str) -> Result<Option<SubjectKey>, DbError> {
    let stored = database_keys::find(connection, name)?;
    stored.map(|text| parse(&text)).transpose()
}

fn find_or(connection: &mut Conn, name: &str, fresh: &SubjectKey) -> Result<SubjectKey, DbError> {
    parse(&database_keys::find_or(
        connection,
        name,
        &fresh.to_base64(),
    )?)
}

fn parse(text: &str) -> Result<SubjectKey, DbError> {
    SubjectKey::parse(text).map_err(|_invalid| DbError::Corrupt(database_keys::CORRUPT))
}
