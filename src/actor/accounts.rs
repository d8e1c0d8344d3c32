//! The owner of the accounts, their access tokens and accepted terms.

use super::pool::{Fault, Operation, State};
use crate::db::{LockKey, Store, accounts};
use crate::domain::ids::Mxid;
use crate::domain::secret::TokenHash;

/// What the owner's thread holds.
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

/// Adds a token to a user's account, which is made if there is none.
#[derive(Debug)]
pub struct OpenAccount {
    /// Whose account.
    pub user: Mxid,
    /// The hash of the fresh token.
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
                Ok(accounts::open(
                    connection,
                    &self.user,
                    self.token_hash.as_str(),
                    self.now,
                )?)
            })
    }
}

/// Asks whose token that is.
#[derive(Debug)]
pub struct FindAccount {
    /// The hash of the token.
    pub token_hash: TokenHash,
    /// Whether what its user has accepted is of interest.
    pub with_terms: bool,
}

/// Who asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// The user.
    pub user: Mxid,
    /// The addresses of the policies that the user has accepted; empty unless
    /// asked for.
    pub accepted: Vec<String>,
}

impl Operation for FindAccount {
    type State = Accounts;
    type Output = Option<Account>;

    fn run(self, state: &mut Accounts) -> Result<Option<Account>, Fault> {
        let connection = state.store.read();
        let Some(user) = accounts::user_of(connection, self.token_hash.as_str())? else {
            return Ok(None);
        };
        let accepted = if self.with_terms {
            accounts::accepted(connection, &user)?
        } else {
            Vec::new()
        };
        Ok(Some(Account { user, accepted }))
    }
}

/// Ends one token; answers whether there was such a one.
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
                Ok(accounts::close(connection, self.token_hash.as_str())?)
            })
    }
}

/// Notes which policies a user has accepted.
#[derive(Debug)]
pub struct AcceptTerms {
    /// The user.
    pub user: Mxid,
    /// The addresses of policies.
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
                    accounts::accept(connection, &self.user, url, self.now)?;
                }
                Ok(())
            })
    }
}
