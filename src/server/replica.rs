//! Starts what lookups from a standby need.

use std::sync::Arc;

use super::parts::{Parts, Stage};
use crate::actor::accounts::Accounts;
use crate::actor::log_positions::{PrimaryPosition, StandbyPosition};
use crate::actor::lookups::Lookups;
use crate::actor::pool::{Pool, PoolLimits, State, Threads};
use crate::actor::replica::{Reads, ReplicaState, longest_wait};
use crate::actor::replica_monitor::{MonitorHandle, MonitorParts, longest_wait as monitor_waits};
use crate::config::{Config, Replica};
use crate::db::{Database, Store};
use crate::metrics::Metrics;

/// The monitor asks one thing at a time. One more may still be queued at a server that does
/// not answer.
const MAX_ASKED: u32 = 4;

/// Where lookups read.
pub(super) struct LookupReads {
    pub(super) lookups: Reads<Lookups>,
    pub(super) accounts: Reads<Accounts>,
    pub(super) state: Option<Arc<ReplicaState>>,
}

/// Starts threads for the standby, if there is one, and its monitor.
pub(super) fn start(
    config: &Config,
    database: &Database,
    pools: (Pool<Lookups>, Pool<Accounts>),
    limits: PoolLimits,
    metrics: &Arc<Metrics>,
    parts: &mut Parts,
) -> LookupReads {
    let others = pools.0.clone();
    let (lookups, accounts) = (Reads::new(pools.0), Reads::new(pools.1));
    let Some(replica) = &config.database.replica else {
        return LookupReads {
            lookups,
            accounts,
            state: None,
        };
    };
    let standby = standby(config, replica);
    let state = Arc::<ReplicaState>::default();
    let threads = connected(config.database.readers, &standby, metrics);
    let limits = PoolLimits {
        timeout: longest_wait(limits.timeout),
        ..limits
    };
    let pool = Pool::on(threads.clone(), limits, Arc::clone(metrics), |store| {
        Lookups { store }
    })
    .as_spare();
    let pool = parts.add(Stage::Data, pool);
    let lookups = lookups.with_standby(pool, Arc::clone(&state), Arc::clone(metrics));
    let pool = Pool::on(threads, limits, Arc::clone(metrics), |store| Accounts {
        store,
    })
    .as_spare();
    let pool = parts.add(Stage::Data, pool);
    let accounts = accounts.with_standby(pool, Arc::clone(&state), Arc::clone(metrics));
    let max_staleness = replica.max_staleness;
    let limits = PoolLimits {
        max_queued: MAX_ASKED,
        timeout: monitor_waits(max_staleness),
    };
    let (primary, standby) = (
        asked(database, limits, metrics, |store| PrimaryPosition { store }),
        asked(&standby, limits, metrics, |store| StandbyPosition { store }),
    );
    let monitor = MonitorHandle::start(MonitorParts {
        primary: parts.add(Stage::Data, primary),
        others,
        standby: parts.add(Stage::Data, standby),
        state: Arc::clone(&state),
        max_staleness,
        metrics: Arc::clone(metrics),
    });
    parts.add(Stage::Workers, monitor);
    LookupReads {
        lookups,
        accounts,
        state: Some(state),
    }
}

/// The standby of a configuration.
pub(super) fn standby(config: &Config, replica: &Replica) -> Database {
    Database::new(replica.url.clone(), config.database.busy_timeout)
}

fn connected(threads: usize, database: &Database, metrics: &Arc<Metrics>) -> Threads {
    let database = database.clone();
    Threads::connected(threads, Arc::clone(metrics), move || database.reader())
}

fn asked<S: State>(
    database: &Database,
    limits: PoolLimits,
    metrics: &Arc<Metrics>,
    state: impl Fn(Store) -> S + Send + Sync + 'static,
) -> Pool<S> {
    let threads = connected(1, database, metrics);
    Pool::on(threads, limits, Arc::clone(metrics), state).as_spare()
}
