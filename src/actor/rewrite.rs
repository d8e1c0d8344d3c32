//! Rewriting the file of an SQLite database after an erasure.

use super::associations::Associations;
use super::pool::{Fault, Kind, Operation};
use crate::db::{Database, LockKey, pending_rewrites};

/// The last erasure that has asked for a rewrite which is not done yet, and whether only
/// the write-ahead log still has to be emptied.
#[derive(Debug)]
pub struct PendingRewrite;

impl Operation for PendingRewrite {
    type State = Associations;
    type Output = Option<(i64, bool)>;
    const KIND: Kind = Kind::Read;

    fn run(self, state: &mut Associations) -> Result<Self::Output, Fault> {
        Ok(pending_rewrites::last(&mut state.store.read())?)
    }
}

/// Rewrites the file, so that no copy of what was deleted is left in it. Its write-ahead
/// log still has to be emptied.
#[derive(Debug)]
pub struct RewriteFile {
    /// The database.
    pub database: Database,
    /// The last erasure that has asked for it.
    pub last: i64,
}

impl Operation for RewriteFile {
    type State = Associations;
    /// Whether there is such a file: the database is SQLite.
    type Output = bool;
    // Nothing may be open on the connection of the actor meanwhile.
    const KIND: Kind = Kind::LongWrite;

    fn run(self, state: &mut Associations) -> Result<bool, Fault> {
        let Some(mut rewriter) = self.database.rewriter()? else {
            return Ok(false);
        };
        // No part of a transaction. If it fails, the file is rewritten later.
        rewriter.rewrite()?;
        state.store.write(LockKey::Job("rewrite"), |connection| {
            pending_rewrites::set_rewritten(connection, self.last)?;
            Ok(true)
        })
    }
}

/// Tries once to empty the write-ahead log after [`RewriteFile`].
#[derive(Debug)]
pub struct EmptyLog {
    /// The database.
    pub database: Database,
    /// The last erasure that has asked for it.
    pub last: i64,
}

impl Operation for EmptyLog {
    type State = Associations;
    /// Whether it is empty. If it is not, nobody was kept from writing for long, and
    /// another try may succeed once a program has stopped reading.
    type Output = bool;
    const KIND: Kind = Kind::LongWrite;

    fn run(self, state: &mut Associations) -> Result<bool, Fault> {
        let rewriter = self.database.rewriter()?;
        if !rewriter.map_or(Ok(true), |mut rewriter| rewriter.empty_log())? {
            return Ok(false);
        }
        state.store.write(LockKey::Job("rewrite"), |connection| {
            pending_rewrites::remove(connection, self.last)?;
            Ok(true)
        })
    }
}
