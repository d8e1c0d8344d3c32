//! Accounts, their access tokens, and the terms that their users accepted.

use diesel::prelude::*;

use super::schema::{accepted_terms, access_tokens, accounts};
use super::{Conn, DbError, on_each};
use crate::domain::ids::Mxid;

/// Adds a token to the account of a user, which is made if it is not there
/// (ACC-15). Only the hash of the token is stored (AUTH-15).
///
/// # Errors
/// When the database does not answer.
pub fn open(connection: &mut Conn, user: &Mxid, token_hash: &str, now: i64) -> Result<(), DbError> {
    let account = (
        accounts::user_id.eq(user.as_str()),
        accounts::created_at.eq(now),
    );
    on_each!(connection, inner => diesel::insert_into(accounts::table)
        .values(account)
        .on_conflict_do_nothing()
        .execute(inner))?;
    diesel::insert_into(access_tokens::table)
        .values((
            access_tokens::token_hash.eq(token_hash),
            access_tokens::user_id.eq(user.as_str()),
            access_tokens::created_at.eq(now),
        ))
        .execute(connection)?;
    Ok(())
}

/// Whose token that is.
///
/// # Errors
/// When the database does not answer.
pub fn user_of(connection: &mut Conn, token_hash: &str) -> Result<Option<Mxid>, DbError> {
    let user: Option<String> = access_tokens::table
        .find(token_hash)
        .select(access_tokens::user_id)
        .first(connection)
        .optional()?;
    user.map(|user| Mxid::parse(&user).map_err(|_unreadable| DbError::Corrupt("user_id")))
        .transpose()
}

/// Ends one token; answers whether there was such a one. The other tokens of its
/// user stay (AUTH-16).
///
/// # Errors
/// When the database does not answer.
pub fn close(connection: &mut Conn, token_hash: &str) -> Result<bool, DbError> {
    let token = access_tokens::table.find(token_hash);
    Ok(diesel::delete(token).execute(connection)? > 0)
}

/// The addresses of policies that a user has accepted.
///
/// # Errors
/// When the database does not answer.
pub fn accepted(connection: &mut Conn, user: &Mxid) -> Result<Vec<String>, DbError> {
    Ok(accepted_terms::table
        .filter(accepted_terms::user_id.eq(user.as_str()))
        .select(accepted_terms::url)
        .load(connection)?)
}

/// Notes that a user has accepted a policy; once more changes nothing (TOS-04,
/// TOS-08).
///
/// # Errors
/// When the database does not answer.
pub fn accept(connection: &mut Conn, user: &Mxid, url: &str, now: i64) -> Result<(), DbError> {
    let row = (
        accepted_terms::user_id.eq(user.as_str()),
        accepted_terms::url.eq(url),
        accepted_terms::accepted_at.eq(now),
    );
    on_each!(connection, inner => diesel::insert_into(accepted_terms::table)
        .values(row)
        .on_conflict_do_nothing()
        .execute(inner))?;
    Ok(())
}
