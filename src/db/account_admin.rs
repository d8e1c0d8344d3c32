//! Accounts as administrators see them, and those that they block.

use diesel::dsl::{count_star, max};
use diesel::prelude::*;

use super::schema::{accepted_terms, access_tokens, accounts, blocked_accounts};
use super::{Conn, DbError, with_backend};
use crate::domain::account_scope::AccountScope;
use crate::domain::ids::Mxid;

/// An account. Times are milliseconds since the epoch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccountRow {
    /// Its user.
    pub user: String,
    /// When it was opened.
    pub created_at: i64,
    /// How many access tokens it has.
    pub tokens: i64,
    /// When one of them was last used, to the day.
    pub last_used_at: Option<i64>,
}

/// The accounts of a scope, by user ID; all without one.
pub fn list(
    connection: &mut Conn,
    scope: Option<&AccountScope>,
) -> Result<Vec<AccountRow>, DbError> {
    let accounts: Vec<(String, i64)> = accounts::table
        .order(accounts::user_id.asc())
        .select((accounts::user_id, accounts::created_at))
        .load(connection)?;
    let tokens: Vec<(String, i64, Option<i64>)> = access_tokens::table
        .group_by(access_tokens::user_id)
        .order(access_tokens::user_id.asc())
        .select((
            access_tokens::user_id,
            count_star(),
            max(access_tokens::last_used_at),
        ))
        .load(connection)?;
    let tokens: std::collections::HashMap<_, _> = tokens
        .into_iter()
        .map(|(user, count, used)| (user, (count, used)))
        .collect();
    let is_asked = |user: &str| scope.is_none_or(|scope| scope.contains(user));
    let accounts = accounts.into_iter().filter(|(user, _)| is_asked(user));
    let rows = accounts.map(|(user, created_at)| {
        let (tokens, last_used_at) = tokens.get(&user).copied().unwrap_or_default();
        AccountRow {
            user,
            created_at,
            tokens,
            last_used_at,
        }
    });
    Ok(rows.collect())
}

/// The access tokens of a user, without the tokens: when each was created and last
/// used, ms.
pub fn tokens(connection: &mut Conn, user: &str) -> Result<Vec<(i64, Option<i64>)>, DbError> {
    Ok(access_tokens::table
        .filter(access_tokens::user_id.eq(user))
        .order(access_tokens::created_at.asc())
        .select((access_tokens::created_at, access_tokens::last_used_at))
        .load(connection)?)
}

/// The policies that a user has accepted, and when, ms.
pub fn terms(connection: &mut Conn, user: &str) -> Result<Vec<(String, i64)>, DbError> {
    Ok(accepted_terms::table
        .filter(accepted_terms::user_id.eq(user))
        .order(accepted_terms::url.asc())
        .select((accepted_terms::url, accepted_terms::accepted_at))
        .load(connection)?)
}

/// Deletes all access tokens of these users. Returns how many.
pub fn delete_tokens(connection: &mut Conn, users: &[String]) -> Result<usize, DbError> {
    let mut deleted = 0;
    for users in users.chunks(1000) {
        let tokens = access_tokens::table.filter(access_tokens::user_id.eq_any(users));
        deleted += diesel::delete(tokens).execute(connection)?;
    }
    Ok(deleted)
}

/// Blocks a scope. Returns whether it was not blocked.
pub fn block(connection: &mut Conn, scope: &AccountScope, now: i64) -> Result<bool, DbError> {
    let row = (
        blocked_accounts::blocked.eq(scope.as_str()),
        blocked_accounts::blocked_at.eq(now),
    );
    let inserted = with_backend!(connection, inner => diesel::insert_into(blocked_accounts::table)
        .values(row)
        .on_conflict_do_nothing()
        .execute(inner))?;
    Ok(inserted > 0)
}

/// Ends the block of a scope. Returns whether it was blocked.
pub fn unblock(connection: &mut Conn, scope: &AccountScope) -> Result<bool, DbError> {
    let row = blocked_accounts::table.find(scope.as_str());
    Ok(diesel::delete(row).execute(connection)? > 0)
}

/// Whether a user is blocked, itself or with its homeserver.
pub fn is_blocked(connection: &mut Conn, user: &Mxid) -> Result<bool, DbError> {
    let found: Option<String> = blocked_accounts::table
        .filter(blocked_accounts::blocked.eq_any(AccountScope::all_of(user)))
        .select(blocked_accounts::blocked)
        .first(connection)
        .optional()?;
    Ok(found.is_some())
}

/// Everything that is blocked, and since when, ms.
pub fn blocked(connection: &mut Conn) -> Result<Vec<(String, i64)>, DbError> {
    Ok(blocked_accounts::table
        .order(blocked_accounts::blocked.asc())
        .select((blocked_accounts::blocked, blocked_accounts::blocked_at))
        .load(connection)?)
}
