//! The queue in front of some threads. The permits of the pools bound it.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// Jobs for some threads, in the order in which they came.
pub(super) struct Queue<J> {
    inner: Mutex<Inner<J>>,
    filled: Condvar,
}

struct Inner<J> {
    jobs: VecDeque<J>,
    /// Threads that wait for a job and were not woken.
    idle: usize,
    /// Threads that have not ended.
    alive: usize,
    is_closed: bool,
}

impl<J> Queue<J> {
    /// For so many threads, each of which ends with [`leave`](Self::leave).
    pub(super) fn new(threads: usize) -> Self {
        Self {
            inner: Mutex::new(Inner {
                jobs: VecDeque::new(),
                idle: 0,
                alive: threads,
                is_closed: false,
            }),
            filled: Condvar::new(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner<J>> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Appends a job. Wakes a thread only if one is idle: those that work will find it.
    ///
    /// # Errors
    /// The job, if there are no threads any more.
    pub(super) fn push(&self, job: J) -> Result<(), J> {
        let mut inner = self.lock();
        if inner.is_closed {
            return Err(job);
        }
        inner.jobs.push_back(job);
        if inner.idle > 0 {
            inner.idle -= 1;
            drop(inner);
            self.filled.notify_one();
        }
        Ok(())
    }

    /// The next job, which is waited for; `None` once the queue is closed.
    pub(super) fn next(&self) -> Option<J> {
        let mut inner = self.lock();
        loop {
            if inner.is_closed {
                return None;
            }
            if let Some(job) = inner.jobs.pop_front() {
                return Some(job);
            }
            inner.idle += 1;
            inner = self
                .filled
                .wait(inner)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// The next job, if there is one already.
    pub(super) fn try_next(&self) -> Option<J> {
        self.lock().jobs.pop_front()
    }

    /// Ends the threads, once each has run its job.
    pub(super) fn close(&self) {
        let mut inner = self.lock();
        inner.is_closed = true;
        let abandoned = std::mem::take(&mut inner.jobs);
        drop(inner);
        self.filled.notify_all();
        drop(abandoned);
    }

    /// Counts a thread that has ended. Without any, nobody must wait for a reply.
    pub(super) fn leave(&self) {
        let mut inner = self.lock();
        inner.alive = inner.alive.saturating_sub(1);
        let is_last = inner.alive == 0;
        drop(inner);
        if is_last {
            self.close();
        }
    }

    /// Whether there is a thread.
    pub(super) fn is_served(&self) -> bool {
        !self.lock().is_closed
    }
}
