//! What administrators do with accounts. Commands run these operations beside servers.

use super::accounts::Accounts;
use super::pool::{Fault, Kind, Operation};
use crate::db::{LockKey, account_admin};
use crate::domain::account_scope::AccountScope;

pub use crate::db::account_admin::AccountRow;

/// The accounts of a scope, or all.
#[derive(Debug)]
pub struct ListAccounts {
    /// Which.
    pub scope: Option<AccountScope>,
}

/// Accounts, and what is blocked: user IDs and homeservers, with the time of the
/// block, ms.
#[derive(Debug, Default)]
pub struct AccountList {
    /// The accounts, by user ID.
    pub accounts: Vec<AccountRow>,
    /// What is blocked.
    pub blocked: Vec<(String, i64)>,
}

impl Operation for ListAccounts {
    type State = Accounts;
    type Output = AccountList;
    const KIND: Kind = Kind::Read;

    fn run(self, state: &mut Accounts) -> Result<AccountList, Fault> {
        state.store.snapshot(|connection| {
            Ok(AccountList {
                accounts: account_admin::list(connection, self.scope.as_ref())?,
                blocked: account_admin::blocked(connection, self.scope.as_ref())?,
            })
        })
    }
}

/// The tokens and terms of one user.
#[derive(Debug)]
pub struct ShowAccount {
    /// The user.
    pub user: String,
}

/// What is stored of an account besides its row. Times are milliseconds since the
/// epoch.
#[derive(Debug, Default)]
pub struct AccountDetails {
    /// When each token was created and last used.
    pub tokens: Vec<(i64, Option<i64>)>,
    /// The URLs of accepted policies, and when they were accepted.
    pub terms: Vec<(String, i64)>,
}

impl Operation for ShowAccount {
    type State = Accounts;
    type Output = AccountDetails;
    const KIND: Kind = Kind::Read;

    fn run(self, state: &mut Accounts) -> Result<AccountDetails, Fault> {
        state.store.snapshot(|connection| {
            Ok(AccountDetails {
                tokens: account_admin::tokens(connection, &self.user)?,
                terms: account_admin::terms(connection, &self.user)?,
            })
        })
    }
}

/// Revokes the access tokens of a scope, and blocks it if `block_at` is set. Returns
/// how many were revoked, and whether the block is new.
#[derive(Debug)]
pub struct RevokeTokens {
    /// Whose.
    pub scope: AccountScope,
    /// The time of the block, ms.
    pub block_at: Option<i64>,
}

impl Operation for RevokeTokens {
    type State = Accounts;
    type Output = (usize, bool);
    const KIND: Kind = Kind::LongWrite;

    fn run(self, state: &mut Accounts) -> Result<(usize, bool), Fault> {
        let scope = &self.scope;
        state.store.write(LockKey::Job("accounts"), |connection| {
            // First: an account that is opened meanwhile is blocked, although its
            // token is not among those that are deleted.
            let is_new = match self.block_at {
                Some(now) => account_admin::block(connection, scope, now)?,
                None => false,
            };
            let accounts = account_admin::list(connection, Some(scope))?;
            let users: Vec<String> = accounts.into_iter().map(|row| row.user).collect();
            Ok((account_admin::delete_tokens(connection, &users)?, is_new))
        })
    }
}

/// Ends the block of a scope. Returns whether it was blocked.
#[derive(Debug)]
pub struct Unblock {
    /// Which.
    pub scope: AccountScope,
}

impl Operation for Unblock {
    type State = Accounts;
    type Output = bool;

    fn run(self, state: &mut Accounts) -> Result<bool, Fault> {
        let lock = LockKey::Job("accounts");
        state.store.write(lock, |connection| {
            Ok(account_admin::unblock(connection, &self.scope)?)
        })
    }
}
