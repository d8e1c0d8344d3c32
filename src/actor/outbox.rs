//! The outbox actor: the durable queue of messages to deliver.

use super::pool::{Fault, Kind, Operation, State};
pub use crate::db::outbox::Depth;
use crate::db::outbox::{self, QueuedMessage};
use crate::db::{Conn, DbError, LockKey, Store, invites, sessions, unsent};
use crate::domain::message::{InstanceId, MessageId, MessageKind};
use crate::domain::secret::{InviteToken, Sid};
use crate::domain::time::UnixMillis;

/// The state of one thread.
pub struct Outbox {
    /// Its connection.
    pub store: Store,
}

impl State for Outbox {
    const NAME: &'static str = "outbox";
}

const LOCK: LockKey<'static> = LockKey::Job("outbox");

/// Leases due messages to an instance.
#[derive(Debug)]
pub struct TakeDue {
    /// The instance that will deliver them.
    pub instance: InstanceId,
    /// The kinds that it delivers.
    pub kinds: outbox::Kinds,
    /// Now.
    pub now: UnixMillis,
    /// The end of the leases.
    pub lease_until: UnixMillis,
    /// At most so many.
    pub limit: i64,
    /// Messages that it is delivering already. They are not taken again, even if
    /// a clock that jumped says that their lease has expired.
    pub in_flight: Vec<MessageId>,
}

impl Operation for TakeDue {
    type State = Outbox;
    type Output = Vec<QueuedMessage>;

    fn run(self, state: &mut Outbox) -> Result<Self::Output, Fault> {
        state.store.write(LOCK, |connection| {
            Ok(outbox::take_due(
                connection,
                &self.instance,
                self.kinds,
                self.now,
                self.lease_until,
                self.limit,
                &self.in_flight,
            )?)
        })
    }
}

/// Renews the leases of messages that are being delivered.
#[derive(Debug)]
pub struct ExtendLeases {
    /// The instance that delivers them.
    pub instance: InstanceId,
    /// The messages.
    pub in_flight: Vec<MessageId>,
    /// The new end of the leases.
    pub lease_until: UnixMillis,
}

impl Operation for ExtendLeases {
    type State = Outbox;
    type Output = ();

    fn run(self, state: &mut Outbox) -> Result<(), Fault> {
        state.store.write(LOCK, |connection| {
            let (instance, ids) = (&self.instance, &self.in_flight);
            Ok(outbox::extend_leases(
                connection,
                instance,
                ids,
                self.lease_until,
            )?)
        })
    }
}

/// How a delivery ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Settlement {
    /// The relay, provider or homeserver accepted the message.
    Delivered,
    /// It will not be sent: refused for good, or no longer worth sending.
    Dropped,
    /// It was taken and not tried; any instance may take it from then on.
    Released(UnixMillis),
    /// The attempt failed, and it is tried again.
    Failed(Retry),
    /// It is tried again, but may have been delivered: no client may be told any
    /// more that it was not sent. Its payload is stored as it is given.
    Repeated(Retry),
    /// It cannot be sent until the administrator has corrected something: it is
    /// dropped, unless a client was told that it is on its way. Then it is tried
    /// again.
    Withdrawn(Retry),
    /// It may have been delivered and is not tried again. The attempt counts, and
    /// nothing is given back to the send limits.
    LeftAlone,
}

/// The next attempt, and why the last one failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Retry {
    /// When it is tried again.
    pub due_at: UnixMillis,
    /// Why the attempt failed, without addresses and codes. Kept with the message.
    pub reason: String,
}

impl Retry {
    fn postpone(&self, connection: &mut Conn, message: &QueuedMessage) -> Result<(), DbError> {
        let (id, instance) = (&message.id, &message.lease_owner);
        outbox::record_failure(connection, id, &self.reason)?;
        outbox::postpone(connection, instance, id, self.due_at)
    }
}

/// Records how a delivery ended.
#[derive(Debug)]
pub struct Settle {
    /// The message.
    pub message: QueuedMessage,
    /// How its delivery ended.
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
        let (id, instance) = (&message.id, &message.lease_owner);
        state.store.write(LockKey::Message(id), |connection| {
            match settlement {
                Settlement::Delivered | Settlement::LeftAlone => outbox::remove(connection, id)?,
                Settlement::Dropped => {
                    unsent::drop_unsent(connection, &message)?;
                }
                Settlement::Released(now) => {
                    outbox::release(connection, instance, id, now)?;
                }
                Settlement::Failed(retry) => retry.postpone(connection, &message)?,
                Settlement::Repeated(retry) => {
                    outbox::acknowledge(connection, id)?;
                    outbox::set_payload(connection, instance, id, &message.payload)?;
                    retry.postpone(connection, &message)?;
                }
                Settlement::Withdrawn(retry) => {
                    if !unsent::drop_unacknowledged(connection, &message)? {
                        retry.postpone(connection, &message)?;
                    }
                }
            }
            Ok(())
        })
    }
}

/// What queued a message. It is undone when the message is dropped.
#[derive(Debug, Clone)]
pub enum Subject {
    /// An attempt to validate a 3PID.
    Attempt {
        /// The session.
        sid: Sid,
        /// The number of the attempt.
        send_attempt: i64,
    },
    /// An invite.
    Invite {
        /// Its token.
        token: InviteToken,
    },
}

/// A client stops waiting for a message: decides on the response.
#[derive(Debug)]
pub struct StopWaiting {
    /// The message.
    pub id: MessageId,
    /// What queued it.
    pub subject: Subject,
    /// Now.
    pub now: UnixMillis,
}

/// The response to a client whose wait has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StopWaitingOutcome {
    /// The message is on its way, and stays in the queue.
    Acknowledged,
    /// Every try failed so far; the message, of this kind, was dropped just now.
    GivenUp(MessageKind),
    /// The message was delivered a moment ago.
    Delivered,
    /// The message was dropped a moment ago.
    Dropped,
}

impl Operation for StopWaiting {
    type State = Outbox;
    type Output = StopWaitingOutcome;

    fn run(self, state: &mut Outbox) -> Result<StopWaitingOutcome, Fault> {
        state.store.write(LOCK, |connection| {
            if let Some(message) = outbox::find(connection, &self.id)? {
                let is_under_way = message.tries == 0 || message.lease_until >= self.now;
                if is_under_way || message.acknowledged {
                    // Other clients may wait for it too, and must not drop it.
                    if outbox::acknowledge(connection, &message.id)? {
                        return Ok(StopWaitingOutcome::Acknowledged);
                    }
                } else if unsent::drop_unsent(connection, &message)? {
                    return Ok(StopWaitingOutcome::GivenUp(message.kind));
                }
            }
            let was_sent = match &self.subject {
                Subject::Attempt { sid, send_attempt } => {
                    sessions::attempt_counts(connection, sid, *send_attempt)?
                }
                Subject::Invite { token } => invites::exists(connection, token)?,
            };
            Ok(if was_sent {
                StopWaitingOutcome::Delivered
            } else {
                StopWaitingOutcome::Dropped
            })
        })
    }
}

/// Messages that are dropped in one transaction, since workers wait for its lock.
const MAX_DROPPED: i64 = 500;

/// Drops expired messages that no instance delivers. Returns how many; there may
/// be more.
#[derive(Debug)]
pub struct DropExpired {
    /// Now.
    pub now: UnixMillis,
}

impl Operation for DropExpired {
    type State = Outbox;
    type Output = usize;
    const KIND: Kind = Kind::LongWrite;

    fn run(self, state: &mut Outbox) -> Result<usize, Fault> {
        state.store.write(LOCK, |connection| {
            let expired = outbox::expired(connection, self.now, MAX_DROPPED)?;
            Ok(unsent::drop_all_unsent(connection, &expired)?)
        })
    }
}

/// The size of the queue.
#[derive(Debug)]
pub struct QueueDepth;

impl Operation for QueueDepth {
    type State = Outbox;
    type Output = Depth;
    const KIND: Kind = Kind::Read;

    fn run(self, state: &mut Outbox) -> Result<Depth, Fault> {
        Ok(outbox::depth(&mut state.store.read())?)
    }
}
