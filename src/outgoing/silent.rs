//! Addresses of a host that did not answer lately, and are tried last.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Poll;
use std::time::Duration;

use futures_util::future::ready;
use futures_util::stream::{Stream, StreamExt as _, poll_fn};
use tokio::time::Instant;

use super::race::{ATTEMPT_DELAY, race};

/// How long an address that did not answer is tried after the others.
const REMEMBER_FOR: Duration = Duration::from_mins(10);

/// The addresses that did not answer lately, while another of the same host did.
#[derive(Debug, Default)]
pub(crate) struct SilentAddresses(Mutex<HashMap<SocketAddr, Instant>>);

impl SilentAddresses {
    /// The addresses as they become known; those that did not answer lately come last.
    fn postpone_silent(
        &self,
        addresses: impl Stream<Item = SocketAddr>,
    ) -> impl Stream<Item = SocketAddr> {
        let postponed = Arc::new(Mutex::new(Vec::new()));
        let later = Arc::clone(&postponed);
        let answering = addresses.filter(move |address| {
            let is_silent = self.contains(*address);
            if is_silent {
                lock(&postponed).push(*address);
            }
            ready(!is_silent)
        });
        answering.chain(poll_fn(move |_context| {
            let mut later = lock(&later);
            Poll::Ready((!later.is_empty()).then(|| later.remove(0)))
        }))
    }

    fn contains(&self, address: SocketAddr) -> bool {
        let known = self.lock();
        let since = known.get(&address);
        since.is_some_and(|since| since.elapsed() < REMEMBER_FOR)
    }

    /// Records that one address answered before those that were tried earlier.
    fn record(&self, answered: SocketAddr, silent: &[SocketAddr]) {
        let mut known = self.lock();
        known.retain(|address, since| *address != answered && since.elapsed() < REMEMBER_FOR);
        known.extend(silent.iter().map(|address| (*address, Instant::now())));
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<SocketAddr, Instant>> {
        lock(&self.0)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Connects with `dial` to the address that answers first, side by side with a delay.
///
/// There is no overall timeout: dropping the future ends all attempts.
///
/// # Errors
/// The error of the address that failed last, or `None` if there is no address.
pub(crate) async fn connect<T, E, F>(
    addresses: impl Stream<Item = SocketAddr>,
    silent: &SilentAddresses,
    dial: impl Fn(SocketAddr) -> F,
) -> Result<T, Option<E>>
where
    F: Future<Output = Result<T, E>>,
{
    let unanswered = Mutex::new(Vec::new());
    let candidates = silent.postpone_silent(addresses);
    let outcome = race(candidates, ATTEMPT_DELAY, |address| {
        lock(&unanswered).push(address);
        let (attempt, unanswered) = (dial(address), &unanswered);
        async move {
            let outcome = attempt.await;
            lock(unanswered).retain(|other| *other != address);
            outcome.map(|connection| (address, connection))
        }
    });
    match outcome.await {
        Ok((address, connection)) => {
            silent.record(address, &lock(&unanswered));
            Ok(connection)
        }
        Err(mut errors) => Err(errors.pop()),
    }
}

#[cfg(test)]
mod tests {
    use futures_util::stream::iter;

    use super::*;

    /// What the address with this last digit does: 1 answers, 2 refuses, 3 and 4
    /// are silent, 5 answers late.
    async fn dial(address: SocketAddr) -> Result<SocketAddr, SocketAddr> {
        match address.port() {
            1 => Ok(address),
            2 => Err(address),
            5 => {
                tokio::time::sleep(Duration::from_millis(400)).await;
                Ok(address)
            }
            _ => std::future::pending().await,
        }
    }

    fn addresses(ports: &[u16]) -> Vec<SocketAddr> {
        let address = |port: &u16| SocketAddr::from(([127, 0, 0, 1], *port));
        ports.iter().map(address).collect()
    }

    async fn race(ports: &[u16], silent: &SilentAddresses) -> (Result<u16, Option<u16>>, Duration) {
        let began = Instant::now();
        let outcome = connect(iter(addresses(ports)), silent, dial).await;
        let port = |address: SocketAddr| address.port();
        let outcome = outcome.map(port).map_err(|error| error.map(port));
        (outcome, began.elapsed())
    }

    #[tokio::test]
    async fn silent_address_delays_by_250_ms_once() {
        let silent = SilentAddresses::default();
        let (outcome, took) = race(&[3, 4, 1], &silent).await;
        assert_eq!(outcome, Ok(1));
        let expected = Duration::from_millis(500)..Duration::from_secs(2);
        assert!(expected.contains(&took), "{took:?}");
        let (outcome, took) = race(&[3, 4, 1], &silent).await;
        assert_eq!(outcome, Ok(1));
        assert!(took < Duration::from_millis(200), "{took:?}");
    }

    #[tokio::test]
    async fn refusal_moves_on_at_once() {
        let silent = SilentAddresses::default();
        let (outcome, took) = race(&[2, 2, 1, 3], &silent).await;
        assert_eq!(outcome, Ok(1));
        assert!(took < Duration::from_millis(200), "{took:?}");
        assert_eq!(race(&[2, 2], &silent).await.0, Err(Some(2)));
        assert_eq!(race(&[], &silent).await.0, Err(None));
    }

    #[tokio::test]
    async fn late_answer_still_wins() {
        let silent = SilentAddresses::default();
        assert_eq!(race(&[5, 2], &silent).await.0, Ok(5));
        assert_eq!(race(&[5, 3], &silent).await.0, Ok(5));
        // The address that answered is not remembered as silent, the other is.
        let sorted = silent.postpone_silent(iter(addresses(&[3, 5])));
        assert_eq!(sorted.collect::<Vec<_>>().await, addresses(&[5, 3]));
    }
}
