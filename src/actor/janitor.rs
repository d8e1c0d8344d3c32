//! Clears away what is no longer needed, and renews what has grown old.

use std::time::Duration;

use actix::{
    Actor, ActorContext as _, AsyncContext as _, Context, Handler, Message, WrapFuture as _,
};

use super::associations::Associations;
use super::outbox::{DropExpired, Outbox};
use super::pool::{Fault, Pool};
use super::rotation::{RotatePepper, fresh_pepper};
use super::sessions::{PurgeLimits, PurgeSessions, Sessions};
use crate::clock::Clock;

/// Removes sessions that ended long ago and messages that nobody delivered in
/// time, and replaces an old pepper, at the start and then at intervals.
pub struct Janitor {
    /// Whom to ask.
    pub sessions: Pool<Sessions>,
    /// The time.
    pub clock: Clock,
    /// How old a session must be, ms.
    pub keep_ms: i64,
    /// How often to look.
    pub every: Duration,
    /// The delivery queue.
    pub outbox: Pool<Outbox>,
    /// Who hashes the associations.
    pub associations: Pool<Associations>,
    /// How old a pepper becomes, ms; `None` when it stays.
    pub pepper_age_ms: Option<i64>,
}

impl Actor for Janitor {
    type Context = Context<Self>;

    fn started(&mut self, context: &mut Context<Self>) {
        self.work(context);
        context.run_interval(self.every, |janitor, context| janitor.work(context));
    }
}

/// Ends the janitor. What it asked and nobody has begun is not begun any more.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Stop;

impl Handler<Stop> for Janitor {
    type Result = ();

    fn handle(&mut self, _stop: Stop, context: &mut Context<Self>) {
        context.stop();
    }
}

impl Janitor {
    fn work(&self, context: &mut Context<Self>) {
        self.purge(context);
        self.drop_expired(context);
        self.rotate(context);
    }

    fn rotate(&self, context: &mut Context<Self>) {
        let Some(age) = self.pepper_age_ms else {
            return;
        };
        let (associations, now) = (self.associations.clone(), self.clock.now());
        let work = async move {
            let pepper = match fresh_pepper() {
                Ok(pepper) => pepper,
                Err(error) => return log::warn!("the pepper could not be replaced: {error}"),
            };
            let rotate = RotatePepper {
                pepper,
                if_before: Some(now.saturating_sub(age)),
                now,
            };
            match associations.send(rotate).await {
                Ok(None) => {}
                Ok(Some(hashed)) => log::info!(hashed; "the pepper of look-ups was replaced"),
                Err(Fault::TimedOut(_)) => {
                    log::info!("the pepper of look-ups is being replaced, which takes its time");
                }
                Err(fault) => log::warn!("the pepper could not be replaced: {fault}"),
            }
        };
        context.spawn(work.into_actor(self));
    }

    /// A dispatcher drops what expires in its hands. What is of a kind that this
    /// server delivers no more has none, and would stay with all that it says.
    fn drop_expired(&self, context: &mut Context<Self>) {
        let (outbox, now) = (self.outbox.clone(), self.clock.now());
        let work = async move {
            match outbox.send(DropExpired { now }).await {
                Ok(0) => {}
                Ok(dropped) => {
                    log::warn!(dropped; "messages dropped that nobody delivered in time");
                }
                Err(fault) => log::warn!("expired messages could not be dropped: {fault}"),
            }
        };
        context.spawn(work.into_actor(self));
    }

    fn purge(&self, context: &mut Context<Self>) {
        let sessions = self.sessions.clone();
        let now = self.clock.now();
        let before = now.saturating_sub(self.keep_ms);
        let work = async move {
            match purged(&sessions, before, now).await {
                Ok(0) => {}
                Ok(removed) => log::info!(removed; "old validation sessions removed"),
                Err(fault) => log::warn!("old validation sessions could not be removed: {fault}"),
            }
        };
        context.spawn(work.into_actor(self));
    }
}

async fn purged(sessions: &Pool<Sessions>, before: i64, now: i64) -> Result<usize, Fault> {
    while sessions.send(PurgeLimits { now }).await? {}
    sessions.send(PurgeSessions { before }).await
}
