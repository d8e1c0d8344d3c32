//! Dispatchers: each takes what is due of its kinds from the outbox and lets its
//! courier deliver it. Mails, texts and notifications have one each, so that
//! none waits for another.

use std::collections::HashSet;
use std::rc::Rc;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use actix::{
    Actor, ActorFutureExt as _, Arbiter, AsyncContext as _, Context, Handler, Message, Recipient,
    ResponseFuture, WrapFuture as _,
};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::outbox::{ExtendLeases, Outbox, Settle, Settlement, TakeDue};
use super::pool::{Fault, Pool};
use crate::db::outbox::QueuedMessage;

/// How the dispatcher goes about it.
#[derive(Debug, Clone)]
pub struct WorkerSettings {
    /// Messages in delivery at once.
    pub concurrency: usize,
    /// How long a message that was taken stays with this instance, unless it
    /// says that it still delivers it.
    pub lease: Duration,
    /// How often it looks even if nothing wakes it.
    pub poll_every: Duration,
}

/// How often idle connections are looked through.
const TIDY_EVERY: Duration = Duration::from_secs(10);

/// Delivers messages of some kinds. It lives on its dispatcher's own arbiter.
pub trait DeliveryWorker: 'static {
    /// What it delivers, for people who read the log.
    const NAME: &'static str;
    /// The kinds of queued messages that it delivers.
    const KINDS: &'static [&'static str];

    /// The name of this instance among those that share the database.
    fn instance(&self) -> &str;

    /// Now, ms.
    fn now(&self) -> i64;

    /// Tries once and settles; answers the pause until the next try, if there is
    /// one.
    fn deliver(&self, message: QueuedMessage) -> impl Future<Output = Option<Duration>>;

    /// Lets connections go that were idle for too long.
    fn tidy(&self) -> impl Future<Output = ()> {
        std::future::ready(())
    }

    /// Says goodbye before a stop.
    fn close(&self) -> impl Future<Output = ()> {
        std::future::ready(())
    }
}

struct WorkerLoop<C: DeliveryWorker> {
    courier: Rc<C>,
    outbox: Pool<Outbox>,
    pace: WorkerSettings,
    slots: Arc<Semaphore>,
    // The lease says it too, but by a clock that can jump.
    in_flight: InFlight,
    looking: Polling,
    stopping: bool,
    outage: bool,
}

/// Whether the outbox is being asked, and whether to ask again after that.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Polling {
    No,
    Once,
    Again,
}

/// The door to a dispatcher.
#[derive(Clone)]
pub struct WorkerHandle {
    name: &'static str,
    wake: Recipient<Wake>,
    stop: Recipient<Stop>,
}

impl WorkerHandle {
    /// Starts a dispatcher on an arbiter of its own, where `courier` makes what
    /// delivers: it may hold what must not leave its thread.
    #[must_use]
    pub fn start<C: DeliveryWorker>(
        courier: impl FnOnce() -> C + Send + 'static,
        outbox: Pool<Outbox>,
        pace: WorkerSettings,
    ) -> Self {
        let arbiter = Arbiter::new();
        let dispatcher = WorkerLoop::start_in_arbiter(&arbiter.handle(), move |_context| {
            let slots = Arc::new(Semaphore::new(pace.concurrency));
            WorkerLoop {
                courier: Rc::new(courier()),
                outbox,
                pace,
                slots,
                in_flight: InFlight::default(),
                looking: Polling::No,
                stopping: false,
                outage: false,
            }
        });
        Self {
            name: C::NAME,
            wake: dispatcher.clone().recipient(),
            stop: dispatcher.recipient(),
        }
    }

    /// What it delivers.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// Says that something may be due. A hint: the timer finds it otherwise.
    pub fn wake(&self) {
        let _ = self.wake.try_send(Wake);
    }

    /// Whether the dispatcher lives.
    #[must_use]
    pub fn is_running(&self) -> bool {
        self.wake.connected()
    }

    /// Takes nothing more, waits for the deliveries that are under way, and lets
    /// the courier say goodbye; answers whether all that was within `patience`.
    pub async fn stop(&self, patience: Duration) -> bool {
        let ended = tokio::time::timeout(patience, self.stop.send(Stop)).await;
        if ended.is_err() {
            log::warn!(
                "{} was still under way at the stop; what was not taken is tried again after the next start",
                self.name
            );
        }
        ended.is_ok()
    }
}

#[derive(Message)]
#[rtype(result = "()")]
struct Wake;

#[derive(Message)]
#[rtype(result = "()")]
struct Stop;

impl<C: DeliveryWorker> Actor for WorkerLoop<C> {
    type Context = Context<Self>;

    fn started(&mut self, context: &mut Context<Self>) {
        context.run_interval(self.pace.poll_every, Self::look);
        context.run_interval(self.pace.lease / 3, Self::extend_leases);
        context.run_interval(TIDY_EVERY, |dispatcher, context| {
            let courier = Rc::clone(&dispatcher.courier);
            context.spawn(async move { courier.tidy().await }.into_actor(dispatcher));
        });
        self.look(context);
    }
}

impl<C: DeliveryWorker> Handler<Wake> for WorkerLoop<C> {
    type Result = ();

    fn handle(&mut self, _wake: Wake, context: &mut Context<Self>) {
        self.look(context);
    }
}

impl<C: DeliveryWorker> Handler<Stop> for WorkerLoop<C> {
    type Result = ResponseFuture<()>;

    fn handle(&mut self, _stop: Stop, _context: &mut Context<Self>) -> ResponseFuture<()> {
        self.stopping = true;
        let courier = Rc::clone(&self.courier);
        let slots = Arc::clone(&self.slots);
        let all = u32::try_from(self.pace.concurrency).unwrap_or(u32::MAX);
        Box::pin(async move {
            // Whatever is under way holds a slot. The door is never shut.
            let _all = slots.acquire_many(all).await;
            courier.close().await;
        })
    }
}

impl<C: DeliveryWorker> WorkerLoop<C> {
    /// Fills the free slots with what is due.
    fn look(&mut self, context: &mut Context<Self>) {
        if self.looking != Polling::No {
            self.looking = Polling::Again;
            return;
        }
        let free = self.slots.available_permits();
        if free == 0 || self.stopping {
            return;
        }
        // Held while it looks, so that a stop waits for what is being taken.
        let all = u32::try_from(free).unwrap_or(u32::MAX);
        let Ok(free_slots) = Arc::clone(&self.slots).try_acquire_many_owned(all) else {
            return;
        };
        self.looking = Polling::Once;
        let ask = self.take_due(free);
        let looked = ask.into_actor(self).map(|taken, dispatcher, context| {
            let looked = std::mem::replace(&mut dispatcher.looking, Polling::No);
            dispatcher.begin(taken, free_slots, context);
            if looked == Polling::Again {
                dispatcher.look(context);
            }
        });
        context.spawn(looked);
    }

    fn take_due(
        &self,
        free: usize,
    ) -> impl Future<Output = Result<Vec<QueuedMessage>, Fault>> + use<C> {
        let outbox = self.outbox.clone();
        let now = self.courier.now();
        let ask = TakeDue {
            owner: self.courier.instance().to_owned(),
            kinds: C::KINDS,
            now,
            lease_until: self.lease_until(),
            limit: i64::try_from(free).unwrap_or(i64::MAX),
            in_flight: all(&self.in_flight).iter().cloned().collect(),
        };
        async move { outbox.send(ask).await }
    }

    /// Keeps what takes longer than a lease: a lease ends with the life of its
    /// owner, not with the patience of others.
    fn extend_leases(&mut self, context: &mut Context<Self>) {
        let in_flight: Vec<String> = all(&self.in_flight).iter().cloned().collect();
        if in_flight.is_empty() {
            return;
        }
        let outbox = self.outbox.clone();
        let ask = ExtendLeases {
            owner: self.courier.instance().to_owned(),
            in_flight,
            lease_until: self.lease_until(),
        };
        let extended = async move {
            if let Err(fault) = outbox.send(ask).await {
                log::warn!(
                    "the leases of {} under way could not be extended: {fault}",
                    C::NAME
                );
            }
        };
        context.spawn(extended.into_actor(self));
    }

    fn lease_until(&self) -> i64 {
        let lease_ms = i64::try_from(self.pace.lease.as_millis()).unwrap_or(i64::MAX);
        self.courier.now().saturating_add(lease_ms)
    }

    fn begin(
        &mut self,
        taken: Result<Vec<QueuedMessage>, Fault>,
        mut free: OwnedSemaphorePermit,
        context: &mut Context<Self>,
    ) {
        let due = match taken {
            Ok(due) => due,
            Err(Fault::Stopped(_)) => return,
            Err(fault) => {
                if !std::mem::replace(&mut self.outage, true) {
                    log::error!(
                        "the delivery queue cannot be read for {}, trying again: {fault}",
                        C::NAME
                    );
                }
                return;
            }
        };
        if std::mem::take(&mut self.outage) {
            log::info!("the delivery queue can be read again for {}", C::NAME);
        }
        for message in due {
            // There is a slot for each: no more were asked for than were free.
            let Some(slot) = free.split(1) else {
                return;
            };
            if self.stopping {
                self.put_back(message, slot);
                continue;
            }
            let courier = Rc::clone(&self.courier);
            let wake_up = context.address();
            let flight = Flight::begin(&self.in_flight, &message.id);
            spawn(async move {
                let pause = courier.deliver(message).await;
                drop(flight);
                drop(slot);
                let _ = wake_up.try_send(Wake);
                if let Some(pause) = pause {
                    tokio::time::sleep(pause).await;
                    let _ = wake_up.try_send(Wake);
                }
            });
        }
    }

    /// Gives a message up that was taken while the stop came, so that it need
    /// not wait for the end of its lease.
    fn put_back(&self, message: QueuedMessage, slot: OwnedSemaphorePermit) {
        let outbox = self.outbox.clone();
        let settlement = Settlement::Postponed(self.courier.now());
        Arbiter::current().spawn(async move {
            let put_back = outbox.send(Settle {
                message,
                settlement,
            });
            if let Err(fault) = put_back.await {
                log::warn!(
                    "{} could not be put back; it is tried again later: {fault}",
                    C::NAME
                );
            }
            drop(slot);
        });
    }
}

/// Runs a delivery beside the actor, on the same thread: futures that an actor
/// holds are all polled at each wake.
#[expect(
    clippy::disallowed_methods,
    reason = "the arbiter is the dispatcher's own, and a stop waits for the slots"
)]
fn spawn(delivery: impl Future<Output = ()> + 'static) {
    actix::spawn(delivery);
}

/// The messages that are being delivered.
type InFlight = Arc<Mutex<HashSet<String>>>;

fn all(in_flight: &InFlight) -> MutexGuard<'_, HashSet<String>> {
    in_flight.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A message that is being delivered, until this goes out of scope.
struct Flight {
    among: InFlight,
    id: String,
}

impl Flight {
    fn begin(among: &InFlight, id: &str) -> Self {
        all(among).insert(id.to_owned());
        Self {
            among: Arc::clone(among),
            id: id.to_owned(),
        }
    }
}

impl Drop for Flight {
    fn drop(&mut self) {
        all(&self.among).remove(&self.id);
    }
}
