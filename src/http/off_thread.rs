//! Work that would hold up the other requests of a thread.

use actix_web::web;

use crate::error::Error;

/// A body of more bytes takes longer to read than another thread to start.
const LONG: usize = 64 * 1024;

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
