//! Accounts, their access tokens, and the terms that their users accepted. What
//! administrators see and block is in `account_admin`.

use diesel::dsl::exists;
use diesel::prelude::*;

use super::on_backend::OnBackend as _;
use super::schema::{accepted_terms, access_tokens, accounts, blocked_accounts};
use super::{Conn, DbError};
use crate::domain::ids::Mxid;

/// Adds a token to the account of a user, and creates the account if there is
/// none (ACC-15). Only the hash of the token is stored (AUTH-15).
pub fn add_token(
    connection: &mut Conn,
    user: &Mxid,
    token_hash: &str,
    now: i64,
) -> Result<(), DbError> {
    let account = (
        accounts::user_id.eq(user.as_str()),
        accounts::created_at.eq(now),
    );
    diesel::insert_into(accounts::table)
        .values(account)
        .on_conflict_do_nothing()
        .execute_on(connection)?;
    diesel::insert_into(access_tokens::table)
        .values((
            access_tokens::token_hash.eq(token_hash),
            access_tokens::user_id.eq(user.as_str()),
            access_tokens::created_at.eq(now),
            access_tokens::last_used_at.eq(now),
        ))
        .execute_on(connection)?;
    Ok(())
}

/// What is stored about an access token.
pub struct TokenUser {
    /// The user that it belongs to.
    pub user: Mxid,
    /// When it was last used, ms.
    pub last_used_at: Option<i64>,
    /// Whether any user is blocked, perhaps not this one.
    pub any_blocked: bool,
}

/// The user that a token belongs to.
pub fn find_user(connection: &mut Conn, token_hash: &str) -> Result<Option<TokenUser>, DbError> {
    let found: Option<(String, Option<i64>, bool)> = access_tokens::table
        .find(token_hash)
        .select((
            access_tokens::user_id,
            access_tokens::last_used_at,
            exists(blocked_accounts::table.select(blocked_accounts::blocked)),
        ))
        .first_on(connection)
        .optional()?;
    found
        .map(|(user, last_used_at, any_blocked)| {
            let user = Mxid::parse(&user).map_err(|_invalid| DbError::Corrupt("user ID"))?;
            Ok(TokenUser {
                user,
                last_used_at,
                any_blocked,
            })
        })
        .transpose()
}

/// Records that a token is used at `now`, unless its use was recorded after `unless_since`.
pub fn record_use(
    connection: &mut Conn,
    token_hash: &str,
    now: i64,
    unless_since: i64,
) -> Result<(), DbError> {
    let last_used_at = access_tokens::last_used_at;
    let is_due = last_used_at
        .is_null()
        .or(last_used_at.le(unless_since).assume_not_null());
    diesel::update(access_tokens::table.find(token_hash).filter(is_due))
        .set(access_tokens::last_used_at.eq(now))
        .execute_on(connection)?;
    Ok(())
}

/// Counts the time without use of tokens from an earlier version, which did not
/// record it, from `now`.
pub fn start_counting_use(connection: &mut Conn, now: i64) -> Result<(), DbError> {
    diesel::update(access_tokens::table.filter(access_tokens::last_used_at.is_null()))
        .set(access_tokens::last_used_at.eq(now))
        .execute_on(connection)?;
    Ok(())
}

/// Deletes up to `limit` tokens that were last used before `before`. Returns how many.
pub fn delete_unused(connection: &mut Conn, before: i64, limit: i64) -> Result<usize, DbError> {
    let unused: Vec<String> = access_tokens::table
        .filter(access_tokens::last_used_at.lt(before))
        .limit(limit)
        .select(access_tokens::token_hash)
        .load_on(connection)?;
    let tokens = access_tokens::table.filter(access_tokens::token_hash.eq_any(unused));
    Ok(diesel::delete(tokens).execute_on(connection)?)
}

/// Deletes one token and returns whether it existed. The other tokens of its
/// user stay valid (AUTH-16).
pub fn delete_token(connection: &mut Conn, token_hash: &str) -> Result<bool, DbError> {
    let token = access_tokens::table.find(token_hash);
    Ok(diesel::delete(token).execute_on(connection)? > 0)
}

/// The URLs of the policies that a user has accepted.
pub fn accepted_terms(connection: &mut Conn, user: &Mxid) -> Result<Vec<String>, DbError> {
    Ok(accepted_terms::table
        .filter(accepted_terms::user_id.eq(user.as_str()))
        .select(accepted_terms::url)
        .load_on(connection)?)
}

/// Records that a user has accepted a policy. Has no effect if the user has
/// accepted it before (TOS-04, TOS-08).
pub fn accept_terms(
    connection: &mut Conn,
    user: &Mxid,
    url: &str,
    now: i64,
) -> Result<(), DbError> {
    let row = (
        accepted_terms::user_id.eq(user.as_str()),
        accepted_terms::url.eq(url),
        accepted_terms::accepted_at.eq(now),
    );
    diesel::insert_into(accepted_terms::table)
        .values(row)
        .on_conflict_do_nothing()
        .execute_on(connection)?;
    Ok(())
}
