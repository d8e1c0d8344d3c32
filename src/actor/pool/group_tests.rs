//! Pools that share the writer of an SQLite database.

use tempfile::TempDir;

use super::tests::{SpawnWithResult, in_system};
use super::*;
use crate::actor::accounts::{Accounts, FindAccount, OpenAccount};
use crate::actor::outbox::{Outbox, QueueDepth};
use crate::config::DatabaseUrl;
use crate::db::{Database, LockKey, accounts};
use crate::domain::ids::Mxid;
use crate::domain::secret::TokenHash;

pub(super) struct Pools {
    pub(super) accounts: Pool<Accounts>,
    outbox: Pool<Outbox>,
    pub(super) metrics: Arc<Metrics>,
    pub(super) database: Database,
    _folder: TempDir,
}

impl Pools {
    pub(super) fn start() -> Self {
        Self::with_queue(100)
    }

    pub(super) fn with_queue(max_queued: u32) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let url = DatabaseUrl::Sqlite(folder.path().join("a.db"));
        let database = Database::new(url, Duration::from_secs(5));
        database.prepare(|_connection| Ok(())).unwrap();
        let metrics = Arc::new(Metrics::default());
        let (writer, reader) = (database.clone(), database.clone());
        let connect = move || writer.group_writer();
        let writer = Threads::connected(1, Arc::clone(&metrics), connect);
        let readers = Threads::connected(1, Arc::clone(&metrics), move || reader.reader());
        let limits = PoolLimits {
            max_queued,
            timeout: Duration::from_secs(20),
        };
        let metrics_of = || Arc::clone(&metrics);
        let accounts = Pool::on(writer.clone(), limits, metrics_of(), |store| Accounts {
            store,
        });
        let outbox = Pool::on(writer, limits, metrics_of(), |store| Outbox { store });
        Self {
            accounts: accounts.with_readers(readers.clone()),
            outbox: outbox.with_readers(readers),
            metrics,
            database,
            _folder: folder,
        }
    }

    /// Lets the writer wait until the result is sent something.
    pub(super) async fn hold(&self) -> std::sync::mpsc::Sender<()> {
        let (release, released) = std::sync::mpsc::channel();
        let (started, has_started) = oneshot::channel();
        drop(self.queue(Hold { started, released }));
        has_started.await.unwrap();
        release
    }

    fn queue<O: Operation<State = Accounts>>(
        &self,
        operation: O,
    ) -> oneshot::Receiver<Result<O::Output, Fault>> {
        let accounts = self.accounts.clone();
        let sent = async move { accounts.send(operation).await };
        Arbiter::current().spawn_with_result(sent)
    }

    async fn is_known(&self, token: &str) -> bool {
        let find = FindAccount {
            token_hash: TokenHash::new(token),
            with_terms: false,
            unused_since: None,
        };
        self.accounts.send(find).await.unwrap().is_some()
    }

    fn metric(&self, name: &str) -> u64 {
        let text = self.metrics.render().unwrap();
        let line = text.lines().find_map(|line| line.strip_prefix(name));
        line.unwrap().trim().parse().unwrap()
    }

    fn commits(&self) -> (u64, u64) {
        (
            self.metric("sydent_database_commit_duration_seconds_count"),
            self.metric("sydent_database_committed_operations_total"),
        )
    }
}

struct Hold {
    started: oneshot::Sender<()>,
    released: std::sync::mpsc::Receiver<()>,
}
impl Operation for Hold {
    type State = Accounts;
    type Output = ();
    fn run(self, _state: &mut Accounts) -> Result<(), Fault> {
        self.started.send(()).unwrap();
        // An error means that it was dropped.
        let _ = self.released.recv();
        Ok(())
    }
}

/// Writes, and then panics.
struct PanicAfterWrite;
impl Operation for PanicAfterWrite {
    type State = Accounts;
    type Output = ();
    fn run(self, state: &mut Accounts) -> Result<(), Fault> {
        state.store.write(LockKey::Job("test"), |connection| {
            let hash = TokenHash::new("panics");
            accounts::add_token(connection, &user(), hash.as_str(), 0)?;
            panic!("on purpose")
        })
    }
}

struct LongOperation;
impl Operation for LongOperation {
    type State = Accounts;
    type Output = ();
    const KIND: Kind = Kind::LongWrite;
    fn run(self, state: &mut Accounts) -> Result<(), Fault> {
        state
            .store
            .write(LockKey::Job("test"), |_connection| Ok(()))
    }
}

fn user() -> Mxid {
    Mxid::parse("@alice:example.org").unwrap()
}

fn open(token: &str) -> OpenAccount {
    OpenAccount {
        user: user(),
        token_hash: TokenHash::new(token),
        now: 0,
    }
}

/// Long enough for what was spawned to be queued.
async fn until_queued() {
    tokio::time::sleep(Duration::from_millis(50)).await;
}

#[test]
fn queued_operations_share_commits() {
    in_system(async {
        let pools = Pools::start();
        let release = pools.hold().await;
        let opened: Vec<_> = (0..20).map(|n| pools.queue(open(&n.to_string()))).collect();
        until_queued().await;
        // Those that only read do not wait for those that write.
        assert_eq!(pools.outbox.send(QueueDepth).await.unwrap().messages, 0);
        assert!(!pools.is_known("0").await);
        release.send(()).unwrap();
        for opened in opened {
            assert!(opened.await.unwrap().unwrap());
        }
        let (commits, operations) = pools.commits();
        // A group that takes too long ends early.
        assert!(commits < 10, "{commits}");
        assert_eq!(operations, 20);
        assert!(pools.is_known("19").await);
    });
}

/// Beside another process that writes much, a group is as large as without it.
#[test]
fn waiting_for_the_lock_ends_no_group() {
    const ROUNDS: u64 = 5;
    in_system(async {
        let pools = Pools::start();
        for round in 0..ROUNDS {
            let release = pools.hold().await;
            let opened = [0, 1].map(|n| pools.queue(open(&format!("{round} {n}"))));
            until_queued().await;
            let mut other = pools.database.writer().unwrap();
            let (locked, is_locked) = std::sync::mpsc::channel();
            let (unlock, unlocked) = std::sync::mpsc::channel();
            let holder = std::thread::spawn(move || {
                other.write(LockKey::Job("test"), |_connection| {
                    locked.send(()).unwrap();
                    unlocked.recv().unwrap();
                    Ok::<_, DbError>(())
                })
            });
            is_locked.recv().unwrap();
            release.send(()).unwrap();
            tokio::time::sleep(Duration::from_millis(30)).await;
            unlock.send(()).unwrap();
            for opened in opened {
                assert!(opened.await.unwrap().unwrap());
            }
            holder.join().unwrap().unwrap();
        }
        let (commits, operations) = pools.commits();
        assert_eq!(operations, 2 * ROUNDS);
        assert!(commits < operations, "{commits}");
    });
}

#[test]
fn failures_in_a_group_stay_alone() {
    in_system(async {
        let pools = Pools::start();
        let release = pools.hold().await;
        let first = pools.queue(open("one"));
        let again = pools.queue(open("one"));
        let second = pools.queue(open("two"));
        let panics = pools.queue(PanicAfterWrite);
        let third = pools.queue(open("three"));
        until_queued().await;
        release.send(()).unwrap();
        for opened in [first, second, third] {
            assert!(opened.await.unwrap().unwrap());
        }
        let again = again.await.unwrap();
        assert!(matches!(again, Err(Fault::Database(_))), "{again:?}");
        let panics = panics.await.unwrap();
        assert!(
            matches!(panics, Err(Fault::Panicked("accounts"))),
            "{panics:?}"
        );
        for (token, is_known) in [
            ("one", true),
            ("two", true),
            ("three", true),
            ("panics", false),
        ] {
            assert_eq!(pools.is_known(token).await, is_known, "{token}");
        }
        assert!(pools.accounts.is_running());
        // One failed, and one panicked.
        assert_eq!(pools.commits().1, 3);
    });
}

#[test]
fn long_operations_are_committed_alone() {
    in_system(async {
        let pools = Pools::start();
        let release = pools.hold().await;
        let before = pools.queue(open("before"));
        let long = pools.queue(LongOperation);
        let after = pools.queue(open("after"));
        until_queued().await;
        release.send(()).unwrap();
        before.await.unwrap().unwrap();
        long.await.unwrap().unwrap();
        after.await.unwrap().unwrap();
        assert_eq!(pools.commits(), (3, 3));
    });
}

#[test]
fn an_abandoned_operation_joins_no_group() {
    in_system(async {
        let mut pools = Pools::start();
        let release = pools.hold().await;
        pools.accounts.timeout = Duration::from_millis(1);
        let gone = pools.accounts.send(open("gone")).await;
        assert!(matches!(gone, Err(Fault::TimedOut("accounts"))), "{gone:?}");
        pools.accounts.timeout = Duration::from_secs(20);
        let opened = pools.queue(open("stays"));
        until_queued().await;
        release.send(()).unwrap();
        assert!(opened.await.unwrap().unwrap());
        assert!(!pools.is_known("gone").await);
        assert!(pools.accounts.drain(Duration::from_secs(5)).await);
        let late = pools.accounts.send(open("late")).await;
        assert!(matches!(late, Err(Fault::Stopped("accounts"))), "{late:?}");
    });
}
