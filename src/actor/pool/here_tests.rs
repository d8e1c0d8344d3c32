//! Short reads where the request is.

use std::sync::mpsc;
use std::thread::{self, ThreadId};

use super::group_tests::Pools;
use super::tests::in_system;
use super::*;
use crate::actor::accounts::Accounts;

/// A short read that takes some time, and returns the thread that it ran on.
struct Take(Duration);
impl Operation for Take {
    type State = Accounts;
    type Output = ThreadId;
    const KIND: Kind = Kind::ShortRead;
    fn run(self, state: &mut Accounts) -> Result<ThreadId, Fault> {
        drop(state.store.read());
        let (_sender, never) = mpsc::channel::<()>();
        let _ = never.recv_timeout(self.0);
        Ok(thread::current().id())
    }
}

const SOON: Take = Take(Duration::ZERO);

struct Panic;
impl Operation for Panic {
    type State = Accounts;
    type Output = ();
    const KIND: Kind = Kind::ShortRead;
    fn run(self, _state: &mut Accounts) -> Result<(), Fault> {
        panic!("on purpose")
    }
}

/// The pool of the accounts, whose short reads run here on two threads.
fn with_short_reads(pools: &Pools) -> Pool<Accounts> {
    let (here, reader) = (pools.database.clone(), pools.database.clone());
    let here = Here::new(2, move |threads| here.short_reader(threads));
    let metrics = Arc::clone(&pools.metrics);
    let others = Threads::connected(1, metrics, move || reader.reader());
    pools.accounts.clone().with_short_reads(here, others)
}

#[test]
fn short_read_runs_where_the_request_is() {
    in_system(async {
        let pools = Pools::start();
        let accounts = with_short_reads(&pools);
        let own = thread::current().id();
        assert_eq!(accounts.send(SOON).await.unwrap(), own);
        let in_background = accounts.for_background().send(SOON).await.unwrap();
        assert_ne!(in_background, own);
    });
}

#[test]
fn slow_reads_move_to_other_threads_for_a_while() {
    in_system(async {
        let pools = Pools::start();
        let accounts = with_short_reads(&pools);
        let own = thread::current().id();
        // A machine that is busy may let the while pass before the next read.
        let mut has_moved = false;
        for _ in 0..20 {
            accounts
                .send(Take(Duration::from_millis(30)))
                .await
                .unwrap();
            has_moved |= accounts.send(SOON).await.unwrap() != own;
        }
        assert!(has_moved);
        for _ in 0..100 {
            tokio::time::sleep(Duration::from_millis(50)).await;
            if accounts.send(SOON).await.unwrap() == own {
                return;
            }
        }
        panic!("no read came back");
    });
}

#[test]
fn panic_of_a_short_read_ends_only_itself() {
    in_system(async {
        let pools = Pools::start();
        let accounts = with_short_reads(&pools);
        for _ in 0..3 {
            let failed = accounts.send(Panic).await;
            assert!(matches!(failed, Err(Fault::Panicked("accounts"))));
            accounts.send(SOON).await.unwrap();
        }
    });
}

#[test]
fn short_reads_need_room_in_the_queue() {
    in_system(async {
        let pools = Pools::with_queue(1);
        let accounts = with_short_reads(&pools);
        let release = pools.hold().await;
        let refused = accounts.send(SOON).await;
        assert!(matches!(refused, Err(Fault::QueueFull("accounts"))));
        drop(release);
    });
}
