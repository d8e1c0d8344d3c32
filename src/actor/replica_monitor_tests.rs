//! When the database counts as away.

use super::*;
use crate::actor::pool::{PoolLimits, State, Threads};
use crate::config::DatabaseUrl;
use crate::db::{Database, DbError, Store};

#[test]
fn outage_is_found_before_the_bound_is_over() {
    for seconds in [1, 2, 5, 8, 10, 12, 20, 60, 300] {
        let bound = Duration::from_secs(seconds);
        let round = longest_wait(bound) + interval(bound);
        // What is fresh may be as old as a round was, and a round may be unclear.
        assert!(interval(bound) + 3 * round < bound, "{bound:?}");
    }
}

/// A pool whose connections lead to `database`, or nowhere.
fn pool<S: State>(
    database: Option<&Database>,
    state: impl Fn(Store) -> S + Send + Sync + 'static,
) -> Pool<S> {
    let metrics = Arc::<Metrics>::default();
    let database = database.cloned();
    let connect = move || match &database {
        Some(database) => database.reader(),
        None => Err(DbError::Open(
            "FATAL:  система баз данных запускается".to_owned(),
        )),
    };
    let limits = PoolLimits {
        max_queued: 4,
        timeout: Duration::from_secs(5),
    };
    Pool::on(
        Threads::connected(1, Arc::clone(&metrics), connect),
        limits,
        metrics,
        state,
    )
}

/// What works for other connections is not away, whatever the server says to this one.
#[test]
fn refusal_is_no_answer_unless_others_have_one() {
    actix::System::new().block_on(async {
        let folder = tempfile::tempdir().unwrap();
        let url = DatabaseUrl::Sqlite(folder.path().join("a.db"));
        let database = Database::new(url, Duration::from_secs(5));
        database.prepare(|_connection| Ok(())).unwrap();
        for (others, expected) in [
            (Some(&database), FromPrimary::Unclear),
            (None, FromPrimary::Silent),
        ] {
            let rounds = Rounds::new(MonitorParts {
                primary: pool(None, |store| PrimaryPosition { store }),
                others: pool(others, |store| Lookups { store }),
                standby: pool(None, |store| StandbyPosition { store }),
                state: Arc::default(),
                max_staleness: Duration::from_mins(5),
                metrics: Arc::default(),
            });
            let (answer, fault) = rounds.ask_primary().await;
            assert_eq!(answer, expected);
            assert!(fault.is_some());
        }
    });
}
