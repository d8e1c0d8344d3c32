//! Work that would hold up the other requests of a thread, and needs much memory.

use actix_web::web;
use tokio::time::timeout;

use crate::actor::lookups::Lookups;
use crate::actor::pool::{Fault, State as _};
use crate::app::App;
use crate::error::Error;
use crate::permits::{NoPermit, Permit};

/// A body of more bytes takes longer to read than another thread to start.
const LONG: usize = 64 * 1024;

/// Waits until few other long bodies are worked on, if it has so many bytes: what is made of a
/// body takes several times its memory. Until then only the body itself is kept.
///
/// # Errors
/// `503` after the timeout of a request, or when the server stops.
pub(super) async fn turn(app: &App, bytes: usize) -> Result<Option<Permit>, Error> {
    if bytes < LONG {
        return Ok(None);
    }
    let waiting = timeout(app.config.http.request_timeout, app.long_lookups.acquire());
    match waiting.await {
        Ok(Ok(permit)) => Ok(Some(permit)),
        Ok(Err(NoPermit::Closed | NoPermit::Full)) => Err(Fault::Stopped(Lookups::NAME).into()),
        Err(_elapsed) => Err(Fault::TimedOut(Lookups::NAME).into()),
    }
}

/// Runs work on a thread for blocking work if it is for that many bytes of a body or more,
/// and here otherwise.
///
/// # Errors
/// Those of the work; `500` if it panics.
pub(super) async fn off_thread<T, F>(bytes: usize, work: F) -> Result<T, Error>
where
    T: Send + 'static,
    F: FnOnce() -> Result<T, Error> + Send + 'static,
{
    if bytes < LONG {
        return work();
    }
    web::block(work)
        .await
        .unwrap_or_else(|_panicked| Err(Error::internal()))
}
