//! Circuit breakers: a relay, provider or homeserver that is down is left alone for a
//! while, whatever is queued for it.
//!
//! After some failures in a row nothing is tried. Then one attempt finds out whether it
//! works again; the others wait for its outcome. Each failure of it doubles the pause.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use prometheus_client::metrics::gauge::Gauge;

use super::retry::spread_ms;
use crate::domain::time::duration_ms;

/// Strangers choose the names of homeservers. What is beyond that is not left alone.
const MAX_CIRCUITS: usize = 10_000;

/// When something is left alone, and for how long.
#[derive(Debug, Clone, Copy)]
pub struct BreakerPolicy {
    /// After so many failures in a row; 0 means never.
    pub failures: u32,
    /// The first pause.
    pub first: Duration,
    /// The longest pause.
    pub max: Duration,
}

/// The breakers of one kind of destinations, each with a name.
#[derive(Debug)]
pub struct Breakers {
    kind: &'static str,
    policy: BreakerPolicy,
    circuits: Mutex<HashMap<String, Circuit>>,
    jitter: fn() -> f64,
    paused: Gauge,
}

/// What is known of a destination. One that works is not listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Circuit {
    /// It may be tried, after so many failures in a row.
    Closed { failures: u32 },
    /// It is left alone until then, for the so many-th time in a row.
    Open { until: Instant, openings: u32 },
    /// One attempt finds out whether it works again.
    HalfOpen { openings: u32 },
}

/// How an attempt ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AttemptOutcome {
    /// The destination works. It may have refused the message.
    Works,
    /// It does not.
    Fails,
    /// It wants to be left alone for so long.
    Throttles(Duration),
    /// Nothing is known.
    Unknown,
}

/// An attempt that is under way. Dropped without an outcome, it has failed.
#[derive(Debug)]
#[must_use]
pub struct Attempt<'a> {
    breakers: &'a Breakers,
    name: &'a str,
    is_probe: bool,
    has_ended: bool,
}

impl Breakers {
    /// Breakers for destinations of a kind, which is for the log. `jitter` gives random
    /// numbers from 0 to 1, so that several instances do not try together. `paused` shows
    /// how many are left alone.
    #[must_use]
    pub fn new(
        kind: &'static str,
        policy: BreakerPolicy,
        jitter: fn() -> f64,
        paused: Gauge,
    ) -> Self {
        Self {
            kind,
            policy,
            circuits: Mutex::default(),
            jitter,
            paused,
        }
    }

    /// Begins an attempt.
    ///
    /// # Errors
    /// The destination is left alone for so long.
    pub fn enter<'a>(&'a self, name: &'a str) -> Result<Attempt<'a>, Duration> {
        let is_probe = self.enter_at(name, Instant::now())?;
        Ok(Attempt {
            breakers: self,
            name,
            is_probe,
            has_ended: false,
        })
    }

    fn enter_at(&self, name: &str, now: Instant) -> Result<bool, Duration> {
        let mut circuits = self.lock();
        let Some(circuit) = circuits.get_mut(name) else {
            return Ok(false);
        };
        match *circuit {
            Circuit::Closed { .. } => Ok(false),
            Circuit::Open { until, openings } => match until.checked_duration_since(now) {
                Some(left) if !left.is_zero() => Err(left),
                _ => {
                    *circuit = Circuit::HalfOpen { openings };
                    Ok(true)
                }
            },
            Circuit::HalfOpen { openings } => Err(self.pause(openings)),
        }
    }

    fn end_at(&self, name: &str, is_probe: bool, outcome: AttemptOutcome, now: Instant) {
        let mut circuits = self.lock();
        let known = circuits.get(name).copied();
        let was_open = known.is_some_and(Circuit::is_open);
        let next = match (known, outcome) {
            (_, AttemptOutcome::Works) => None,
            // What was tried before the pause says nothing new.
            (Some(Circuit::Open { .. } | Circuit::HalfOpen { .. }), _) if !is_probe => known,
            (known, AttemptOutcome::Fails) => Some(self.after_failure(known, now)),
            (known, AttemptOutcome::Throttles(pause)) => Some(self.open(known, pause, now)),
            (Some(Circuit::HalfOpen { openings }), AttemptOutcome::Unknown) => {
                let until = now;
                Some(Circuit::Open { until, openings })
            }
            (known, AttemptOutcome::Unknown) => known,
        };
        let Some(next) = next else {
            circuits.remove(name);
            self.show(&circuits);
            drop(circuits);
            if was_open {
                log::info!("{} {name} works again", self.kind);
            }
            return;
        };
        if known.is_none() && circuits.len() >= MAX_CIRCUITS {
            circuits.retain(|_, circuit| !circuit.is_over(now));
            if circuits.len() >= MAX_CIRCUITS {
                return;
            }
        }
        circuits.insert(name.to_owned(), next);
        self.show(&circuits);
        drop(circuits);
        if let Circuit::Open { until, openings } = next
            && known != Some(next)
        {
            let pause_ms = duration_ms(until.saturating_duration_since(now));
            log::warn!(openings, pause_ms; "{} {name} does not work; nothing is sent to it for a while", self.kind);
        }
    }

    fn after_failure(&self, known: Option<Circuit>, now: Instant) -> Circuit {
        match known {
            Some(Circuit::HalfOpen { .. } | Circuit::Open { .. }) => {
                self.open(known, Duration::ZERO, now)
            }
            Some(Circuit::Closed { failures }) if failures + 1 >= self.policy.failures => {
                self.open(known, Duration::ZERO, now)
            }
            Some(Circuit::Closed { failures }) => Circuit::Closed {
                failures: failures + 1,
            },
            None if self.policy.failures <= 1 => self.open(known, Duration::ZERO, now),
            None => Circuit::Closed { failures: 1 },
        }
    }

    /// The next pause, of at least that length. Who wants to be left alone for longer than
    /// the longest pause may have meant one message only.
    fn open(&self, known: Option<Circuit>, at_least: Duration, now: Instant) -> Circuit {
        let openings = match known {
            Some(Circuit::Open { openings, .. } | Circuit::HalfOpen { openings }) => openings,
            _ => 0,
        };
        Circuit::Open {
            until: now + self.pause(openings).max(at_least.min(self.policy.max)),
            openings: openings.saturating_add(1),
        }
    }

    /// The pause after so many earlier ones.
    fn pause(&self, openings: u32) -> Duration {
        let BreakerPolicy { first, max, .. } = self.policy;
        let pause = first.saturating_mul(2_u32.saturating_pow(openings));
        let pause = spread_ms(duration_ms(pause.min(max)), (self.jitter)());
        Duration::from_millis(u64::try_from(pause).unwrap_or_default())
    }

    fn show(&self, circuits: &HashMap<String, Circuit>) {
        let paused = circuits.values().filter(|circuit| circuit.is_open());
        self.paused
            .set(i64::try_from(paused.count()).unwrap_or(i64::MAX));
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Circuit>> {
        self.circuits.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Circuit {
    fn is_open(self) -> bool {
        matches!(self, Self::Open { .. } | Self::HalfOpen { .. })
    }

    /// Whether it can be forgotten at that time.
    fn is_over(self, now: Instant) -> bool {
        match self {
            Self::Closed { .. } => true,
            Self::Open { until, .. } => until <= now,
            Self::HalfOpen { .. } => false,
        }
    }
}

impl Attempt<'_> {
    /// Ends the attempt.
    pub fn end(mut self, outcome: AttemptOutcome) {
        self.record(outcome);
    }

    fn record(&mut self, outcome: AttemptOutcome) {
        if !self.has_ended && self.breakers.policy.failures > 0 {
            let now = Instant::now();
            self.breakers.end_at(self.name, self.is_probe, outcome, now);
        }
        self.has_ended = true;
    }
}

impl Drop for Attempt<'_> {
    fn drop(&mut self) {
        self.record(AttemptOutcome::Fails);
    }
}

#[cfg(test)]
mod tests {
    use super::AttemptOutcome::{Fails, Throttles, Unknown, Works};
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn breakers(failures: u32) -> Breakers {
        let policy = BreakerPolicy {
            failures,
            first: SECOND,
            max: 5 * SECOND,
        };
        Breakers::new("relay", policy, || 0.0, Gauge::default())
    }

    #[test]
    fn pauses_after_failures_in_a_row() {
        let (breakers, now) = (breakers(3), Instant::now());
        let enter = |name| breakers.enter_at(name, now);
        for outcome in [Fails, Fails, Works, Fails, Unknown, Fails] {
            assert_eq!(enter("a"), Ok(false));
            breakers.end_at("a", false, outcome, now);
        }
        assert_eq!(enter("a"), Ok(false));
        breakers.end_at("a", false, Fails, now);
        assert_eq!(enter("a"), Err(SECOND));
        assert_eq!(breakers.paused.get(), 1);
        assert_eq!(enter("b"), Ok(false));
        // Those that were under way change nothing, unless it works.
        breakers.end_at("a", false, Fails, now);
        assert_eq!(enter("a"), Err(SECOND));
        breakers.end_at("a", false, Works, now);
        assert_eq!(enter("a"), Ok(false));
    }

    #[test]
    fn one_attempt_finds_out_and_pauses_grow() {
        let (breakers, mut now) = (breakers(1), Instant::now());
        breakers.end_at("a", false, Fails, now);
        for seconds in [1, 2, 4, 5, 5] {
            let left = breakers.enter_at("a", now).unwrap_err();
            assert_eq!(left, seconds * SECOND);
            now += left;
            assert_eq!(breakers.enter_at("a", now), Ok(true));
            assert!(breakers.enter_at("a", now).is_err(), "one at a time");
            breakers.end_at("a", true, Fails, now);
        }
        now += 5 * SECOND;
        assert_eq!(breakers.enter_at("a", now), Ok(true));
        breakers.end_at("a", true, Unknown, now);
        assert_eq!(breakers.enter_at("a", now), Ok(true));
        breakers.end_at("a", true, Works, now);
        assert_eq!(breakers.enter_at("a", now), Ok(false));
        assert!(breakers.lock().is_empty());
    }

    #[test]
    fn pause_that_is_asked_for_has_the_same_limit() {
        let (breakers, now) = (breakers(3), Instant::now());
        breakers.end_at("a", false, Throttles(3 * SECOND), now);
        assert_eq!(breakers.enter_at("a", now), Err(3 * SECOND));
        breakers.end_at("b", false, Throttles(3600 * SECOND), now);
        assert_eq!(breakers.enter_at("b", now), Err(5 * SECOND));
    }

    #[test]
    fn attempt_without_an_outcome_has_failed() {
        let breakers = breakers(2);
        for _ in 0..2 {
            drop(breakers.enter("a").unwrap());
        }
        assert!(breakers.enter("a").is_err());
        for _ in 0..2 {
            breakers.enter("b").unwrap().end(Unknown);
        }
        assert!(breakers.enter("b").is_ok());
    }

    #[test]
    fn memory_is_bounded_and_zero_switches_off() {
        let (many, now) = (breakers(2), Instant::now());
        for number in 0..MAX_CIRCUITS + 10 {
            many.end_at(&number.to_string(), false, Fails, now);
        }
        assert!(many.lock().len() <= MAX_CIRCUITS);
        let off = breakers(0);
        for _ in 0..9 {
            off.enter("a").unwrap().end(Fails);
        }
        assert!(off.enter("a").is_ok());
    }
}
