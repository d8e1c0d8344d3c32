//! The loop that all background workers share: it takes due tasks from the
//! database under a lease, runs some of them at a time, and renews the leases
//! meanwhile. Mail, SMS, onbind notifications and replication have a loop each,
//! so that a slow one does not delay the others.

use std::cell::Cell;
use std::collections::HashSet;
use std::future::ready;
use std::rc::Rc;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use actix::{
    Actor, ActorFutureExt as _, Arbiter, AsyncContext as _, Context, Handler, Message, Recipient,
    ResponseFuture, WrapFuture as _,
};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::pool::Fault;

/// How a loop takes tasks.
#[derive(Debug, Clone, Copy)]
pub struct WorkerSettings {
    /// Tasks that run at a time.
    pub concurrency: usize,
    /// How long this instance holds a task that it took. The lease is renewed
    /// every third of that while the task runs; after a crash another instance
    /// takes the task once the lease has expired.
    pub lease: Duration,
    /// How often the loop looks for due tasks when nothing wakes it.
    pub poll_every: Duration,
    /// How long the loop waits for more after it was woken, so that tasks that
    /// come in a burst are taken together.
    pub wake_delay: Duration,
}

const CLOSE_IDLE_EVERY: Duration = Duration::from_secs(10);

/// What a loop drives. It lives on the loop's own arbiter and need not be `Send`.
pub trait Worker: 'static {
    /// Its name in logs.
    const NAME: &'static str;

    /// One task, such as a message to deliver.
    type Task: 'static;

    /// What identifies a task among those in progress.
    fn key(task: &Self::Task) -> String;

    /// Leases up to `limit` due tasks to this instance, except those in
    /// progress.
    fn take_due(
        &self,
        limit: usize,
        in_progress: Vec<String>,
    ) -> impl Future<Output = Result<Vec<Self::Task>, Fault>>;

    /// Renews the leases of the tasks in progress.
    fn extend_leases(&self, in_progress: Vec<String>) -> impl Future<Output = Result<(), Fault>>;

    /// Ends the lease of a task that was taken and will not be run.
    fn release(&self, task: Self::Task) -> impl Future<Output = Result<(), Fault>>;

    /// Runs a task, and records how it ended. Returns the delay until the next
    /// try if there is one.
    fn run(&self, task: Self::Task) -> impl Future<Output = Option<Duration>>;

    /// Called when a shutdown begins: a long task ends at its next step.
    fn begin_shutdown(&self) {}

    /// Closes connections that were idle for too long.
    fn close_idle(&self) -> impl Future<Output = ()> {
        ready(())
    }

    /// Closes all connections before a shutdown.
    fn close(&self) -> impl Future<Output = ()> {
        ready(())
    }
}

/// The address of a loop.
#[derive(Clone)]
pub struct WorkerHandle {
    name: &'static str,
    wake: Recipient<Wake>,
    stop: Recipient<Stop>,
}

impl WorkerHandle {
    /// Starts a loop on its own arbiter, on which `worker` makes what it drives.
    #[must_use]
    pub fn start<W: Worker>(
        worker: impl FnOnce() -> W + Send + 'static,
        settings: WorkerSettings,
    ) -> Self {
        let arbiter = Arbiter::new();
        let worker_loop = WorkerLoop::start_in_arbiter(&arbiter.handle(), move |_context| {
            WorkerLoop::new(worker(), settings)
        });
        Self {
            name: W::NAME,
            wake: worker_loop.clone().recipient(),
            stop: worker_loop.recipient(),
        }
    }

    /// The worker's name.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// Makes the loop look for due tasks. This is a hint: without it the next
    /// poll finds them.
    pub fn wake(&self) {
        let _ = self.wake.try_send(Wake);
    }

    /// Whether the loop is alive.
    #[must_use]
    pub fn is_running(&self) -> bool {
        self.wake.connected()
    }

    /// Takes no more tasks, waits for those in progress, closes connections and ends the
    /// loop and its thread. Returns whether that was done within `limit`; the loop ends when
    /// it is done, also later.
    pub async fn stop(&self, limit: Duration) -> bool {
        let stopped = tokio::time::timeout(limit, self.stop.send(Stop)).await;
        if stopped.is_err() {
            log::warn!(
                "{} worker: shutdown did not wait for all tasks; they are tried again after the \
                 next start",
                self.name
            );
        }
        stopped.is_ok()
    }
}

#[derive(Message)]
#[rtype(result = "()")]
struct Wake;

#[derive(Message)]
#[rtype(result = "()")]
struct Stop;

struct WorkerLoop<W: Worker> {
    worker: Rc<W>,
    settings: WorkerSettings,
    slots: Arc<Semaphore>,
    // The lease says it too, but by a clock that can jump.
    in_progress: InProgress,
    polling: Polling,
    /// Whether tasks may be due that no slot was free for.
    more_due: Rc<Cell<bool>>,
    wake_scheduled: bool,
    stopping: bool,
    outage: bool,
}

/// Whether the database is being asked for due tasks, and whether to ask again
/// after that.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Polling {
    Idle,
    Running,
    RunAgain,
}

impl<W: Worker> Actor for WorkerLoop<W> {
    type Context = Context<Self>;

    fn started(&mut self, context: &mut Context<Self>) {
        context.run_interval(self.settings.poll_every, Self::poll);
        context.run_interval(self.settings.lease / 3, Self::extend_leases);
        context.run_interval(CLOSE_IDLE_EVERY, |this, context| {
            let worker = Rc::clone(&this.worker);
            context.spawn(async move { worker.close_idle().await }.into_actor(this));
        });
        self.poll(context);
    }
}

impl<W: Worker> Handler<Wake> for WorkerLoop<W> {
    type Result = ();

    fn handle(&mut self, _wake: Wake, context: &mut Context<Self>) {
        if self.settings.wake_delay.is_zero() {
            self.poll(context);
        } else if !std::mem::replace(&mut self.wake_scheduled, true) {
            context.run_later(self.settings.wake_delay, |this, context| {
                this.wake_scheduled = false;
                this.poll(context);
            });
        }
    }
}

impl<W: Worker> Handler<Stop> for WorkerLoop<W> {
    type Result = ResponseFuture<()>;

    fn handle(&mut self, _stop: Stop, _context: &mut Context<Self>) -> ResponseFuture<()> {
        self.stopping = true;
        self.worker.begin_shutdown();
        let worker = Rc::clone(&self.worker);
        let slots = Arc::clone(&self.slots);
        let all = u32::try_from(self.settings.concurrency).unwrap_or(u32::MAX);
        Box::pin(async move {
            // Each task in progress holds a slot. The semaphore is never closed.
            let _all = slots.acquire_many(all).await;
            worker.close().await;
            // Ends the thread, which nothing else uses, once this was answered.
            Arbiter::current().stop();
        })
    }
}

impl<W: Worker> WorkerLoop<W> {
    fn new(worker: W, settings: WorkerSettings) -> Self {
        Self {
            worker: Rc::new(worker),
            settings,
            slots: Arc::new(Semaphore::new(settings.concurrency)),
            in_progress: InProgress::default(),
            polling: Polling::Idle,
            more_due: Rc::default(),
            wake_scheduled: false,
            stopping: false,
            outage: false,
        }
    }

    /// Fills the free slots with due tasks.
    fn poll(&mut self, context: &mut Context<Self>) {
        if self.polling != Polling::Idle {
            self.polling = Polling::RunAgain;
            return;
        }
        let limit = self.slots.available_permits();
        // Until it is known that there are not.
        self.more_due.set(true);
        if limit == 0 || self.stopping {
            return;
        }
        // Held while tasks are being taken, so that a stop waits for them.
        let permits = u32::try_from(limit).unwrap_or(u32::MAX);
        let Ok(free_slots) = Arc::clone(&self.slots).try_acquire_many_owned(permits) else {
            return;
        };
        self.polling = Polling::Running;
        let (worker, in_progress) = (Rc::clone(&self.worker), self.in_progress.keys());
        let taking = async move { worker.take_due(limit, in_progress).await };
        context.spawn(taking.into_actor(self).map(move |taken, this, context| {
            let polling = std::mem::replace(&mut this.polling, Polling::Idle);
            let are_all = taken.as_ref().is_ok_and(|tasks| tasks.len() < limit);
            this.more_due.set(!are_all);
            this.start_tasks(taken, free_slots, context);
            if polling == Polling::RunAgain {
                this.poll(context);
            }
        }));
    }

    /// A lease ends when its instance dies, and not because a task takes long.
    fn extend_leases(&mut self, context: &mut Context<Self>) {
        let in_progress = self.in_progress.keys();
        if in_progress.is_empty() {
            return;
        }
        let worker = Rc::clone(&self.worker);
        let extending = async move {
            if let Err(fault) = worker.extend_leases(in_progress).await {
                log::warn!("{} worker: cannot extend leases: {fault}", W::NAME);
            }
        };
        context.spawn(extending.into_actor(self));
    }

    fn start_tasks(
        &mut self,
        taken: Result<Vec<W::Task>, Fault>,
        mut free_slots: OwnedSemaphorePermit,
        context: &mut Context<Self>,
    ) {
        let Some(tasks) = self.note_outage(taken) else {
            return;
        };
        for task in tasks {
            // There is a slot for each: no more were taken than slots were free.
            let Some(slot) = free_slots.split(1) else {
                return;
            };
            let worker = Rc::clone(&self.worker);
            if self.stopping {
                spawn(release(worker, task, slot));
                continue;
            }
            let entry = InProgress::enter(&self.in_progress, W::key(&task));
            let wake = context.address().recipient();
            let more_due = Rc::clone(&self.more_due);
            let run = async move {
                let delay = worker.run(task).await;
                drop(entry);
                drop(slot);
                if more_due.get() {
                    let _ = wake.try_send(Wake);
                }
                if let Some(delay) = delay {
                    tokio::time::sleep(delay).await;
                    let _ = wake.try_send(Wake);
                }
            };
            spawn(run);
        }
    }

    /// The tasks that were taken. An outage of the database is logged once.
    fn note_outage(&mut self, taken: Result<Vec<W::Task>, Fault>) -> Option<Vec<W::Task>> {
        match taken {
            Ok(tasks) => {
                if std::mem::take(&mut self.outage) {
                    log::info!("{} worker: due tasks can be read again", W::NAME);
                }
                Some(tasks)
            }
            Err(Fault::Stopped(_)) => None,
            Err(fault) => {
                if !std::mem::replace(&mut self.outage, true) {
                    log::error!(
                        "{} worker: cannot read due tasks; retrying: {fault}",
                        W::NAME
                    );
                }
                None
            }
        }
    }
}

/// Ends the lease of a task that was taken while the stop came, so that another
/// instance need not wait for the end of the lease.
async fn release<W: Worker>(worker: Rc<W>, task: W::Task, slot: OwnedSemaphorePermit) {
    if let Err(fault) = worker.release(task).await {
        log::warn!(
            "{} worker: cannot release a task; it is tried again when its lease has expired: \
             {fault}",
            W::NAME
        );
    }
    drop(slot);
}

/// Runs a task beside the actor, on the same thread: an actor polls all futures
/// that it holds at each wake.
#[expect(
    clippy::disallowed_methods,
    reason = "the arbiter is the loop's own, and a stop waits for the slots"
)]
fn spawn(task: impl Future<Output = ()> + 'static) {
    actix::spawn(task);
}

/// The keys of the tasks in progress.
#[derive(Clone, Default)]
struct InProgress(Arc<Mutex<HashSet<String>>>);

/// A task in progress, until this is dropped.
struct Entry {
    among: InProgress,
    key: String,
}

impl InProgress {
    fn enter(among: &Self, key: String) -> Entry {
        among.lock().insert(key.clone());
        Entry {
            among: among.clone(),
            key,
        }
    }

    fn keys(&self) -> Vec<String> {
        self.lock().iter().cloned().collect()
    }

    fn lock(&self) -> MutexGuard<'_, HashSet<String>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        self.among.lock().remove(&self.key);
    }
}
