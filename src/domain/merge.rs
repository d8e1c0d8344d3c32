//! How the statements of several servers about one 3PID become one answer. It
//! depends neither on the order in which they arrive nor on how often, so that
//! all members of a mesh that received the same statements answer alike (INT-03).
//! Statements without a number are those that were stored before numbers were.

use std::cmp::Ordering;

/// The last moment that a canonical JSON number can name, ms.
const LAST_TS: i64 = (1 << 53) - 1;

/// What one server says about a 3PID. Times are milliseconds since the epoch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Statement {
    /// The name of the server.
    pub origin: String,
    /// The number of the statement among those of its origin; 0 if unknown.
    pub number: i64,
    /// When it was made, by the clock of its origin.
    pub ts: i64,
    /// When it counts as made among those of other servers: `ts`, unless that was
    /// too far ahead when it arrived.
    pub counts_at: i64,
    /// The user that the 3PID is bound to; `None` if the binding was removed.
    pub binding: Option<Binding>,
}

/// The user of a 3PID, and when that is valid.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Binding {
    /// The Matrix ID.
    pub mxid: String,
    /// The first moment at which the binding is valid.
    pub not_before: i64,
    /// The first moment at which it is no longer valid.
    pub not_after: i64,
}

/// What [`Statements::merge`] did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Merged {
    /// A later statement of that origin is known, or it is known itself.
    Known,
    /// It says the same as before under a greater number.
    Renumbered,
    /// It says something else.
    Changed,
}

impl Statement {
    /// Whether both say the same at the same time.
    #[must_use]
    pub fn says_the_same_as(&self, other: &Self) -> bool {
        let user = |statement: &Self| statement.binding.as_ref().map(|it| it.mxid.clone());
        self.ts == other.ts && user(self) == user(other)
    }

    /// Among the statements of one origin, its numbers decide: its clock may
    /// have been set back. Where one has none, the later one counts.
    fn cmp_within_origin(&self, other: &Self) -> Ordering {
        let by_number = self.number.cmp(&other.number);
        // Not `counts_at`: the same statement may arrive again, later.
        let by_time = self.ts.cmp(&other.ts);
        let order = if self.number == 0 || other.number == 0 {
            by_time.then(by_number)
        } else {
            by_number.then(by_time)
        };
        order.then_with(|| self.cmp_content(other))
    }

    /// Among the statements of several origins, the newest counts. At the same
    /// time a removal does; then the greatest user ID, as in Sydent.
    fn cmp_across_origins(&self, other: &Self) -> Ordering {
        self.counts_at
            .cmp(&other.counts_at)
            .then_with(|| self.cmp_content(other))
    }

    fn cmp_content(&self, other: &Self) -> Ordering {
        let removes = |statement: &Self| statement.binding.is_none();
        removes(self)
            .cmp(&removes(other))
            .then_with(|| self.binding.cmp(&other.binding))
            .then_with(|| self.origin.cmp(&other.origin))
    }
}

/// The last statement of each server about one 3PID.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Statements(Vec<Statement>);

impl Statements {
    /// Takes a statement over unless a later one of the same origin is known.
    pub fn merge(&mut self, statement: Statement) -> Merged {
        let origin = statement.origin.as_str();
        match self.0.iter_mut().find(|held| held.origin == origin) {
            None => {
                self.0.push(statement);
                Merged::Changed
            }
            Some(held) if statement.cmp_within_origin(held).is_le() => Merged::Known,
            Some(held) => {
                if statement.says_the_same_as(held) {
                    // It arrived when it was said first.
                    let counts_at = held.counts_at;
                    *held = Statement {
                        counts_at,
                        ..statement
                    };
                    return Merged::Renumbered;
                }
                *held = statement;
                Merged::Changed
            }
        }
    }

    /// The statement that counts. A removal hides all bindings that are not
    /// newer, whatever their origin.
    #[must_use]
    pub fn answer(&self) -> Option<&Statement> {
        self.0
            .iter()
            .max_by(|one, other| one.cmp_across_origins(other))
    }

    /// The statement of one origin.
    #[must_use]
    pub fn by(&self, origin: &str) -> Option<&Statement> {
        self.0.iter().find(|held| held.origin == origin)
    }

    /// Whether a server other than `origin` has said something.
    #[must_use]
    pub fn has_others_than(&self, origin: &str) -> bool {
        // The empty origin has removals from before origins were stored.
        let mut others = self.0.iter().map(|held| held.origin.as_str());
        others.any(|other| other != origin && !other.is_empty())
    }

    /// Whether a server says that the 3PID is bound, also if that does not count.
    #[must_use]
    pub fn has_bindings(&self) -> bool {
        self.0.iter().any(|held| held.binding.is_some())
    }

    /// The time of a statement that is made at `now`: after all others, whatever
    /// the clocks of their origins say.
    #[must_use]
    pub fn next_ts(&self, now: i64) -> i64 {
        let newest = self.0.iter().map(|held| held.counts_at).max();
        newest.map_or(now, |ts| now.max(ts.saturating_add(1)).min(LAST_TS))
    }

    /// The time of a removal of the binding of `origin` at `now`: after all
    /// others if its user is the one that counts. Otherwise it is the time of the
    /// binding, so that it does not end the binding of another user.
    #[must_use]
    pub fn removal_ts(&self, origin: &str, now: i64) -> i64 {
        let user = |statement: &Statement| statement.binding.as_ref().map(|it| it.mxid.clone());
        match (self.by(origin), self.answer()) {
            (Some(own), Some(answer)) if user(own) != user(answer) => {
                // At the same time, the removal would count.
                own.counts_at.min(answer.counts_at.saturating_sub(1))
            }
            _ => self.next_ts(now),
        }
    }
}

impl FromIterator<Statement> for Statements {
    fn from_iter<I: IntoIterator<Item = Statement>>(statements: I) -> Self {
        let mut merged = Self::default();
        for statement in statements {
            merged.merge(statement);
        }
        merged
    }
}

#[cfg(test)]
#[path = "merge_tests.rs"]
mod tests;
