//! The accounts actor: accounts, their access tokens and accepted terms.

use super::pool::{Fault, Operation, State};
use crate::db::{LockKey, Store, accounts};
use crate::domain::ids::Mxid;
use crate::domain::secret::TokenHash;

/// The state of one thread.
pub struct Accounts {
    /// Its connection.
    pub store: Store,
}

impl State for Accounts {
    const NAME: &'static str = "accounts";

    fn is_alive(&mut self) -> bool {
        self.store.is_alive()
    }
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
    type Output = ();

    fn run(self, state: &mut Accounts) -> Result<(), Fault> {
        state
            .store
            .write(LockKey::Account(&self.user), |connection| {
                Ok(accounts::add_token(
                    connection,
                    &self.user,
                    self.token_hash.as_str(),
                    self.now,
                )?)
            })
    }
}

/// Finds the account of an access token.
#[derive(Debug)]
pub struct FindAccount {
    /// The hash of the token.
    pub token_hash: TokenHash,
    /// Whether to read the accepted terms as well.
    pub with_terms: bool,
}

/// The account that sent a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// The user.
    pub user: Mxid,
    /// The URLs of the policies that the user has accepted; empty unless
    /// requested.
    pub accepted: Vec<String>,
}

impl Operation for FindAccount {
    type State = Accounts;
    type Output = Option<Account>;

    fn run(self, state: &mut Accounts) -> Result<Option<Account>, Fault> {
        let connection = state.store.read();
        let Some(user) = accounts::find_user(connection, self.token_hash.as_str())? else {
            return Ok(None);
        };
        let accepted = if self.with_terms {
            accounts::accepted_terms(connection, &user)?
        } else {
            Vec::new()
        };
        Ok(Some(Account { user, accepted }))
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
