//! The accounts actor: accounts, their access tokens and accepted terms.

use super::pool::{Fault, Kind, Operation, State};
use crate::db::accounts::TokenUser;
use crate::db::{LockKey, Store, account_admin, accounts};
use crate::domain::ids::Mxid;
use crate::domain::secret::TokenHash;

/// The state of one thread.
pub struct Accounts {
    /// Its connection.
    pub store: Store,
}

impl State for Accounts {
    const NAME: &'static str = "accounts";
}

/// Adds an access token to a user's account, which is created if needed.
#[derive(Debug)]
pub struct OpenAccount {
    /// The user.
    pub user: Mxid,
    /// The hash of the new token.
    pub token_hash: TokenHash,
    /// Now, ms.
    pub now: i64,
}

impl Operation for OpenAccount {
    type State = Accounts;
    /// Whether it was opened: false if the user is blocked.
    type Output = bool;

    fn run(self, state: &mut Accounts) -> Result<bool, Fault> {
        state
            .store
            .write(LockKey::Account(&self.user), |connection| {
                if account_admin::is_blocked(connection, &self.user)? {
                    return Ok(false);
                }
                accounts::add_token(connection, &self.user, self.token_hash.as_str(), self.now)?;
                Ok(true)
            })
    }
}

/// Finds the account of an access token.
#[derive(Debug, Clone)]
pub struct FindAccount {
    /// The hash of the token.
    pub token_hash: TokenHash,
    /// Whether to read the accepted terms as well.
    pub with_terms: bool,
    /// A token that was last used before that time, ms, is unknown.
    pub unused_since: Option<i64>,
}

/// The account that sent a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// The user.
    pub user: Mxid,
    /// The URLs of the policies that the user has accepted; empty unless
    /// requested.
    pub accepted: Vec<String>,
    /// Whether an administrator has blocked the user.
    pub is_blocked: bool,
    /// When the token was last used, ms; `None` if that was not recorded.
    pub last_used_at: Option<i64>,
}

impl Operation for FindAccount {
    type State = Accounts;
    type Output = Option<Account>;
    const KIND: Kind = Kind::ShortRead;

    fn run(self, state: &mut Accounts) -> Result<Option<Account>, Fault> {
        let connection = &mut state.store.read();
        let found = accounts::find_user(connection, self.token_hash.as_str())?;
        let Some(TokenUser {
            user,
            last_used_at,
            any_blocked,
        }) = found
        else {
            return Ok(None);
        };
        let is_unused = |since| last_used_at.is_some_and(|used| used < since);
        if self.unused_since.is_some_and(is_unused) {
            return Ok(None);
        }
        let is_blocked = any_blocked && account_admin::is_blocked(connection, &user)?;
        let accepted = if self.with_terms {
            accounts::accepted_terms(connection, &user)?
        } else {
            Vec::new()
        };
        Ok(Some(Account {
            user,
            accepted,
            is_blocked,
            last_used_at,
        }))
    }
}

/// Records that an access token is in use (AUTH-20).
#[derive(Debug)]
pub struct RecordUse {
    /// The hash of the token.
    pub token_hash: TokenHash,
    /// Now, ms.
    pub now: i64,
    /// Nothing is changed if its use was recorded since then, ms.
    pub unless_since: i64,
}

impl Operation for RecordUse {
    type State = Accounts;
    type Output = ();

    fn run(self, state: &mut Accounts) -> Result<(), Fault> {
        state
            .store
            .write(LockKey::AccessToken(&self.token_hash), |connection| {
                let token_hash = self.token_hash.as_str();
                let (now, unless_since) = (self.now, self.unless_since);
                accounts::record_use(connection, token_hash, now, unless_since)?;
                Ok(())
            })
    }
}

/// Revokes an access token. Returns whether it existed.
#[derive(Debug)]
pub struct CloseToken {
    /// The hash of the token.
    pub token_hash: TokenHash,
}

impl Operation for CloseToken {
    type State = Accounts;
    type Output = bool;

    fn run(self, state: &mut Accounts) -> Result<bool, Fault> {
        state
            .store
            .write(LockKey::AccessToken(&self.token_hash), |connection| {
                Ok(accounts::delete_token(
                    connection,
                    self.token_hash.as_str(),
                )?)
            })
    }
}

/// Records the policies that a user has accepted.
#[derive(Debug)]
pub struct AcceptTerms {
    /// The user.
    pub user: Mxid,
    /// The URLs of the policies.
    pub urls: Vec<String>,
    /// Now, ms.
    pub now: i64,
}

impl Operation for AcceptTerms {
    type State = Accounts;
    type Output = ();

    fn run(self, state: &mut Accounts) -> Result<(), Fault> {
        state
            .store
            .write(LockKey::Account(&self.user), |connection| {
                for url in &self.urls {
                    accounts::accept_terms(connection, &self.user, url, self.now)?;
                }
                Ok(())
            })
    }
}
