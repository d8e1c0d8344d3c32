//! Clears away what is no longer needed.

use std::time::Duration;

use actix::{
    Actor, ActorContext as _, AsyncContext as _, Context, Handler, Message, WrapFuture as _,
};

use super::pool::{Fault, Pool};
use super::sessions::{PurgeLimits, PurgeSessions, Sessions};
use crate::clock::Clock;

/// Removes sessions that ended long ago, at the start and then at intervals.
pub struct Janitor {
    /// Whom to ask.
    pub sessions: Pool<Sessions>,
    /// The time.
    pub clock: Clock,
    /// How old a session must be, ms.
    pub keep_ms: i64,
    /// How often to look.
    pub every: Duration,
}

impl Actor for Janitor {
    type Context = Context<Self>;

    fn started(&mut self, context: &mut Context<Self>) {
        self.purge(context);
        context.run_interval(self.every, |janitor, context| janitor.purge(context));
    }
}

/// Ends the janitor. What it asked and nobody has begun is not begun any more.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Rest;

impl Handler<Rest> for Janitor {
    type Result = ();

    fn handle(&mut self, _rest: Rest, context: &mut Context<Self>) {
        context.stop();
    }
}

impl Janitor {
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
    while sessions.ask(PurgeLimits { now }).await? {}
    sessions.ask(PurgeSessions { before }).await
}
