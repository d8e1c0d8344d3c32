//! The janitor: it removes what is no longer needed, and rotates an old pepper.

use std::sync::Arc;
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
use crate::metrics::Metrics;

/// Removes old sessions, used-up send limits and expired messages, and rotates
/// an old pepper: at start and then at intervals.
pub struct Janitor {
    /// The sessions actor.
    pub sessions: Pool<Sessions>,
    /// The clock.
    pub clock: Clock,
    /// How long sessions are kept, ms.
    pub keep_sessions_ms: i64,
    /// The interval.
    pub every: Duration,
    /// The outbox actor.
    pub outbox: Pool<Outbox>,
    /// The associations actor.
    pub associations: Pool<Associations>,
    /// Where dropped messages are counted.
    pub metrics: Arc<Metrics>,
    /// The age at which the pepper is rotated, ms; `None` for never.
    pub max_pepper_age_ms: Option<i64>,
}

impl Actor for Janitor {
    type Context = Context<Self>;

    fn started(&mut self, context: &mut Context<Self>) {
        self.work(context);
        context.run_interval(self.every, |janitor, context| janitor.work(context));
    }
}

/// Stops the janitor. Operations that it queued and that have not started do not
/// run.
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
        let Some(age) = self.max_pepper_age_ms else {
            return;
        };
        let (associations, now) = (self.associations.clone(), self.clock.now().as_i64());
        let work = async move {
            let pepper = match fresh_pepper() {
                Ok(pepper) => pepper,
                Err(error) => return log::warn!("cannot rotate the pepper: {error}"),
            };
            let rotate = RotatePepper {
                pepper,
                if_before: Some(now.saturating_sub(age)),
                now,
            };
            match associations.send(rotate).await {
                Ok(None) => {}
                Ok(Some(hashed)) => log::info!(hashed; "pepper rotated"),
                Err(Fault::TimedOut(_)) => {
                    log::info!("pepper rotation is still running");
                }
                Err(fault) => log::warn!("cannot rotate the pepper: {fault}"),
            }
        };
        context.spawn(work.into_actor(self));
    }

    /// A worker drops messages that expire while it delivers them. Messages of a
    /// kind that is no longer configured have no worker, and would be kept forever.
    fn drop_expired(&self, context: &mut Context<Self>) {
        let (outbox, now) = (self.outbox.clone(), self.clock.now());
        let metrics = Arc::clone(&self.metrics);
        let work = async move {
            match outbox.send(DropExpired { now }).await {
                Ok(0) => {}
                Ok(dropped) => {
                    let count = u64::try_from(dropped).unwrap_or(u64::MAX);
                    metrics.dropped_by("unknown", "expired", count);
                    log::warn!(dropped; "expired messages dropped");
                }
                Err(fault) => log::warn!("cannot drop expired messages: {fault}"),
            }
        };
        context.spawn(work.into_actor(self));
    }

    fn purge(&self, context: &mut Context<Self>) {
        let sessions = self.sessions.clone();
        let now = self.clock.now().as_i64();
        let before = now.saturating_sub(self.keep_sessions_ms);
        let work = async move {
            match purged(&sessions, before, now).await {
                Ok(0) => {}
                Ok(removed) => log::info!(removed; "old validation sessions removed"),
                Err(fault) => log::warn!("cannot remove old validation sessions: {fault}"),
            }
        };
        context.spawn(work.into_actor(self));
    }
}

async fn purged(sessions: &Pool<Sessions>, before: i64, now: i64) -> Result<usize, Fault> {
    while sessions.send(PurgeLimits { now }).await? {}
    sessions.send(PurgeSessions { before }).await
}
