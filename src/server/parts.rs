//! The running parts of a server: one list to watch and to drain.

use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::{BoxFuture, join_all};

use crate::actor::detached::Detached;
use crate::actor::federation::FederationHandle;
use crate::actor::pool::{Pool, State};
use crate::actor::replica_monitor::MonitorHandle;
use crate::actor::worker_loop::WorkerHandle;

/// When a part is drained: a stage only uses parts of later stages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Stage {
    /// Sequences that requests have started.
    Requests,
    /// Background workers.
    Workers,
    /// Calls to homeservers.
    Federation,
    /// Actors that own data.
    Data,
}

impl Stage {
    const ALL: [Self; 4] = [Self::Requests, Self::Workers, Self::Federation, Self::Data];
}

/// A part that must run as long as the server does.
pub(super) trait Part: Send + Sync {
    /// Its name in logs.
    fn name(&self) -> &'static str;

    /// Whether it still works.
    fn is_running(&self) -> bool;

    /// Accepts nothing more and completes what was accepted. Returns whether that
    /// was done within `limit`.
    fn drain(&self, limit: Duration) -> BoxFuture<'_, bool>;
}

impl<S: State> Part for Pool<S> {
    fn name(&self) -> &'static str {
        S::NAME
    }

    fn is_running(&self) -> bool {
        Self::is_running(self)
    }

    fn drain(&self, limit: Duration) -> BoxFuture<'_, bool> {
        Self::drain(self, limit).boxed()
    }
}

impl Part for WorkerHandle {
    fn name(&self) -> &'static str {
        Self::name(self)
    }

    fn is_running(&self) -> bool {
        Self::is_running(self)
    }

    fn drain(&self, limit: Duration) -> BoxFuture<'_, bool> {
        self.stop(limit).boxed()
    }
}

impl Part for MonitorHandle {
    fn name(&self) -> &'static str {
        "monitor of the standby"
    }

    fn is_running(&self) -> bool {
        Self::is_running(self)
    }

    fn drain(&self, limit: Duration) -> BoxFuture<'_, bool> {
        self.stop(limit).boxed()
    }
}

impl Part for FederationHandle {
    fn name(&self) -> &'static str {
        "federation"
    }

    fn is_running(&self) -> bool {
        Self::is_running(self)
    }

    fn drain(&self, limit: Duration) -> BoxFuture<'_, bool> {
        Self::drain(self, limit).boxed()
    }
}

impl Part for Detached {
    fn name(&self) -> &'static str {
        Self::name(self)
    }

    /// It runs on the main arbiter, without which nothing runs.
    fn is_running(&self) -> bool {
        true
    }

    fn drain(&self, limit: Duration) -> BoxFuture<'_, bool> {
        Self::drain(self, limit).boxed()
    }
}

/// All parts of a server.
#[derive(Default)]
pub(super) struct Parts(Vec<(Stage, Box<dyn Part>)>);

impl Parts {
    /// Adds a part. Returns the part itself, for those who use it.
    pub(super) fn add<P: Part + Clone + 'static>(&mut self, stage: Stage, part: P) -> P {
        self.0.push((stage, Box::new(part.clone())));
        part
    }

    /// The name of a part that has stopped by itself, if there is one.
    pub(super) fn stopped(&self) -> Option<&'static str> {
        let stopped = self.0.iter().find(|(_, part)| !part.is_running());
        stopped.map(|(_, part)| part.name())
    }

    /// Drains every part, stage by stage; `left` says how much time is left.
    /// Returns whether everything was completed.
    pub(super) async fn drain(&self, left: impl Fn() -> Duration) -> bool {
        let mut complete = true;
        for stage in Stage::ALL {
            let parts = self.0.iter().filter(|(of, _)| *of == stage);
            let drained = join_all(parts.map(|(_, part)| part.drain(left()))).await;
            complete &= drained.into_iter().all(|drained| drained);
        }
        complete
    }
}
