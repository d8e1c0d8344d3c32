//! Removing what was kept long enough, for the janitor.

use std::sync::Arc;

use super::associations::Associations;
use super::person::{FinishErasures, RewriteFile};
use super::pool::{Fault, Operation, Pool};
use super::retention::{Expiring, ForgetRemovals, PurgeExpiring};
use super::sessions::{PurgeLimits, PurgeSessions, Sessions};
use crate::clock::Clock;
use crate::domain::subject_key::SubjectKey;
use crate::metrics::Metrics;
use crate::random;

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
        self.finish_erasures(now).await
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
            self.associations.send(RewriteFile).await?;
        }
        Ok(())
    }
}

fn fresh_key() -> Result<SubjectKey, Fault> {
    let mut bytes = [0; 32];
    random::fill(&mut bytes).map_err(|_error| Fault::Internal("no random bytes"))?;
    Ok(SubjectKey::from_random(bytes))
}
