//! Short reads on the thread of their request.
//!
//! A hop to another thread and back takes several times as long as a look-up of one row
//! whose page is in memory. Where pages have to be read from a slow disk, the hop is
//! cheap in comparison, and other requests of the thread should not wait: after a read
//! that took long, those that follow go to the threads of the pool for a while.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, TryLockError};
use std::time::{Duration, Instant};

use super::job::{Connect, Context, Open};
use super::{Fault, Operation, State};
use crate::db::{DbError, Store};
use crate::metrics::Metrics;

/// A read that takes longer waits for a disk, a lock or a turn on the processor.
const SLOW: Duration = Duration::from_millis(1);

/// A read that takes longer does not wait for the processor only.
const VERY_SLOW: Duration = Duration::from_millis(20);

/// If so many of the last [`u16::BITS`] reads of a place were slow, disk or lock are the reason,
/// rather than other threads that had their turn.
const MAX_SLOW: u32 = 4;

/// Then no read runs here for so many milliseconds.
const PAUSE_MS: u64 = 200;

/// A connection with the states that use it, for one thread at a time.
pub(super) struct Place {
    context: Context,
    /// Which of the last reads were slow: the last one is the lowest bit.
    slow: u16,
}

/// Runs operations on the thread that asks for them. Clones share it.
#[derive(Clone)]
pub struct Here {
    shared: Arc<Shared>,
}

struct Shared {
    places: Vec<Mutex<Place>>,
    started: Instant,
    /// Milliseconds since the start.
    paused_until: AtomicU64,
}

impl Here {
    /// For so many threads, each of which runs one operation at a time. Connections are
    /// opened when they are needed.
    ///
    /// `connect` gets how many threads share the memory for the database's pages.
    pub fn new<F>(threads: usize, connect: F) -> Self
    where
        F: Fn(usize) -> Result<Store, DbError> + Send + Sync + 'static,
    {
        let connect: Connect = Arc::new(move || connect(threads));
        let resets = Arc::<AtomicUsize>::default();
        let place = || {
            let context = Context::new(Some(Arc::clone(&connect)), Arc::clone(&resets));
            Mutex::new(Place { context, slow: 0 })
        };
        let shared = Shared {
            places: (0..threads).map(|_| place()).collect(),
            started: Instant::now(),
            paused_until: AtomicU64::new(0),
        };
        Self {
            shared: Arc::new(shared),
        }
    }

    /// Whether nothing is to run here for a while.
    pub(super) fn is_paused(&self) -> bool {
        let paused_until = self.shared.paused_until.load(Ordering::Relaxed);
        paused_until != 0 && ms_since(self.shared.started) < paused_until
    }

    /// A place for an operation; `None` if all are in use.
    pub(super) fn place(&self) -> Option<MutexGuard<'_, Place>> {
        self.shared.places.iter().find_map(free)
    }

    /// Closes the connections.
    pub(super) fn close(&self) {
        for mut place in self.shared.places.iter().filter_map(free) {
            place.context.close();
        }
    }

    pub(super) fn run<O: Operation>(
        &self,
        place: &mut Place,
        operation: O,
        open: &Open<O::State>,
        metrics: &Metrics,
    ) -> Result<O::Output, Fault> {
        let started = Instant::now();
        place.context.check();
        let result = place.context.run(operation, open);
        // Nothing is open; it throws a broken connection away.
        let settled = place.context.settle().map_err(Fault::from);
        let took = started.elapsed();
        if place.is_slow(took) {
            let until = ms_since(self.shared.started) + PAUSE_MS;
            self.shared.paused_until.store(until, Ordering::Relaxed);
        }
        metrics.actor_ran(O::State::NAME, Duration::ZERO, took);
        if let Err(Fault::Panicked(actor)) = &result {
            metrics.actor_panicked(actor);
        }
        settled.and(result)
    }
}

impl Place {
    /// Whether too many of the last reads were slow, of which this one took so long.
    fn is_slow(&mut self, took: Duration) -> bool {
        self.slow = (self.slow << 1) | u16::from(took > SLOW);
        let is_slow = took > VERY_SLOW || self.slow.count_ones() >= MAX_SLOW;
        if is_slow {
            self.slow = 0;
        }
        is_slow
    }
}

fn free(place: &Mutex<Place>) -> Option<MutexGuard<'_, Place>> {
    match place.try_lock() {
        Ok(place) => Some(place),
        // Panics of operations are caught: what is in it is whole.
        Err(TryLockError::Poisoned(place)) => Some(place.into_inner()),
        Err(TryLockError::WouldBlock) => None,
    }
}

fn ms_since(started: Instant) -> u64 {
    u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX)
}
