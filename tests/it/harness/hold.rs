//! An owner that is kept from its work.

use std::marker::PhantomData;
use std::sync::{Arc, Condvar, Mutex};

use futures_util::FutureExt as _;
use futures_util::future::LocalBoxFuture;
use sydent::actor::pool::{Ask, Fault, Pool, State};

/// Places at an owner's door that are taken until this goes out of scope. The
/// owner's threads are busy meanwhile, one a place.
pub struct Hold {
    gate: Arc<Gate>,
    _asks: Vec<LocalBoxFuture<'static, Result<(), Fault>>>,
}

#[derive(Default)]
struct Gate {
    open: Mutex<bool>,
    opened: Condvar,
}

impl Hold {
    /// Takes so many places.
    pub fn of<S: State>(pool: &Pool<S>, places: usize) -> Self {
        let gate = Arc::<Gate>::default();
        let asks = (0..places).map(|_| {
            let (pool, gate) = (pool.clone(), Arc::clone(&gate));
            let of = PhantomData;
            let mut ask = async move { pool.ask(Wait { gate, of }).await }.boxed_local();
            let answered = ask.as_mut().now_or_never();
            assert!(answered.is_none(), "the door was full before: {answered:?}");
            ask
        });
        Self {
            _asks: asks.collect(),
            gate,
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

impl<S: State> Ask for Wait<S> {
    type Of = S;
    type Reply = ();

    fn run(self, _of: &mut S) -> Result<(), Fault> {
        let open = self.gate.open.lock().unwrap();
        drop(self.gate.opened.wait_while(open, |open| !*open).unwrap());
        Ok(())
    }
}
