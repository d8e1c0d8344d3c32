//! The record of exports and erasures.

use diesel::prelude::*;

use super::Named;
use crate::db::schema::person_audit::{self, dsl};
use crate::db::{Conn, DbError};
use crate::domain::person::RowCounts;
use crate::domain::subject_key::SubjectKey;

/// What was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// The data of a person was exported.
    Export,
    /// The data of a person was erased.
    Erase,
}

impl Action {
    /// Its name in the record and in the log.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Export => "export",
            Self::Erase => "erase",
        }
    }
}

/// Records what was done, without saying whose data it was.
pub fn record(
    connection: &mut Conn,
    action: Action,
    named: &Named,
    key: &SubjectKey,
    affected: &RowCounts,
    now: i64,
) -> Result<(), DbError> {
    let subject = match named {
        Named::ThreePid(threepid) => key.threepid(threepid),
        Named::User(user) => key.user(user),
    };
    let affected = serde_json::json!(affected).to_string();
    diesel::insert_into(person_audit::table)
        .values((
            dsl::at.eq(now),
            dsl::action.eq(action.as_str()),
            dsl::subject.eq(subject),
            dsl::affected.eq(affected),
        ))
        .execute(connection)?;
    Ok(())
}
