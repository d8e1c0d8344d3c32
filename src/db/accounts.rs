//! Accounts, their access tokens, and the terms that their users accepted.

use diesel::prelude::*;

use super::schema::{accepted_terms, access_tokens, accounts};
use super::{Conn, DbError, with_backend};
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
    with_backend!(connection, inner => diesel::insert_into(accounts::table)
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

/// The user that a token belongs to.
pub fn find_user(connection: &mut Conn, token_hash: &str) -> Result<Option<Mxid>, DbError> {
    let user: Option<String> = access_tokens::table
        .find(token_hash)
        .select(access_tokens::user_id)
        .first(connection)
        .optional()?;
    user.map(|user| Mxid::parse(&user).map_err(|_invalid| DbError::Corrupt("user ID")))
        .transpose()
}

/// Deletes one token and returns whether it existed. The other tokens of its
/// user stay valid (AUTH-16).
pub fn delete_token(connection: &mut Conn, token_hash: &str) -> Result<bool, DbError> {
    let token = access_tokens::table.find(token_hash);
    Ok(diesel::delete(token).execute(connection)? > 0)
}

/// The URLs of the policies that a user has accepted.
pub fn accepted_terms(connection: &mut Conn, user: &Mxid) -> Result<Vec<String>, DbError> {
    Ok(accepted_terms::table
        .filter(accepted_terms::user_id.eq(user.as_str()))
        .select(accepted_terms::url)
        .load(connection)?)
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
    with_backend!(connection, inner => diesel::insert_into(accepted_terms::table)
        .values(row)
        .on_conflict_do_nothing()
        .execute(inner))?;
    Ok(())
}
