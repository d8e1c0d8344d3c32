//! What a connection waits for: its client, or this server.
//!
//! The listener sets deadlines by it, and closes connections that wait for their
//! client when it has too many. Handlers do not use it: a request is marked around
//! the whole application, and a body where it is read.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Waker};
use std::time::Instant;

use actix_web::HttpRequest;

/// The state of one connection. Clones share it.
#[derive(Debug, Clone)]
pub struct Connection {
    inner: Arc<Mutex<Inner>>,
    is_public: bool,
}

#[derive(Debug)]
struct Inner {
    phase: Phase,
    since: Instant,
    /// Whether the request has a body that is not read to its end. Bytes that arrive then
    /// are its.
    has_body: bool,
    is_closing: bool,
    waker: Option<Waker>,
}

/// What a connection waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// The first request, since the connection was accepted.
    FirstHead,
    /// The next request, of which no byte has arrived.
    Idle,
    /// The rest of the head of a request.
    Head,
    /// The turn of a request among others of its client.
    Queued,
    /// The handler of a request.
    Working,
    /// More of the body that a handler reads.
    Body,
}

/// A request in work; the connection is idle again when this is dropped.
#[derive(Debug)]
pub struct InWork(Connection);

/// A request that waits for its turn; the handler works when this is dropped.
#[derive(Debug)]
pub(super) struct Queued(Connection);

/// A body that is being read; the handler works again when this is dropped.
#[derive(Debug)]
pub(super) struct ReadingBody(Connection);

impl Connection {
    /// A connection that was accepted just now. The limits for strangers hold on a
    /// public listener only.
    #[must_use]
    pub fn new(is_public: bool) -> Self {
        Self {
            inner: Arc::new(Mutex::new(Inner {
                phase: Phase::FirstHead,
                since: Instant::now(),
                has_body: false,
                is_closing: false,
                waker: None,
            })),
            is_public,
        }
    }

    /// The connection of a request; `None` in unit tests, which have none.
    pub(super) fn of(request: &HttpRequest) -> Option<&Self> {
        request.conn_data::<Self>()
    }

    /// Whether strangers use the listener.
    #[must_use]
    pub fn is_public(&self) -> bool {
        self.is_public
    }

    /// What it waits for, and since when.
    #[must_use]
    pub fn phase(&self) -> (Phase, Instant) {
        let inner = self.lock();
        (inner.phase, inner.since)
    }

    /// Since when it waits for its client; `None` while a handler works.
    #[must_use]
    pub fn waiting_since(&self) -> Option<Instant> {
        let (phase, since) = self.phase();
        (!matches!(phase, Phase::Working | Phase::Queued)).then_some(since)
    }

    /// A byte has arrived: an idle connection waits for the rest of a head.
    pub fn received(&self) {
        let mut inner = self.lock();
        if inner.phase == Phase::Idle && !inner.has_body {
            inner.set(Phase::Head);
        }
    }

    /// The response is with the client: only now does an idle time begin.
    pub fn sent(&self) {
        let mut inner = self.lock();
        if inner.phase == Phase::Idle {
            inner.set(Phase::Idle);
        }
    }

    /// A request has arrived. It is no longer too late for it: a connection that was
    /// chosen to be closed stays open.
    #[must_use]
    pub fn request(&self, has_body: bool) -> InWork {
        let mut inner = self.lock();
        inner.set(Phase::Working);
        inner.has_body = has_body;
        inner.is_closing = false;
        InWork(self.clone())
    }

    /// The request waits for its turn. Little more is read meanwhile.
    pub(super) fn queued(&self) -> Queued {
        self.lock().set(Phase::Queued);
        Queued(self.clone())
    }

    /// The handler waits for the body.
    pub(super) fn reading_body(&self) -> ReadingBody {
        self.lock().set(Phase::Body);
        ReadingBody(self.clone())
    }

    /// Closes it, unless a request arrives first.
    pub fn close(&self) {
        self.change(|inner| inner.is_closing = true);
    }

    /// Changes the state, and wakes the connection.
    fn change(&self, change: impl FnOnce(&mut Inner)) {
        let waker = {
            let mut inner = self.lock();
            change(&mut inner);
            inner.waker.take()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Whether it is to be closed. Otherwise `context` is woken when it is.
    #[must_use]
    pub fn is_closing(&self, context: &Context<'_>) -> bool {
        let mut inner = self.lock();
        match &mut inner.waker {
            Some(waker) => waker.clone_from(context.waker()),
            none => *none = Some(context.waker().clone()),
        }
        inner.is_closing
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ReadingBody {
    /// All of the body was read.
    pub(super) fn complete(self) {
        self.0.lock().has_body = false;
    }
}

impl Inner {
    fn set(&mut self, phase: Phase) {
        self.phase = phase;
        self.since = Instant::now();
    }
}

impl Drop for InWork {
    fn drop(&mut self) {
        self.0.lock().set(Phase::Idle);
    }
}

impl Drop for Queued {
    fn drop(&mut self) {
        self.0.change(|inner| inner.set(Phase::Working));
    }
}

impl Drop for ReadingBody {
    fn drop(&mut self) {
        let mut inner = self.0.lock();
        if inner.phase == Phase::Body {
            inner.set(Phase::Working);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn phases_follow_a_request() {
        let connection = Connection::new(true);
        let phase = || connection.phase().0;
        connection.received();
        // The first head has one deadline, from the accept.
        assert_eq!(phase(), Phase::FirstHead);
        let request = connection.request(false);
        assert_eq!(
            (phase(), connection.waiting_since()),
            (Phase::Working, None)
        );
        let queued = connection.queued();
        assert_eq!((phase(), connection.waiting_since()), (Phase::Queued, None));
        drop(queued);
        assert_eq!(phase(), Phase::Working);
        let body = connection.reading_body();
        assert!(connection.waiting_since().is_some());
        drop(body);
        assert_eq!(phase(), Phase::Working);
        drop(request);
        assert_eq!(phase(), Phase::Idle);
        connection.received();
        assert_eq!(phase(), Phase::Head);
    }

    #[test]
    fn rest_of_a_body_is_no_head() {
        let connection = Connection::new(true);
        let phase = || connection.phase().0;
        let request = connection.request(true);
        drop(connection.reading_body());
        drop(request);
        connection.received();
        assert_eq!(phase(), Phase::Idle);
        let request = connection.request(true);
        connection.reading_body().complete();
        drop(request);
        connection.received();
        assert_eq!(phase(), Phase::Head);
    }

    #[test]
    fn request_saves_a_closing_connection() {
        let connection = Connection::new(true);
        let context = Context::from_waker(Waker::noop());
        connection.close();
        assert!(connection.is_closing(&context));
        let request = connection.request(false);
        assert!(!connection.is_closing(&context));
        drop(request);
        assert!(!connection.is_closing(&context));
    }
}
