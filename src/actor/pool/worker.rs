//! What a thread does: it runs operations, and commits several together if its
//! connection is one of a group.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::Kind;
use super::job::{Context, Job, Reply};
use super::queue::Queue;
use crate::metrics::Metrics;

/// The most operations that one commit ends. Each of them waits for all.
const MAX_IN_GROUP: usize = 256;

/// No operation joins a group so long after its first one.
const MAX_GROUP_TIME: Duration = Duration::from_millis(10);

/// Jobs of all pools that share some threads.
pub(super) type Jobs = Queue<Box<dyn Job>>;

/// The work of one thread.
pub(super) struct Worker {
    queue: Arc<Jobs>,
    context: Context,
    /// Results of operations that are not committed.
    replies: Vec<Box<dyn Reply>>,
    metrics: Arc<Metrics>,
}

impl Worker {
    pub(super) fn new(queue: Arc<Jobs>, context: Context, metrics: Arc<Metrics>) -> Self {
        Self {
            queue,
            context,
            replies: Vec::new(),
            metrics,
        }
    }

    /// Runs operations until the queue is closed.
    pub(super) fn serve(&mut self) {
        while let Some(job) = self.queue.next() {
            self.context.check();
            self.run(job);
            // The first one may have waited for the lock of another process.
            let started = Instant::now();
            while self.context.has_open_group()
                && self.replies.len() < MAX_IN_GROUP
                && started.elapsed() < MAX_GROUP_TIME
            {
                let Some(job) = self.queue.try_next() else {
                    break;
                };
                self.run(job);
            }
            self.commit();
        }
    }

    fn run(&mut self, job: Box<dyn Job>) {
        let is_long = job.kind() == Kind::LongWrite;
        if is_long {
            self.commit();
        }
        let Some(reply) = job.run(&mut self.context) else {
            return;
        };
        self.replies.push(reply);
        // What was only read, while nothing is open, waits for nothing.
        if is_long || self.context.is_suspect() || !self.context.has_open_group() {
            self.commit();
        }
    }

    /// Commits what is open, and only then answers.
    fn commit(&mut self) {
        let result = self.context.settle();
        if let Some(took) = self.context.take_committed() {
            let succeeded = self.replies.iter().filter(|reply| reply.is_ok()).count();
            self.metrics.committed(succeeded, took);
        }
        if let Err(error) = &result {
            let operations = self.replies.len();
            log::error!("cannot commit {operations} operations together: {error}");
        }
        for reply in self.replies.drain(..) {
            reply.send(result.as_ref().err(), &self.metrics);
        }
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.queue.leave();
    }
}
