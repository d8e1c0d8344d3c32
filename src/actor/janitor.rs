//! The janitor: it removes what was kept long enough, and rotates an old pepper.

use std::sync::Arc;
use std::time::Duration;

use actix::{
    Actor, ActorContext as _, AsyncContext as _, Context, Handler, Message, WrapFuture as _,
};

use super::cleaner::Cleaner;
use super::outbox::{DropExpired, Outbox};
use super::pool::{Fault, Pool};
use super::rotation::{RotatePepper, RotationStart, RotationStep, fresh_pepper};

/// Removes what was kept long enough, and rotates an old pepper: at start and then at
/// intervals.
pub struct Janitor {
    /// The interval.
    pub every: Duration,
    /// The age at which the pepper is rotated, ms; `None` for never.
    pub max_pepper_age_ms: Option<i64>,
    /// The outbox actor.
    pub outbox: Pool<Outbox>,
    /// Removes rows.
    pub cleaner: Cleaner,
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
        let cleaner = self.cleaner.clone();
        context.spawn(async move { cleaner.clean().await }.into_actor(self));
        self.drop_expired(context);
        let (cleaner, max_age_ms) = (self.cleaner.clone(), self.max_pepper_age_ms);
        context.spawn(async move { rotate(&cleaner, max_age_ms).await }.into_actor(self));
    }

    /// A worker drops messages that expire while it delivers them. Messages of a
    /// kind that is no longer configured have no worker, and would be kept forever.
    fn drop_expired(&self, context: &mut Context<Self>) {
        let (outbox, now) = (self.outbox.clone(), self.cleaner.clock.now());
        let metrics = Arc::clone(&self.cleaner.metrics);
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
}

/// Rotates an old pepper, or goes on with a rotation that was interrupted. Each step is
/// one short transaction.
async fn rotate(cleaner: &Cleaner, max_age_ms: Option<i64>) {
    let mut hashed = 0;
    loop {
        let pepper = match fresh_pepper() {
            Ok(pepper) => pepper,
            Err(error) => return log::warn!("cannot rotate the pepper: {error}"),
        };
        let now = cleaner.clock.now().as_i64();
        let start = max_age_ms.map_or(RotationStart::Never, |age| {
            RotationStart::IfOlderThan(now.saturating_sub(age))
        });
        let step = RotatePepper { pepper, start, now };
        match cleaner.associations.send(step).await {
            Ok(RotationStep::Hashed(count)) => hashed += count,
            Ok(RotationStep::Finished(count)) => {
                hashed += count;
                return log::info!(hashed; "pepper rotated");
            }
            Ok(RotationStep::Idle) | Err(Fault::Stopped(_)) => return,
            Err(fault) => return log::warn!("cannot rotate the pepper: {fault}"),
        }
    }
}
