//! Whether a standby of the database is fresh enough to answer lookups.
//!
//! Only the clock of this machine counts, and only differences of its time. Where the
//! primary is in its log is noted with the time *before* it was asked. Once the standby has
//! replayed the log up to there, it shows everything that was committed before that time.

use std::collections::VecDeque;
use std::fmt;

/// Milliseconds since some moment in the life of the process.
pub type Millis = u64;

/// So many times in a row must a server not answer until it counts as away: a connection that
/// breaks says nothing about the server.
const MISSES: u32 = 2;

/// Which data a server has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Identity {
    /// The identifier that a server and all its standbys have in common.
    pub system: i64,
    /// The database in it.
    pub database: i64,
}

/// Where a server is in the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogPosition {
    /// Which data it has.
    pub identity: Identity,
    /// Becomes higher when a standby takes the place of the primary.
    pub timeline: i64,
    /// Of the primary, how far the log is on its disk: the end of every acknowledged commit.
    /// Of a standby, how far it has replayed it.
    pub position: i64,
}

/// The answer of the primary.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FromPrimary {
    /// It is here.
    At(LogPosition),
    /// It works for others, or another server runs in its place, but it does not say where it is.
    Unclear,
    /// There was no answer.
    Silent,
}

/// The answer of the standby.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FromStandby {
    /// It has replayed the log up to here.
    At(LogPosition),
    /// It is no standby: it accepts changes of its own.
    Promoted,
    /// There was no answer.
    Silent,
}

/// Why the standby is not used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unfit {
    /// It has not been fresh since the start, or is too far behind.
    Stale,
    /// It does not answer.
    Silent,
    /// It was promoted since the start. What it has is another database from now on.
    Promoted,
    /// It is no standby of this database.
    Foreign,
    /// It does not follow the primary, or does so only since a moment ago.
    OtherTimeline,
}

impl fmt::Display for Unfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Stale => "is too far behind",
            Self::Silent => "does not answer",
            Self::Promoted => {
                "accepts changes of its own and is not used again before a restart of this server"
            }
            Self::Foreign => "has another database",
            Self::OtherTimeline => "is on another timeline",
        })
    }
}

/// Where lookups are answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// By the standby, and from that time on by the primary.
    Standby {
        /// When what is known now is too old.
        until: Millis,
    },
    /// By the standby, since the primary is away.
    StandbyAlone,
    /// By the primary.
    Primary(Unfit),
    /// By the standby if it is back: it was fresh, and now neither server answers.
    Neither,
    /// Nowhere: the primary is away, and the standby was not fresh when it was last reached.
    Nowhere(Unfit),
}

/// What is known of both servers.
#[derive(Debug)]
pub struct Freshness {
    max_staleness: Millis,
    /// Positions of the primary that the standby has not reached yet, the oldest first.
    ahead: VecDeque<(Millis, i64)>,
    /// Everything that was committed before that time is visible on the standby, which has
    /// reached that position.
    shown: Option<(Millis, i64)>,
    /// When the primary was asked for `last`.
    reached_at: Millis,
    last: Option<LogPosition>,
    accepts_changes: bool,
    misses: u32,
    standby: Option<Unfit>,
    standby_misses: u32,
}

impl Freshness {
    /// Nothing is known yet.
    #[must_use]
    pub fn new(max_staleness: Millis) -> Self {
        Self {
            max_staleness,
            ahead: VecDeque::new(),
            shown: None,
            reached_at: 0,
            last: None,
            accepts_changes: false,
            misses: 0,
            standby: Some(Unfit::Stale),
            standby_misses: 0,
        }
    }

    /// The primary was asked at that time.
    pub fn primary_answered(&mut self, asked_at: Millis, answer: FromPrimary) {
        self.accepts_changes = matches!(answer, FromPrimary::At(_));
        let at = match answer {
            FromPrimary::At(at) => at,
            FromPrimary::Unclear => {
                self.misses = 0;
                return;
            }
            FromPrimary::Silent => {
                self.misses = self.misses.saturating_add(1);
                return;
            }
        };
        self.misses = 0;
        let is_same = |last: LogPosition| {
            (last.identity, last.timeline) == (at.identity, at.timeline)
                && last.position <= at.position
        };
        if !self.last.is_some_and(is_same) {
            // What was measured with another server says nothing about this one.
            self.ahead.clear();
            self.shown = None;
        }
        self.last = Some(at);
        self.reached_at = asked_at;
        let too_old =
            |(time, _): &(Millis, i64)| asked_at.saturating_sub(*time) > self.max_staleness;
        while self.ahead.front().is_some_and(too_old) {
            self.ahead.pop_front();
        }
        self.ahead.push_back((asked_at, at.position));
    }

    /// The standby was asked, after the primary.
    pub fn standby_answered(&mut self, answer: FromStandby) {
        self.standby_misses = match answer {
            FromStandby::Silent => self.standby_misses.saturating_add(1),
            _ => 0,
        };
        if self.standby == Some(Unfit::Promoted) {
            return;
        }
        self.standby = match (answer, self.last) {
            (FromStandby::Silent, _) => Some(Unfit::Silent),
            (FromStandby::Promoted, _) => Some(Unfit::Promoted),
            (FromStandby::At(_), None) => Some(Unfit::Stale),
            (FromStandby::At(at), Some(last)) => self.compare(at, last),
        };
    }

    /// Notes what the standby shows; returns why it is not used.
    fn compare(&mut self, at: LogPosition, last: LogPosition) -> Option<Unfit> {
        let unfit = if at.identity != last.identity {
            Some(Unfit::Foreign)
        } else if at.timeline != last.timeline {
            Some(Unfit::OtherTimeline)
        } else {
            None
        };
        // A standby that crashed, was restored from a copy, or is another one shows less than
        // it did. It has to get there again, also if it is silent meanwhile.
        let is_lost =
            |(_, position): &mut (Millis, i64)| unfit.is_some() || at.position < *position;
        if let Some(lost) = self.shown.take_if(is_lost) {
            self.ahead.push_front(lost);
        }
        if unfit.is_none() {
            while let Some(reached) = self.ahead.front().copied()
                && reached.1 <= at.position
            {
                self.shown = Some(reached);
                self.ahead.pop_front();
            }
        }
        unfit
    }

    /// Whether the primary has said last that it accepts changes.
    #[must_use]
    pub fn accepts_changes(&self) -> bool {
        self.accepts_changes
    }

    /// Whether no change can be made.
    #[must_use]
    pub fn is_primary_away(&self) -> bool {
        self.misses >= MISSES
    }

    /// How old what the standby has may be; `None` while it was never fresh.
    #[must_use]
    pub fn staleness(&self, now: Millis) -> Option<Millis> {
        // Nothing is committed while the primary is away.
        let until = if self.is_primary_away() {
            self.reached_at
        } else {
            now
        };
        Some(until.saturating_sub(self.shown?.0))
    }

    /// Where lookups are answered.
    #[must_use]
    pub fn source(&self, now: Millis) -> Source {
        let staleness = self.staleness(now);
        let is_fresh = staleness.is_some_and(|staleness| staleness <= self.max_staleness);
        let unfit = match self.standby {
            // There is nothing else to ask: the lookup finds out whether it works.
            Some(Unfit::Silent) if self.is_primary_away() => None,
            other => other,
        };
        let unfit = unfit.or((!is_fresh).then_some(Unfit::Stale));
        match (unfit, self.is_primary_away()) {
            (None, true) if self.standby_misses >= MISSES => Source::Neither,
            (None, true) => Source::StandbyAlone,
            (None, false) => Source::Standby {
                until: self.shown.map_or(0, |(time, _)| time) + self.max_staleness,
            },
            (Some(unfit), true) => Source::Nowhere(unfit),
            (Some(unfit), false) => Source::Primary(unfit),
        }
    }
}

#[cfg(test)]
#[path = "freshness_tests.rs"]
mod tests;
