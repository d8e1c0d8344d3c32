//! Removing what was kept long enough, for the janitor.

use std::sync::Arc;
use std::time::Duration;

use super::associations::Associations;
use super::person::FinishErasures;
use super::pool::{Fault, Operation, Pool};
use super::pseudonyms::{ForgetPseudonyms, fresh_key};
use super::retention::{Expiring, ForgetRemovals, PurgeExpiring};
use super::rewrite::{EmptyLog, PendingRewrite, RewriteFile};
use super::sessions::{PurgeLimits, PurgeSessions, Sessions};
use crate::clock::Clock;
use crate::db::Database;
use crate::metrics::Metrics;

/// How long rows are kept, ms; `None` for ever.
#[derive(Debug, Clone)]
pub struct Periods {
    /// Sessions, since they were created or validated.
    pub sessions_ms: i64,
    /// Rows of further tables.
    pub expiring_ms: [(Expiring, Option<i64>); 6],
    /// The addresses of removed bindings.
    pub removals_ms: Option<i64>,
    /// The addresses of erased people while peers have not heard of it.
    pub unconfirmed_erasures_ms: i64,
}

/// Removes rows that were kept long enough.
#[derive(Clone)]
pub struct Cleaner {
    /// The sessions actor.
    pub sessions: Pool<Sessions>,
    /// The associations actor.
    pub associations: Pool<Associations>,
    /// The database, whose file is rewritten after erasures.
    pub database: Database,
    /// The clock.
    pub clock: Clock,
    /// Where removed rows are counted.
    pub metrics: Arc<Metrics>,
    /// How long rows are kept.
    pub periods: Arc<Periods>,
    /// The peers, which must have received the removal of an address before it is
    /// forgotten.
    pub peers: Vec<String>,
}

/// How often the write-ahead log is tried to be emptied, until the next cleaning.
pub(crate) const TRIES_TO_EMPTY_LOG: usize = 10;
/// In between, others can write.
pub(crate) const BETWEEN_TRIES: Duration = Duration::from_millis(500);

impl Cleaner {
    /// Removes all such rows, of one table after the other.
    pub(super) async fn clean(&self) {
        if let Err(fault) = self.try_clean().await {
            log::warn!("cannot remove old rows: {fault}");
        }
    }

    async fn try_clean(&self) -> Result<(), Fault> {
        let now = self.clock.now().as_i64();
        while self.sessions.send(PurgeLimits { now }).await? {}
        let before = now.saturating_sub(self.periods.sessions_ms);
        self.purge("validation_sessions", &self.sessions, || {
            Ok(PurgeSessions { before })
        })
        .await?;
        for (what, period) in self.periods.expiring_ms {
            let Some(period) = period else { continue };
            let before = now.saturating_sub(period);
            self.purge(what.table(), &self.associations, || {
                Ok(PurgeExpiring { what, before })
            })
            .await?;
        }
        if let Some(period) = self.periods.removals_ms {
            let before = now.saturating_sub(period);
            self.purge("association_removals", &self.associations, || {
                Ok(ForgetRemovals {
                    peers: self.peers.clone(),
                    before,
                    fresh_key: fresh_key()?,
                    now,
                })
            })
            .await?;
        }
        if let Some(day) = self.clock.now().utc_day() {
            self.associations.send(ForgetPseudonyms { day }).await?;
        }
        self.finish_erasures(now).await?;
        self.rewrite_file().await
    }

    /// Sends `operation` until it removes nothing more.
    async fn purge<O>(
        &self,
        table: &'static str,
        pool: &Pool<O::State>,
        operation: impl Fn() -> Result<O, Fault>,
    ) -> Result<(), Fault>
    where
        O: Operation<Output = usize>,
    {
        let mut removed = 0;
        loop {
            let batch = pool.send(operation()?).await?;
            if batch == 0 {
                break;
            }
            removed += batch;
            self.metrics.removed(table, batch);
        }
        if removed > 0 {
            log::info!(table, removed; "old rows removed");
        }
        Ok(())
    }

    async fn finish_erasures(&self, now: i64) -> Result<(), Fault> {
        let mut finished = 0;
        loop {
            let finish = FinishErasures {
                peers: self.peers.clone(),
                give_up_before: now.saturating_sub(self.periods.unconfirmed_erasures_ms),
                now,
            };
            let batch = self.associations.send(finish).await?.finished;
            if batch == 0 {
                break;
            }
            finished += batch;
        }
        if finished > 0 {
            self.metrics.removed("association_journal", finished);
            log::info!(target: "sydent::audit", addresses = finished; "erasures finished");
        }
        Ok(())
    }

    /// Rewrites the file if an erasure has asked for it: one that has just been finished,
    /// or one by a command that could not do it.
    async fn rewrite_file(&self) -> Result<(), Fault> {
        let Some((last, is_rewritten)) = self.associations.send(PendingRewrite).await? else {
            return Ok(());
        };
        if !is_rewritten {
            let database = self.database.clone();
            self.associations
                .send(RewriteFile { database, last })
                .await?;
        }
        for _ in 0..TRIES_TO_EMPTY_LOG {
            let database = self.database.clone();
            if self.associations.send(EmptyLog { database, last }).await? {
                log::info!(target: "sydent::audit", "the file is rewritten without erased data");
                return Ok(());
            }
            tokio::time::sleep(BETWEEN_TRIES).await;
        }
        log::warn!(
            "the write-ahead log may still have erased data, because another program reads the \
             database; the next cleaning tries again"
        );
        Ok(())
    }
}
