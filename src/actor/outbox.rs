//! The owner of the durable delivery queue.

use super::pool::{Fault, Operation, State};
pub use crate::db::outbox::Depth;
use crate::db::outbox::{self, QueuedMessage};
use crate::db::{LockKey, Store, invites, sessions};
use crate::domain::secret::{InviteToken, Sid};

/// What the owner's thread holds.
pub struct Outbox {
    /// Its connection.
    pub store: Store,
}

impl State for Outbox {
    const NAME: &'static str = "outbox";

    fn is_alive(&mut self) -> bool {
        self.store.is_alive()
    }
}

/// Takes what is due, for one dispatcher alone.
#[derive(Debug)]
pub struct TakeDue {
    /// The instance that delivers.
    pub owner: String,
    /// The kinds that it delivers.
    pub kinds: &'static [&'static str],
    /// Now, ms.
    pub now: i64,
    /// Until when nobody else may take it, ms.
    pub lease_until: i64,
    /// How many at most.
    pub limit: i64,
    /// What it is delivering already, and does not take whatever the clock says.
    pub in_flight: Vec<String>,
}

impl Operation for TakeDue {
    type State = Outbox;
    type Output = Vec<QueuedMessage>;

    fn run(self, state: &mut Outbox) -> Result<Self::Output, Fault> {
        state.store.write(LockKey::Job("outbox"), |connection| {
            Ok(outbox::take_due(
                connection,
                &self.owner,
                self.kinds,
                self.now,
                self.lease_until,
                self.limit,
                &self.in_flight,
            )?)
        })
    }
}

/// Keeps what is being delivered from others for longer.
#[derive(Debug)]
pub struct ExtendLeases {
    /// The instance that delivers.
    pub owner: String,
    /// What it delivers.
    pub in_flight: Vec<String>,
    /// Until when nobody else may take it, ms.
    pub lease_until: i64,
}

impl Operation for ExtendLeases {
    type State = Outbox;
    type Output = ();

    fn run(self, state: &mut Outbox) -> Result<(), Fault> {
        state.store.write(LockKey::Job("outbox"), |connection| {
            let Self {
                owner,
                in_flight,
                lease_until,
            } = self;
            Ok(outbox::extend_leases(
                connection,
                &owner,
                &in_flight,
                lease_until,
            )?)
        })
    }
}

/// What became of a delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Settlement {
    /// It was handed over.
    Delivered,
    /// It will not be sent: refused for good, or no longer worth sending.
    Dropped,
    /// It is to be tried again at that moment, ms.
    Postponed(i64),
    /// The same after a try of which nobody knows whether the message arrived:
    /// no client may be told any more that it was not sent.
    Repeated(i64),
    /// It may have arrived, and is not tried again: the attempt counts, as
    /// does the message for the send limits.
    LeftAlone,
}

/// Ends a delivery.
#[derive(Debug)]
pub struct Settle {
    /// What was delivered.
    pub message: QueuedMessage,
    /// What became of it.
    pub settlement: Settlement,
}

impl Operation for Settle {
    type State = Outbox;
    type Output = ();

    fn run(self, state: &mut Outbox) -> Result<(), Fault> {
        let Self {
            message,
            settlement,
        } = self;
        state
            .store
            .write(LockKey::Message(&message.id), |connection| {
                match settlement {
                    Settlement::Delivered | Settlement::LeftAlone => {
                        outbox::remove(connection, &message.id)?;
                    }
                    Settlement::Dropped => {
                        outbox::drop_unsent(connection, &message)?;
                    }
                    Settlement::Postponed(due_at) => {
                        outbox::postpone(connection, &message.lease_owner, &message.id, due_at)?;
                    }
                    Settlement::Repeated(due_at) => {
                        outbox::promise(connection, &message.id)?;
                        outbox::postpone(connection, &message.lease_owner, &message.id, due_at)?;
                    }
                }
                Ok(())
            })
    }
}

/// What a message was queued for, and what is undone when it is dropped.
#[derive(Debug, Clone)]
pub enum Subject {
    /// An attempt to validate.
    Attempt {
        /// Of that session.
        sid: Sid,
        /// Its number.
        send_attempt: i64,
    },
    /// The invite with that token.
    Invite {
        /// The token.
        token: InviteToken,
    },
}

/// A client stops waiting: decides what it is told.
#[derive(Debug)]
pub struct StopWaiting {
    /// What it waited for.
    pub id: String,
    /// What that was for.
    pub subject: Subject,
    /// Now, ms.
    pub now: i64,
}

/// What a client is told that waited to the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AfterWaiting {
    /// The message is on its way and stays in the queue.
    OnItsWay,
    /// Every try failed so far; the message was dropped.
    GivenUp,
    /// It was settled a moment ago: handed over,
    Delivered,
    /// or dropped.
    Dropped,
}

impl Operation for StopWaiting {
    type State = Outbox;
    type Output = AfterWaiting;

    fn run(self, state: &mut Outbox) -> Result<AfterWaiting, Fault> {
        state.store.write(LockKey::Job("outbox"), |connection| {
            if let Some(message) = outbox::find(connection, &self.id)? {
                let under_way = message.tries == 0 || message.lease_until >= self.now;
                if under_way || message.is_promised() {
                    // Others may wait for the same message, and must not drop it.
                    if outbox::promise(connection, &message.id)? {
                        return Ok(AfterWaiting::OnItsWay);
                    }
                } else if outbox::drop_unsent(connection, &message)? {
                    return Ok(AfterWaiting::GivenUp);
                }
            }
            let sent = match &self.subject {
                Subject::Attempt { sid, send_attempt } => {
                    sessions::attempt_counts(connection, sid, *send_attempt)?
                }
                Subject::Invite { token } => invites::exists(connection, token)?,
            };
            Ok(if sent {
                AfterWaiting::Delivered
            } else {
                AfterWaiting::Dropped
            })
        })
    }
}

/// Messages that are dropped in one transaction, since dispatchers wait for it.
const DROPPED_AT_ONCE: i64 = 500;

/// Drops some of the messages that expired before anybody delivered them;
/// answers how many.
#[derive(Debug)]
pub struct DropExpired {
    /// Now, ms.
    pub now: i64,
}

impl Operation for DropExpired {
    type State = Outbox;
    type Output = usize;

    fn run(self, state: &mut Outbox) -> Result<usize, Fault> {
        state.store.write(LockKey::Job("outbox"), |connection| {
            let mut dropped = 0;
            for message in outbox::expired(connection, self.now, DROPPED_AT_ONCE)? {
                dropped += usize::from(outbox::drop_unsent(connection, &message)?);
            }
            Ok(dropped)
        })
    }
}

/// How much waits.
#[derive(Debug)]
pub struct QueueDepth;

impl Operation for QueueDepth {
    type State = Outbox;
    type Output = Depth;

    fn run(self, state: &mut Outbox) -> Result<Depth, Fault> {
        Ok(outbox::depth(state.store.read())?)
    }
}
