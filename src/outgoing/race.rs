//! Attempts side by side: the next one starts when the one before has failed, or has
//! not succeeded after a delay (RFC 8305, section 5).

use std::pin::pin;
use std::time::Duration;

use futures_util::future::{Either, select};
use futures_util::stream::{FuturesUnordered, Stream, StreamExt as _};
use tokio::time::{Instant, sleep_until};

/// The delay before the next attempt (RFC 8305, section 8: Connection Attempt Delay).
pub(crate) const ATTEMPT_DELAY: Duration = Duration::from_millis(250);

/// What a step of the race waited for.
enum Event<C, T, E> {
    Ended(Result<T, E>),
    Candidate(Option<C>),
    DelayOver,
}

/// Tries candidates until an attempt succeeds; the others are dropped then.
///
/// `candidates` may wait, for example for a name server. The caller bounds their
/// number, and the time of each attempt.
///
/// # Errors
/// All failed: those errors, in the order in which they occurred. Empty without a
/// candidate.
pub(crate) async fn race<C, T, E, F>(
    candidates: impl Stream<Item = C>,
    delay: Duration,
    mut attempt: impl FnMut(C) -> F,
) -> Result<T, Vec<E>>
where
    F: Future<Output = Result<T, E>>,
{
    let mut candidates = pin!(candidates.fuse());
    let mut running = FuturesUnordered::new();
    let mut errors = Vec::new();
    let mut next_start = Instant::now();
    loop {
        let may_start = running.is_empty() || Instant::now() >= next_start;
        match step(&mut candidates, &mut running, may_start, next_start).await {
            Some(Event::Ended(Ok(winner))) => return Ok(winner),
            Some(Event::Ended(Err(error))) => {
                errors.push(error);
                next_start = Instant::now();
            }
            Some(Event::Candidate(Some(candidate))) => {
                running.push(attempt(candidate));
                next_start = Instant::now() + delay;
            }
            Some(Event::Candidate(None) | Event::DelayOver) => {}
            None => return Err(errors),
        }
    }
}

/// Waits for the next event; `None` if there is none to come.
async fn step<C, T, E, F>(
    candidates: &mut (impl futures_util::stream::FusedStream<Item = C> + Unpin),
    running: &mut FuturesUnordered<F>,
    may_start: bool,
    next_start: Instant,
) -> Option<Event<C, T, E>>
where
    F: Future<Output = Result<T, E>>,
{
    if candidates.is_terminated() {
        return running.next().await.map(Event::Ended);
    }
    if running.is_empty() {
        return Some(Event::Candidate(candidates.next().await));
    }
    let other = async {
        if may_start {
            Event::Candidate(candidates.next().await)
        } else {
            sleep_until(next_start).await;
            Event::DelayOver
        }
    };
    match select(running.next(), pin!(other)).await {
        Either::Left((ended, _)) => ended.map(Event::Ended),
        Either::Right((event, _)) => Some(event),
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use futures_util::stream;

    use super::*;

    const DELAY: Duration = Duration::from_millis(50);

    /// Races attempts that take so many milliseconds and succeed or fail. Returns the
    /// winner or the failed ones, and when each was started, in delays.
    async fn run(attempts: &[(u64, bool)]) -> (Result<usize, Vec<usize>>, Vec<u128>) {
        let (begin, starts) = (Instant::now(), RefCell::new(Vec::new()));
        let candidates = stream::iter(attempts.iter().copied().enumerate());
        let outcome = race(candidates, DELAY, |(index, (takes, succeeds))| {
            starts
                .borrow_mut()
                .push(begin.elapsed().as_millis() / DELAY.as_millis());
            async move {
                tokio::time::sleep(Duration::from_millis(takes)).await;
                if succeeds { Ok(index) } else { Err(index) }
            }
        });
        let outcome = outcome.await;
        (outcome, starts.into_inner())
    }

    #[tokio::test]
    async fn first_success_wins() {
        assert_eq!(run(&[(0, true), (0, true)]).await, (Ok(0), vec![0]));
        // The first one hangs: the second starts after the delay.
        assert_eq!(run(&[(60_000, true), (0, true)]).await, (Ok(1), vec![0, 1]));
        // The slow first one wins if the second is slower.
        assert_eq!(run(&[(80, true), (60_000, true)]).await.0, Ok(0));
    }

    #[tokio::test]
    async fn failure_starts_the_next_at_once() {
        let (outcome, starts) = run(&[(0, false), (0, false), (0, true)]).await;
        assert_eq!((outcome, starts), (Ok(2), vec![0, 0, 0]));
        let (outcome, _) = run(&[(0, false), (70, false), (0, false)]).await;
        assert_eq!(outcome, Err(vec![0, 2, 1]));
        assert_eq!(run(&[]).await, (Err(vec![]), vec![]));
    }

    #[tokio::test]
    async fn late_candidate_joins_the_race() {
        let late = stream::once(async {
            tokio::time::sleep(Duration::from_millis(70)).await;
            0
        });
        let candidates = stream::iter([60_000]).chain(late);
        let outcome: Result<u64, Vec<()>> = race(candidates, DELAY, |takes| async move {
            tokio::time::sleep(Duration::from_millis(takes)).await;
            Ok(takes)
        })
        .await;
        assert_eq!(outcome, Ok(0));
    }
}
