//! The outbox: the durable queue of messages to deliver.

mod attempt;

use std::time::Duration;

use diesel::dsl::{count_star, min};
use diesel::prelude::*;

use super::on_backend::OnBackend as _;
use super::schema::outbox::{self, dsl};
use super::{Conn, DbError, with_backend};
use crate::domain::message::{InstanceId, MessageId, MessageKind};
use crate::domain::secret::Sid;
use crate::domain::time::UnixMillis;

pub use self::attempt::{record_failure, set_payload};

/// A queued message.
#[derive(Clone, Queryable, Selectable, Insertable)]
#[diesel(table_name = outbox, treat_none_as_default_value = false)]
pub struct QueuedMessage {
    /// Its id.
    #[diesel(serialize_as = String, deserialize_as = String)]
    pub id: MessageId,
    /// What it is.
    #[diesel(serialize_as = String, deserialize_as = String)]
    pub kind: MessageKind,
    /// What to send, as JSON.
    pub payload: String,
    /// What is undone when the message is dropped: for a mail or an SMS the
    /// attempt of the session with this sid, for an invite the invite with this
    /// token. For onbind the 3PID: a newer notification about it replaces this
    /// one.
    pub subject: String,
    /// The attempt of the session that queued the message.
    pub send_attempt: i64,
    /// The attempt that counts again when the message is dropped.
    pub previous_attempt: Option<i64>,
    /// What it was charged to the send limits, as JSON of
    /// [`Charge`](super::send_limits::Charge).
    pub limits: String,
    /// Deliveries tried so far.
    pub tries: i32,
    /// When it was queued.
    #[diesel(serialize_as = i64, deserialize_as = i64)]
    pub created_at: UnixMillis,
    /// When it is to be tried next.
    #[diesel(serialize_as = i64, deserialize_as = i64)]
    pub due_at: UnixMillis,
    /// Until then a client waits for the outcome.
    #[diesel(serialize_as = i64, deserialize_as = i64)]
    pub answer_until: UnixMillis,
    /// When it is no longer worth sending.
    #[diesel(serialize_as = i64, deserialize_as = i64)]
    pub expires_at: UnixMillis,
    /// The instance whose client waits. No other instance takes the message until
    /// shortly after `answer_until`, so that this client gets the outcome.
    #[diesel(serialize_as = String, deserialize_as = String)]
    pub affinity_instance: InstanceId,
    /// The instance that is delivering it. No other instance takes the message
    /// until `lease_until`.
    #[diesel(serialize_as = String, deserialize_as = String)]
    pub lease_owner: InstanceId,
    /// See `lease_owner`.
    #[diesel(serialize_as = i64, deserialize_as = i64)]
    pub lease_until: UnixMillis,
    /// Whether a client was told that the message is on its way.
    pub acknowledged: bool,
}

impl std::fmt::Debug for QueuedMessage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("QueuedMessage")
            .field("id", &self.id)
            .field("kind", &self.kind)
            .field("tries", &self.tries)
            .finish_non_exhaustive()
    }
}

impl QueuedMessage {
    /// A message that is due at once, that no client waits for and that any
    /// instance may take.
    #[must_use]
    pub fn new(
        id: MessageId,
        kind: MessageKind,
        payload: String,
        now: UnixMillis,
        expires_at: UnixMillis,
    ) -> Self {
        Self {
            id,
            kind,
            payload,
            subject: String::new(),
            send_attempt: 0,
            previous_attempt: None,
            limits: "[]".to_owned(),
            tries: 0,
            created_at: now,
            due_at: now,
            answer_until: now,
            expires_at,
            affinity_instance: InstanceId::none(),
            lease_owner: InstanceId::none(),
            lease_until: UnixMillis::EPOCH,
            acknowledged: true,
        }
    }
}

/// How long after `answer_until` only the instance whose client waits takes a
/// message: it may be about to try it once more.
const AFFINITY_GRACE: Duration = Duration::from_secs(2);

/// The size of the queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Depth {
    /// Messages that are not delivered yet.
    pub messages: i64,
    /// When the oldest of them was queued.
    pub oldest: Option<UnixMillis>,
}

/// Queues a message.
pub fn insert(connection: &mut Conn, message: &QueuedMessage) -> Result<(), DbError> {
    diesel::insert_into(dsl::outbox)
        .values(message.clone())
        .execute_on(connection)?;
    Ok(())
}

/// The kinds of messages that a worker takes; the same twice if there is only one. A list of
/// any length would need a query that does not stay prepared.
pub type Kinds = [MessageKind; 2];

/// Leases up to `limit` due messages of `kinds` to `instance` until
/// `lease_until`, except those in `in_flight`. Of several instances that try at
/// once, one gets a message.
pub fn take_due(
    connection: &mut Conn,
    instance: &InstanceId,
    kinds: Kinds,
    now: UnixMillis,
    lease_until: UnixMillis,
    limit: i64,
    in_flight: &[MessageId],
) -> Result<Vec<QueuedMessage>, DbError> {
    let wanted = usize::try_from(limit).unwrap_or_default();
    let [one, other] = kinds.map(MessageKind::as_str);
    // Those in flight may be due by a clock that has jumped.
    let overhead = i64::try_from(in_flight.len()).unwrap_or(i64::MAX);
    let candidates: Vec<String> = dsl::outbox
        .filter(dsl::due_at.le(now.as_i64()))
        .filter(dsl::kind.eq(one).or(dsl::kind.eq(other)))
        .filter(dsl::lease_until.lt(now.as_i64()))
        .filter(
            dsl::affinity_instance
                .eq(instance.as_str())
                .or(dsl::affinity_instance.eq(InstanceId::none().as_str()))
                .or(dsl::answer_until.lt(now.before(AFFINITY_GRACE).as_i64())),
        )
        .order(dsl::due_at.asc())
        .limit(limit.saturating_add(overhead))
        .select(dsl::id)
        .load_on(connection)?;
    let mut taken = Vec::with_capacity(candidates.len());
    let free = candidates
        .into_iter()
        .filter(|id| !in_flight.iter().any(|other| other.as_str() == id));
    for id in free.take(wanted) {
        let leased = diesel::update(
            dsl::outbox
                .find(&id)
                .filter(dsl::lease_until.lt(now.as_i64())),
        )
        .set((
            dsl::lease_owner.eq(instance.as_str()),
            dsl::lease_until.eq(lease_until.as_i64()),
            dsl::tries.eq(dsl::tries + 1),
        ))
        .execute_on(connection)?;
        if leased == 1 {
            let message = dsl::outbox.find(&id);
            taken.push(with_backend!(connection, inner => message
                .select(QueuedMessage::as_select())
                .first(inner))?);
        }
    }
    Ok(taken)
}

/// Renews the leases that `instance` holds on messages until `lease_until`.
pub fn extend_leases(
    connection: &mut Conn,
    instance: &InstanceId,
    ids: &[MessageId],
    lease_until: UnixMillis,
) -> Result<(), DbError> {
    let held = dsl::outbox
        .filter(dsl::id.eq_any(ids.iter().map(MessageId::as_str)))
        .filter(dsl::lease_owner.eq(instance.as_str()));
    diesel::update(held)
        .set(dsl::lease_until.eq(lease_until.as_i64()))
        .execute_on(connection)?;
    Ok(())
}

/// Ends the lease that `instance` holds on a message, which is tried again at
/// `due_at`.
pub fn postpone(
    connection: &mut Conn,
    instance: &InstanceId,
    id: &MessageId,
    due_at: UnixMillis,
) -> Result<(), DbError> {
    let held = dsl::outbox
        .find(id.as_str())
        .filter(dsl::lease_owner.eq(instance.as_str()));
    diesel::update(held)
        .set((
            dsl::due_at.eq(due_at.as_i64()),
            dsl::lease_until.eq(0),
            dsl::lease_owner.eq(InstanceId::none().as_str()),
        ))
        .execute_on(connection)?;
    Ok(())
}

/// Ends the lease that `instance` holds on a message that it did not try: the try
/// that [`take_due`] counted does not count.
pub fn release(
    connection: &mut Conn,
    instance: &InstanceId,
    id: &MessageId,
    now: UnixMillis,
) -> Result<(), DbError> {
    let held = dsl::outbox
        .find(id.as_str())
        .filter(dsl::lease_owner.eq(instance.as_str()))
        .filter(dsl::tries.gt(0));
    diesel::update(held)
        .set(dsl::tries.eq(dsl::tries - 1))
        .execute_on(connection)?;
    postpone(connection, instance, id, now)
}

/// Removes a message that was delivered.
pub fn remove(connection: &mut Conn, id: &MessageId) -> Result<(), DbError> {
    diesel::delete(dsl::outbox.find(id.as_str())).execute_on(connection)?;
    Ok(())
}

/// Records that a client is told that the message is on its way. Returns whether
/// it was still queued: it may have been settled a moment ago.
pub fn acknowledge(connection: &mut Conn, id: &MessageId) -> Result<bool, DbError> {
    let acknowledged = diesel::update(dsl::outbox.find(id.as_str()))
        .set(dsl::acknowledged.eq(true))
        .execute_on(connection)?;
    Ok(acknowledged == 1)
}

/// The queued message of an attempt of a session, if there is one.
pub fn find_by_attempt(
    connection: &mut Conn,
    sid: &Sid,
    attempt: i64,
) -> Result<Option<MessageId>, DbError> {
    let id: Option<String> = dsl::outbox
        .filter(dsl::subject.eq(sid.expose()))
        .filter(dsl::send_attempt.ge(attempt))
        .order(dsl::send_attempt.desc())
        .select(dsl::id)
        .first_on(connection)
        .optional()?;
    Ok(id.map(MessageId::from))
}

/// Up to `limit` messages that have expired and that no instance holds.
pub fn expired(
    connection: &mut Conn,
    now: UnixMillis,
    limit: i64,
) -> Result<Vec<QueuedMessage>, DbError> {
    Ok(dsl::outbox
        .filter(dsl::expires_at.lt(now.as_i64()))
        .filter(dsl::lease_until.lt(now.as_i64()))
        .limit(limit)
        .select(QueuedMessage::as_select())
        .load(connection)?)
}

/// Removes the onbind notifications about a 3PID that a newer one replaces; one
/// that is being delivered stays.
pub fn remove_replaced_onbind(
    connection: &mut Conn,
    subject: &str,
    now: UnixMillis,
) -> Result<(), DbError> {
    let older = dsl::outbox
        .filter(dsl::subject.eq(subject))
        .filter(dsl::kind.eq(MessageKind::Onbind.as_str()))
        .filter(dsl::lease_until.lt(now.as_i64()));
    diesel::delete(older).execute_on(connection)?;
    Ok(())
}

/// The message, unless it was settled.
pub fn find(connection: &mut Conn, id: &MessageId) -> Result<Option<QueuedMessage>, DbError> {
    let message = dsl::outbox.find(id.as_str());
    Ok(with_backend!(connection, inner => message
        .select(QueuedMessage::as_select())
        .first(inner))
    .optional()?)
}

/// The size of the queue.
pub fn depth(connection: &mut Conn) -> Result<Depth, DbError> {
    let (messages, oldest): (i64, Option<i64>) = dsl::outbox
        .select((count_star(), min(dsl::created_at)))
        .first_on(connection)?;
    Ok(Depth {
        messages,
        oldest: oldest.map(UnixMillis::new),
    })
}
