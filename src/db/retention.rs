//! Removes rows that were kept long enough, a few at a time.

use diesel::dsl::{exists, not};
use diesel::prelude::*;

use super::schema::{
    accepted_terms, access_tokens, accounts, ephemeral_keys, imports, invites, person_audit,
};
use super::{Conn, DbError};

/// Rows that are removed when they are old enough.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expiring {
    /// Invites that no homeserver has taken, with their keys.
    PendingInvites,
    /// Invites that a homeserver has taken.
    DeliveredInvites,
    /// Public keys of invites.
    EphemeralKeys,
    /// Access tokens that were not used for long (AUTH-20).
    UnusedTokens,
    /// Accounts without a token, with the terms that were accepted.
    UnusedAccounts,
    /// The record of exports and erasures.
    Audit,
}

impl Expiring {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::PendingInvites,
        Self::DeliveredInvites,
        Self::EphemeralKeys,
        Self::UnusedTokens,
        Self::UnusedAccounts,
        Self::Audit,
    ];

    /// The table.
    #[must_use]
    pub fn table(self) -> &'static str {
        match self {
            Self::PendingInvites | Self::DeliveredInvites => "invites",
            Self::EphemeralKeys => "ephemeral_keys",
            Self::UnusedTokens => "access_tokens",
            Self::UnusedAccounts => "accounts",
            Self::Audit => "person_audit",
        }
    }
}

/// Whether data was imported at `before` or later. Imported rows are then too young,
/// since they count as made at that time: an invitation that was pending for years in
/// another server is still good.
pub fn is_imported_since(connection: &mut Conn, before: i64) -> Result<bool, DbError> {
    let imported_at: Option<i64> = imports::table
        .filter(imports::at.ge(before))
        .select(imports::at)
        .first(connection)
        .optional()?;
    Ok(imported_at.is_some())
}

/// Removes up to `limit` rows that are older than `before`, ms. Returns how many.
pub fn purge(
    connection: &mut Conn,
    what: Expiring,
    before: i64,
    limit: i64,
) -> Result<usize, DbError> {
    if is_imported_since(connection, before)? {
        return Ok(0);
    }
    match what {
        Expiring::PendingInvites => pending_invites(connection, before, limit),
        Expiring::DeliveredInvites => {
            let old: Vec<i64> = invites::table
                .filter(invites::created_at.lt(before))
                .filter(invites::delivered_at.lt(before))
                .limit(limit)
                .select(invites::id)
                .load(connection)?;
            let old = invites::table.filter(invites::id.eq_any(old));
            Ok(diesel::delete(old).execute(connection)?)
        }
        Expiring::EphemeralKeys => {
            let old: Vec<String> = ephemeral_keys::table
                .filter(ephemeral_keys::created_at.lt(before))
                .limit(limit)
                .select(ephemeral_keys::public_key)
                .load(connection)?;
            let old = ephemeral_keys::table.filter(ephemeral_keys::public_key.eq_any(old));
            Ok(diesel::delete(old).execute(connection)?)
        }
        Expiring::UnusedTokens => super::accounts::delete_unused(connection, before, limit),
        Expiring::UnusedAccounts => unused_accounts(connection, before, limit),
        Expiring::Audit => {
            let old: Vec<i64> = person_audit::table
                .filter(person_audit::at.lt(before))
                .limit(limit)
                .select(person_audit::id)
                .load(connection)?;
            let old = person_audit::table.filter(person_audit::id.eq_any(old));
            Ok(diesel::delete(old).execute(connection)?)
        }
    }
}

fn pending_invites(connection: &mut Conn, before: i64, limit: i64) -> Result<usize, DbError> {
    let old: Vec<(i64, String)> = invites::table
        .filter(invites::created_at.lt(before))
        .filter(invites::delivered_at.is_null())
        .limit(limit)
        .select((invites::id, invites::ephemeral_key))
        .load(connection)?;
    let (ids, keys): (Vec<i64>, Vec<String>) = old.into_iter().unzip();
    let keys = ephemeral_keys::table.filter(ephemeral_keys::public_key.eq_any(keys));
    diesel::delete(keys).execute(connection)?;
    // One that was delivered meanwhile has lost its key, and is as old.
    let invites = invites::table.filter(invites::id.eq_any(ids));
    Ok(diesel::delete(invites).execute(connection)?)
}

fn unused_accounts(connection: &mut Conn, before: i64, limit: i64) -> Result<usize, DbError> {
    let has_token =
        exists(access_tokens::table.filter(access_tokens::user_id.eq(accounts::user_id)));
    let unused: Vec<String> = accounts::table
        .filter(accounts::created_at.lt(before))
        .filter(not(has_token))
        .limit(limit)
        .select(accounts::user_id)
        .load(connection)?;
    let terms = accepted_terms::table.filter(accepted_terms::user_id.eq_any(&unused));
    diesel::delete(terms).execute(connection)?;
    let unused = accounts::table.filter(accounts::user_id.eq_any(&unused));
    Ok(diesel::delete(unused).execute(connection)?)
}
