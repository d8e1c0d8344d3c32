//! What administrators do with accounts, by a command that runs beside servers.

use super::ServerError;
use super::resources::read_keys;
use crate::actor::account_admin::{ListAccounts, RevokeTokens, ShowAccount, Unblock};
use crate::actor::accounts::Accounts;
use crate::actor::pool::Operation as _;
use crate::clock::Clock;
use crate::config::Config;
use crate::db::{Database, Owner};
use crate::domain::account_scope::AccountScope;

pub use crate::actor::account_admin::{AccountDetails, AccountList, AccountRow};

/// The accounts in the configured database.
pub struct AccountAdmin(Accounts);

impl std::fmt::Debug for AccountAdmin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AccountAdmin").finish_non_exhaustive()
    }
}

impl AccountAdmin {
    /// Opens the configured database.
    ///
    /// # Errors
    /// When it cannot be opened, or no server has created its schema.
    pub fn open(config: &Config) -> Result<Self, ServerError> {
        let keys = read_keys(config)?;
        let owner = Owner {
            name: &config.server.name,
            keys: &keys,
        };
        let database = Database::new(config.database.url.clone(), config.database.busy_timeout);
        let store = database.writer_on_current_schema(Some(owner))?;
        Ok(Self(Accounts { store }))
    }

    /// The accounts of a scope, or all, and everything that is blocked.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn list(&mut self, scope: Option<AccountScope>) -> Result<AccountList, ServerError> {
        Ok(ListAccounts { scope }.run(&mut self.0)?)
    }

    /// The tokens and terms of a user.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn show(&mut self, user: String) -> Result<AccountDetails, ServerError> {
        Ok(ShowAccount { user }.run(&mut self.0)?)
    }

    /// Revokes the tokens of a scope; returns how many.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub fn revoke(&mut self, scope: AccountScope) -> Result<usize, ServerError> {
        let block_at = None;
        let (revoked, _) = RevokeTokens { scope, block_at }.run(&mut self.0)?;
        Ok(revoked)
    }

    /// Blocks a scope and revokes its tokens; returns how many, and whether the block
    /// is new.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub fn block(
        &mut self,
        scope: AccountScope,
        clock: &Clock,
    ) -> Result<(usize, bool), ServerError> {
        let block_at = Some(clock.now().as_i64());
        Ok(RevokeTokens { scope, block_at }.run(&mut self.0)?)
    }

    /// Ends the block of a scope; returns whether it was blocked.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub fn unblock(&mut self, scope: AccountScope) -> Result<bool, ServerError> {
        Ok(Unblock { scope }.run(&mut self.0)?)
    }
}
