//! An owner that is kept from its work.

use std::marker::PhantomData;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use futures_util::FutureExt as _;
use futures_util::future::LocalBoxFuture;
use sydent::actor::pool::{Fault, Operation, Pool, State};

/// Places at an owner's door that are taken until this goes out of scope. The
/// owner's threads are busy meanwhile, one a place.
pub struct Hold {
    gate: Arc<Gate>,
    _asks: Vec<Place>,
}

/// An ask that waits at the gate.
type Place = LocalBoxFuture<'static, Result<(), Fault>>;

#[derive(Default)]
struct Gate {
    open: Mutex<bool>,
    opened: Condvar,
    waiting: AtomicUsize,
}

impl Hold {
    /// Takes so many places, which must be free.
    pub fn of<S: State>(pool: &Pool<S>, places: usize) -> Self {
        let gate = Arc::<Gate>::default();
        let asks = (0..places).map(|_| take_place(pool, &gate)).collect();
        Self { gate, _asks: asks }
    }

    /// How many of the owner's threads wait here by now.
    pub fn threads(&self) -> usize {
        self.gate.waiting.load(Ordering::SeqCst)
    }
}

fn take_place<S: State>(pool: &Pool<S>, gate: &Arc<Gate>) -> Place {
    let begun = Instant::now();
    loop {
        let (pool, gate, of) = (pool.clone(), Arc::clone(gate), PhantomData);
        let mut ask = async move { pool.send(Wait { gate, of }).await }.boxed_local();
        match ask.as_mut().now_or_never() {
            None => return ask,
            // A message gives its place back a moment after its answer.
            Some(Err(Fault::QueueFull(_))) if begun.elapsed() < Duration::from_secs(20) => {
                std::thread::yield_now();
            }
            Some(answer) => panic!("there is no free place: {answer:?}"),
        }
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        *self.gate.open.lock().unwrap() = true;
        self.gate.opened.notify_all();
    }
}

struct Wait<S> {
    gate: Arc<Gate>,
    of: PhantomData<fn() -> S>,
}

impl<S: State> Operation for Wait<S> {
    type State = S;
    type Output = ();

    fn run(self, _state: &mut S) -> Result<(), Fault> {
        self.gate.waiting.fetch_add(1, Ordering::SeqCst);
        let open = self.gate.open.lock().unwrap();
        drop(self.gate.opened.wait_while(open, |open| !*open).unwrap());
        Ok(())
    }
}
