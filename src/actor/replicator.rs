//! Tells other identity servers of what changes here (INT-03). Each peer is
//! pushed to on its own, so that none waits for another.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use actix::{
    Actor, ActorFutureExt as _, Addr, Arbiter, AsyncContext as _, Context, Handler, Message,
    Recipient, ResponseFuture, WrapFuture as _,
};
use tokio::sync::Semaphore;

use super::associations::Associations;
use super::message_worker::millis;
use super::peers::{AddPeers, DuePeers};
use super::pool::{Fault, Pool};
use super::pusher::Pusher;
use crate::federation::PeerClient;

/// How long it waits for more after a change: a burst is sent together.
const FOR_MORE: Duration = Duration::from_millis(200);

/// A peer that is pushed to.
struct Peer {
    name: String,
    client: PeerClient,
    pushing: Cell<bool>,
}

struct Replicator {
    pusher: Rc<Pusher>,
    associations: Pool<Associations>,
    peers: Vec<Rc<Peer>>,
    push_every: Duration,
    // Whatever is under way holds one.
    places: Arc<Semaphore>,
    known: Rc<Cell<bool>>,
    looking: bool,
    soon: bool,
    outage: bool,
}

/// The door to it.
#[derive(Clone)]
pub struct ReplicatorHandle {
    wake: Recipient<Wake>,
    stop: Recipient<Stop>,
}

impl ReplicatorHandle {
    /// Starts it on an arbiter of its own, for peers with their names.
    #[must_use]
    pub fn start(pusher: Pusher, peers: Vec<(String, PeerClient)>, push_every: Duration) -> Self {
        let arbiter = Arbiter::new();
        let replicator: Addr<Replicator> =
            Replicator::start_in_arbiter(&arbiter.handle(), move |_context| {
                let peers = peers.into_iter().map(|(name, client)| {
                    Rc::new(Peer {
                        name,
                        client,
                        pushing: Cell::new(false),
                    })
                });
                let peers: Vec<_> = peers.collect();
                Replicator {
                    // One for each, and one for looking.
                    places: Arc::new(Semaphore::new(peers.len() + 1)),
                    associations: pusher.associations.clone(),
                    pusher: Rc::new(pusher),
                    peers,
                    push_every,
                    known: Rc::default(),
                    looking: false,
                    soon: false,
                    outage: false,
                }
            });
        Self {
            wake: replicator.clone().recipient(),
            stop: replicator.recipient(),
        }
    }

    /// Says that something has changed. A hint: the timer finds it otherwise.
    pub fn wake(&self) {
        let _ = self.wake.try_send(Wake);
    }

    /// Whether it lives.
    #[must_use]
    pub fn is_running(&self) -> bool {
        self.wake.connected()
    }

    /// Begins no more pushes and waits for those that are under way; answers
    /// whether they ended within `patience`. What was not finished then is
    /// pushed again later.
    pub async fn stop(&self, patience: Duration) -> bool {
        let ended = tokio::time::timeout(patience, self.stop.send(Stop)).await;
        if ended.is_err() {
            log::warn!("a push was still under way at the stop; it is made again later");
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

impl Actor for Replicator {
    type Context = Context<Self>;

    fn started(&mut self, context: &mut Context<Self>) {
        context.run_interval(self.push_every, Self::look);
        self.look(context);
    }
}

impl Handler<Wake> for Replicator {
    type Result = ();

    fn handle(&mut self, _wake: Wake, context: &mut Context<Self>) {
        if !std::mem::replace(&mut self.soon, true) {
            context.run_later(FOR_MORE, |replicator, context| {
                replicator.soon = false;
                replicator.look(context);
            });
        }
    }
}

impl Handler<Stop> for Replicator {
    type Result = ResponseFuture<()>;

    fn handle(&mut self, _stop: Stop, _context: &mut Context<Self>) -> ResponseFuture<()> {
        self.pusher.stop();
        let places = Arc::clone(&self.places);
        let all = u32::try_from(self.peers.len() + 1).unwrap_or(u32::MAX);
        Box::pin(async move {
            // The door is never shut.
            let _all = places.acquire_many(all).await;
        })
    }
}

impl Replicator {
    /// Begins a push to each peer that must hear of something and is not being
    /// pushed to.
    fn look(&mut self, context: &mut Context<Self>) {
        if self.looking {
            // What changed since is found after that.
            let _ = context.address().try_send(Wake);
            return;
        }
        if self.pusher.is_stopping() {
            return;
        }
        let Ok(place) = Arc::clone(&self.places).try_acquire_owned() else {
            return;
        };
        self.looking = true;
        let looked = self.due().into_actor(self).map(|due, replicator, context| {
            replicator.looking = false;
            drop(place);
            match due {
                Ok(due) => replicator.begin(&due, context),
                Err(Fault::Stopped(_)) => {}
                Err(fault) => {
                    if !std::mem::replace(&mut replicator.outage, true) {
                        log::error!(
                            "what peers must hear of cannot be read, trying again: {fault}"
                        );
                    }
                }
            }
        });
        context.spawn(looked);
    }

    fn due(&self) -> impl Future<Output = Result<Vec<String>, Fault>> + use<> {
        let (associations, known) = (self.associations.clone(), Rc::clone(&self.known));
        let idle = self.peers.iter().filter(|peer| !peer.pushing.get());
        let names: Vec<String> = idle.map(|peer| peer.name.clone()).collect();
        let all: Vec<String> = self.peers.iter().map(|peer| peer.name.clone()).collect();
        let now = self.pusher.now();
        async move {
            if !known.get() {
                associations.send(AddPeers { names: all }).await?;
                known.set(true);
            }
            associations.send(DuePeers { names, now }).await
        }
    }

    fn begin(&mut self, due: &[String], context: &mut Context<Self>) {
        if std::mem::take(&mut self.outage) {
            log::info!("what peers must hear of can be read again");
        }
        for peer in self.peers.iter().filter(|peer| due.contains(&peer.name)) {
            if self.pusher.is_stopping() || peer.pushing.replace(true) {
                continue;
            }
            let Ok(place) = Arc::clone(&self.places).try_acquire_owned() else {
                peer.pushing.set(false);
                continue;
            };
            let (peer, pusher) = (Rc::clone(peer), Rc::clone(&self.pusher));
            let wake_up = context.address();
            spawn(async move {
                let pause = pusher.push_all(&peer.name, &peer.client).await;
                peer.pushing.set(false);
                drop(place);
                if let Some(pause) = pause {
                    tokio::time::sleep(millis(pause)).await;
                }
                let _ = wake_up.try_send(Wake);
            });
        }
    }
}

/// Runs a push beside the actor, on the same thread: futures that an actor holds
/// are all polled at each wake.
#[expect(
    clippy::disallowed_methods,
    reason = "the arbiter is the replicator's own, and a stop waits for the places"
)]
fn spawn(push: impl Future<Output = ()> + 'static) {
    actix::spawn(push);
}
