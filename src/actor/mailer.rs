//! The dispatcher of mail: takes what is due from the outbox and hands it over.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use actix::{
    Actor, ActorFutureExt as _, Addr, Arbiter, AsyncContext as _, Context, Handler, Message,
    ResponseFuture, WrapFuture as _,
};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::courier::Courier;
use super::outbox::{ExtendLeases, Outbox, Settle, Settlement, TakeDue};
use super::pool::{Fault, Pool};
use crate::db::outbox::Queued;

/// How the dispatcher goes about it.
#[derive(Debug, Clone)]
pub struct Pace {
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

struct Mailer {
    courier: Arc<Courier>,
    outbox: Pool<Outbox>,
    pace: Pace,
    slots: Arc<Semaphore>,
    // The lease says it too, but by a clock that can jump.
    in_flight: InFlight,
    looking: Looking,
    stopping: bool,
    outage: bool,
}

/// Whether the outbox is being asked, and whether to ask again after that.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Looking {
    No,
    Once,
    Again,
}

/// The door to the dispatcher.
#[derive(Clone)]
pub struct MailerDoor(Addr<Mailer>);

impl MailerDoor {
    /// Starts the dispatcher on an arbiter of its own.
    #[must_use]
    pub fn start(courier: Courier, outbox: Pool<Outbox>, pace: Pace) -> Self {
        let arbiter = Arbiter::new();
        Self(Mailer::start_in_arbiter(
            &arbiter.handle(),
            move |_context| Mailer {
                slots: Arc::new(Semaphore::new(pace.concurrency)),
                courier: Arc::new(courier),
                outbox,
                pace,
                in_flight: InFlight::default(),
                looking: Looking::No,
                stopping: false,
                outage: false,
            },
        ))
    }

    /// Says that something may be due. A hint: the timer finds it otherwise.
    pub fn wake(&self) {
        let _ = self.0.try_send(Wake);
    }

    /// Whether the dispatcher lives.
    #[must_use]
    pub fn is_running(&self) -> bool {
        self.0.connected()
    }

    /// Takes nothing more, waits for the deliveries that are under way, and says
    /// goodbye to the relay; answers whether all that was within `patience`.
    pub async fn stop(&self, patience: Duration) -> bool {
        let ended = tokio::time::timeout(patience, self.0.send(Stop)).await;
        if ended.is_err() {
            log::warn!(
                "mail was still under way at the stop; what the mail server has not taken is tried again after the next start"
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

impl Actor for Mailer {
    type Context = Context<Self>;

    fn started(&mut self, context: &mut Context<Self>) {
        context.run_interval(self.pace.poll_every, Self::look);
        context.run_interval(self.pace.lease / 3, Self::extend_leases);
        context.run_interval(TIDY_EVERY, |mailer, context| {
            let courier = Arc::clone(&mailer.courier);
            context.spawn(async move { courier.tidy().await }.into_actor(mailer));
        });
        self.look(context);
    }
}

impl Handler<Wake> for Mailer {
    type Result = ();

    fn handle(&mut self, _wake: Wake, context: &mut Context<Self>) {
        self.look(context);
    }
}

impl Handler<Stop> for Mailer {
    type Result = ResponseFuture<()>;

    fn handle(&mut self, _stop: Stop, _context: &mut Context<Self>) -> ResponseFuture<()> {
        self.stopping = true;
        let courier = Arc::clone(&self.courier);
        let slots = Arc::clone(&self.slots);
        let all = u32::try_from(self.pace.concurrency).unwrap_or(u32::MAX);
        Box::pin(async move {
            // Whatever is under way holds a slot. The door is never shut.
            let _all = slots.acquire_many(all).await;
            courier.close().await;
        })
    }
}

impl Mailer {
    /// Fills the free slots with what is due.
    fn look(&mut self, context: &mut Context<Self>) {
        if self.looking != Looking::No {
            self.looking = Looking::Again;
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
        self.looking = Looking::Once;
        let ask = self.take_due(free);
        let looked = ask.into_actor(self).map(|taken, mailer, context| {
            let looked = std::mem::replace(&mut mailer.looking, Looking::No);
            mailer.begin(taken, free_slots, context);
            if looked == Looking::Again {
                mailer.look(context);
            }
        });
        context.spawn(looked);
    }

    fn take_due(&self, free: usize) -> impl Future<Output = Result<Vec<Queued>, Fault>> + use<> {
        let outbox = self.outbox.clone();
        let now = self.courier.now();
        let ask = TakeDue {
            owner: self.courier.instance().to_owned(),
            now,
            lease_until: self.lease_until(),
            limit: i64::try_from(free).unwrap_or(i64::MAX),
            in_flight: all(&self.in_flight).iter().cloned().collect(),
        };
        async move { outbox.ask(ask).await }
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
            if let Err(fault) = outbox.ask(ask).await {
                log::warn!("the leases of mail under way could not be extended: {fault}");
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
        taken: Result<Vec<Queued>, Fault>,
        mut free: OwnedSemaphorePermit,
        context: &mut Context<Self>,
    ) {
        let due = match taken {
            Ok(due) => due,
            Err(Fault::Stopped(_)) => return,
            Err(fault) => {
                if !std::mem::replace(&mut self.outage, true) {
                    log::error!("the delivery queue cannot be read, trying again: {fault}");
                }
                return;
            }
        };
        if std::mem::take(&mut self.outage) {
            log::info!("the delivery queue can be read again");
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
            let courier = Arc::clone(&self.courier);
            let wake_up = context.address();
            let flight = Flight::begin(&self.in_flight, &message.id);
            Arbiter::current().spawn(async move {
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
    fn put_back(&self, message: Queued, slot: OwnedSemaphorePermit) {
        let outbox = self.outbox.clone();
        let settlement = Settlement::Postponed(self.courier.now());
        Arbiter::current().spawn(async move {
            let put_back = outbox.ask(Settle {
                message,
                settlement,
            });
            if let Err(fault) = put_back.await {
                log::warn!("a mail could not be put back; it is tried again later: {fault}");
            }
            drop(slot);
        });
    }
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
