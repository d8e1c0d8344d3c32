//! Accounts as administrators see them, and those that they block.

use diesel::dsl::{count_star, max};
use diesel::prelude::*;

use super::on_backend::OnBackend as _;
use super::schema::{accepted_terms, access_tokens, accounts, blocked_accounts};
use super::{Conn, DbError, subject_keys};
use crate::domain::account_scope::AccountScope;
use crate::domain::ids::Mxid;
use crate::domain::subject_key::SubjectKey;

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
        .load_on(connection)?;
    let tokens: Vec<(String, i64, Option<i64>)> = access_tokens::table
        .group_by(access_tokens::user_id)
        .order(access_tokens::user_id.asc())
        .select((
            access_tokens::user_id,
            count_star(),
            max(access_tokens::last_used_at),
        ))
        .load_on(connection)?;
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
        .load_on(connection)?)
}

/// The policies that a user has accepted, and when, ms.
pub fn terms(connection: &mut Conn, user: &str) -> Result<Vec<(String, i64)>, DbError> {
    Ok(accepted_terms::table
        .filter(accepted_terms::user_id.eq(user))
        .order(accepted_terms::url.asc())
        .select((accepted_terms::url, accepted_terms::accepted_at))
        .load_on(connection)?)
}

/// Deletes all access tokens of these users. Returns how many.
pub fn delete_tokens(connection: &mut Conn, users: &[String]) -> Result<usize, DbError> {
    let mut deleted = 0;
    for users in users.chunks(1000) {
        let tokens = access_tokens::table.filter(access_tokens::user_id.eq_any(users));
        deleted += diesel::delete(tokens).execute_on(connection)?;
    }
    Ok(deleted)
}

/// The blocks of users whose data was erased begin so; a keyed hash follows. No user ID
/// and no name of a homeserver does.
const ERASED: &str = "#";
/// How an erased user is listed.
const ERASED_USER: &str = "(an erased user)";

fn hashed(user: &Mxid, key: &SubjectKey) -> String {
    format!("{ERASED}{}", key.user(user))
}

/// Replaces the block of a user by one that has only a keyed hash of the user.
pub fn hash_block(connection: &mut Conn, user: &Mxid, key: &SubjectKey) -> Result<(), DbError> {
    if let Some(at) = blocked_at(connection, user.as_str())? {
        insert(connection, &hashed(user, key), at)?;
        diesel::delete(blocked_accounts::table.find(user.as_str())).execute_on(connection)?;
    }
    Ok(())
}

/// When a user was blocked whose ID was replaced by a keyed hash, ms.
pub fn hashed_block(
    connection: &mut Conn,
    user: &Mxid,
    key: &SubjectKey,
) -> Result<Option<i64>, DbError> {
    blocked_at(connection, &hashed(user, key))
}

fn blocked_at(connection: &mut Conn, blocked: &str) -> Result<Option<i64>, DbError> {
    Ok(blocked_accounts::table
        .find(blocked)
        .select(blocked_accounts::blocked_at)
        .first_on(connection)
        .optional()?)
}

/// Blocks a scope. Returns whether it was not blocked.
pub fn block(connection: &mut Conn, scope: &AccountScope, now: i64) -> Result<bool, DbError> {
    if let Some(hashed) = hashed_scope(connection, scope)?
        && blocked_at(connection, &hashed)?.is_some()
    {
        return Ok(false);
    }
    insert(connection, scope.as_str(), now)
}

fn insert(connection: &mut Conn, blocked: &str, at: i64) -> Result<bool, DbError> {
    let row = (
        blocked_accounts::blocked.eq(blocked),
        blocked_accounts::blocked_at.eq(at),
    );
    let inserted = diesel::insert_into(blocked_accounts::table)
        .values(row)
        .on_conflict_do_nothing()
        .execute_on(connection)?;
    Ok(inserted > 0)
}

/// Ends the block of a scope. Returns whether it was blocked.
pub fn unblock(connection: &mut Conn, scope: &AccountScope) -> Result<bool, DbError> {
    let mut names = vec![scope.as_str().to_owned()];
    names.extend(hashed_scope(connection, scope)?);
    let rows = blocked_accounts::table.filter(blocked_accounts::blocked.eq_any(names));
    Ok(diesel::delete(rows).execute_on(connection)? > 0)
}

/// What stands for a user whose data was erased.
fn hashed_scope(connection: &mut Conn, scope: &AccountScope) -> Result<Option<String>, DbError> {
    let AccountScope::User(user) = scope else {
        return Ok(None);
    };
    let key = subject_keys::for_erasures(connection)?;
    Ok(key.map(|key| hashed(user, &key)))
}

/// Whether a user is blocked, itself or with its homeserver.
pub fn is_blocked(connection: &mut Conn, user: &Mxid) -> Result<bool, DbError> {
    // Few databases have hashes, which need a second query.
    let hashes = format!("{ERASED}%");
    let [own, server, host] = AccountScope::all_of(user);
    // A list of any length would need a query that does not stay prepared.
    let scopes = blocked_accounts::blocked
        .eq(own)
        .or(blocked_accounts::blocked.eq(server))
        .or(blocked_accounts::blocked.eq(host));
    let found: Vec<String> = blocked_accounts::table
        .filter(scopes.or(blocked_accounts::blocked.like(hashes)))
        .select(blocked_accounts::blocked)
        .load_on(connection)?;
    if found.iter().any(|name| !name.starts_with(ERASED)) {
        return Ok(true);
    }
    if found.is_empty() {
        return Ok(false);
    }
    let key = subject_keys::for_erasures(connection)?;
    Ok(key.is_some_and(|key| found.contains(&hashed(user, &key))))
}

/// Everything that is blocked, and since when, ms. An erased user has a name only if it
/// is the one that is asked for.
pub fn blocked(
    connection: &mut Conn,
    asked: Option<&AccountScope>,
) -> Result<Vec<(String, i64)>, DbError> {
    let asked = match asked {
        Some(scope) => hashed_scope(connection, scope)?.map(|hash| (hash, scope.as_str())),
        None => None,
    };
    let rows: Vec<(String, i64)> = blocked_accounts::table
        .order(blocked_accounts::blocked.asc())
        .select((blocked_accounts::blocked, blocked_accounts::blocked_at))
        .load_on(connection)?;
    let named = |(name, at): (String, i64)| match &asked {
        Some((hash, user)) if *hash == name => ((*user).to_owned(), at),
        _ if name.starts_with(ERASED) => (ERASED_USER.to_owned(), at),
        _ => (name, at),
    };
    Ok(rows.into_iter().map(named).collect())
}
