//! An actor whose threads are blocked.

use std::marker::PhantomData;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};

use futures_util::FutureExt as _;
use futures_util::future::LocalBoxFuture;
use sydent::actor::pool::{Fault, Kind, Operation, Pool, State};

/// Operations that block an actor until this goes out of scope: each occupies a
/// place in its queue, and a thread if one is free.
pub struct BlockedActor {
    gate: Arc<Gate>,
    _operations: Vec<Blocked>,
}

/// An operation that waits until the gate opens.
type Blocked = LocalBoxFuture<'static, Result<(), Fault>>;

#[derive(Default)]
struct Gate {
    open: Mutex<bool>,
    opened: Condvar,
    waiting: AtomicUsize,
}

impl BlockedActor {
    /// Sends so many operations; the queue must have room for them.
    pub fn new<S: State>(pool: &Pool<S>, operations: usize) -> Self {
        let gate = Arc::<Gate>::default();
        let operations = (0..operations).map(|_| send(pool, &gate)).collect();
        Self {
            gate,
            _operations: operations,
        }
    }

    /// How many of the actor's threads are blocked now.
    pub fn blocked_threads(&self) -> usize {
        self.gate.waiting.load(Ordering::SeqCst)
    }
}

fn send<S: State>(pool: &Pool<S>, gate: &Arc<Gate>) -> Blocked {
    let (pool, gate, state) = (pool.clone(), Arc::clone(gate), PhantomData);
    let mut operation = async move { pool.send(Wait { gate, state }).await }.boxed_local();
    match operation.as_mut().now_or_never() {
        None => operation,
        Some(reply) => panic!("the queue has no room: {reply:?}"),
    }
}

impl Drop for BlockedActor {
    fn drop(&mut self) {
        *self.gate.open.lock().unwrap() = true;
        self.gate.opened.notify_all();
    }
}

struct Wait<S> {
    gate: Arc<Gate>,
    state: PhantomData<fn() -> S>,
}

impl<S: State> Operation for Wait<S> {
    type State = S;
    type Output = ();
    /// It holds no transaction that others are part of.
    const KIND: Kind = Kind::LongWrite;

    fn run(self, _state: &mut S) -> Result<(), Fault> {
        self.gate.waiting.fetch_add(1, Ordering::SeqCst);
        let open = self.gate.open.lock().unwrap();
        drop(self.gate.opened.wait_while(open, |open| !*open).unwrap());
        Ok(())
    }
}
