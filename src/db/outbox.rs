//! The durable queue of what must leave the house.

use diesel::dsl::{count_star, min};
use diesel::prelude::*;

use super::schema::outbox::{self, dsl};
use super::send_limits::Charge;
use super::{Conn, DbError, invites, send_limits, sessions};
use crate::domain::secret::Sid;

/// A queued message. Times are milliseconds since the epoch.
#[derive(Clone, Queryable, Selectable, Insertable)]
#[diesel(table_name = outbox)]
pub struct QueuedMessage {
    /// Random, unique.
    pub id: String,
    /// What it is: `mail`, `invite`, `sms` or `onbind`.
    pub kind: String,
    /// What to send, as JSON.
    pub payload: String,
    /// What is undone when it is dropped: the attempt of the session with that
    /// sid, or for an `invite` the invite with that token; empty when nothing is.
    /// For an `onbind` the 3PID, whose next notice replaces it.
    pub subject: String,
    /// The attempt of a session that made it.
    pub send_attempt: i64,
    /// The attempt that counts again when it is dropped.
    pub previous_attempt: Option<i64>,
    /// What it took from the send limits, as JSON of [`Charge`].
    pub limits: String,
    /// How often delivery was tried.
    pub tries: i32,
    /// When it was queued.
    pub created_at: i64,
    /// When it is to be tried next.
    pub due_at: i64,
    /// Until then a client waits for the outcome; 0 once a client was told that
    /// it is on its way.
    pub answer_until: i64,
    /// When it is no longer worth sending.
    pub expires_at: i64,
    /// The instance whose client waits, and
    pub home: String,
    /// until when only that instance may take it.
    pub home_until: i64,
    /// The instance that is delivering it, and
    pub lease_owner: String,
    /// until when nobody else may.
    pub lease_until: i64,
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

/// `answer_until` of a message of which a client was told that it is on its way.
const PROMISED: i64 = 0;

/// How much waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Depth {
    /// Messages that are not handed over yet.
    pub messages: i64,
    /// When the oldest of them was queued, ms.
    pub oldest: Option<i64>,
}

/// Queues a message.
///
/// # Errors
/// When the database does not answer.
pub fn insert(connection: &mut Conn, message: &QueuedMessage) -> Result<(), DbError> {
    diesel::insert_into(dsl::outbox)
        .values(message.clone())
        .execute(connection)?;
    Ok(())
}

/// Takes up to `limit` due messages of `kinds` for `owner` until `lease_until`, but none of
/// `in_flight`: each is given to one owner only, however many ask at once.
///
/// # Errors
/// When the database does not answer.
pub fn take_due(
    connection: &mut Conn,
    owner: &str,
    kinds: &[&str],
    now: i64,
    lease_until: i64,
    limit: i64,
    in_flight: &[String],
) -> Result<Vec<QueuedMessage>, DbError> {
    let wanted = usize::try_from(limit).unwrap_or_default();
    let overhead = i64::try_from(in_flight.len()).unwrap_or(i64::MAX);
    let candidates: Vec<String> = dsl::outbox
        .filter(dsl::due_at.le(now))
        .filter(dsl::kind.eq_any(kinds))
        .filter(dsl::lease_until.lt(now))
        .filter(dsl::home.eq(owner).or(dsl::home_until.lt(now)))
        .order(dsl::due_at.asc())
        .limit(limit.saturating_add(overhead))
        .select(dsl::id)
        .load(connection)?;
    let mut taken = Vec::with_capacity(candidates.len());
    let free = candidates.into_iter().filter(|id| !in_flight.contains(id));
    for id in free.take(wanted) {
        let mine = diesel::update(dsl::outbox.find(&id).filter(dsl::lease_until.lt(now)))
            .set((
                dsl::lease_owner.eq(owner),
                dsl::lease_until.eq(lease_until),
                dsl::tries.eq(dsl::tries + 1),
            ))
            .execute(connection)?;
        if mine == 1 {
            taken.push(
                dsl::outbox
                    .find(&id)
                    .select(QueuedMessage::as_select())
                    .first(connection)?,
            );
        }
    }
    Ok(taken)
}

/// Lets `owner` keep the messages that it delivers until `lease_until`.
///
/// # Errors
/// When the database does not answer.
pub fn extend_leases(
    connection: &mut Conn,
    owner: &str,
    ids: &[String],
    lease_until: i64,
) -> Result<(), DbError> {
    let mine = dsl::outbox
        .filter(dsl::id.eq_any(ids))
        .filter(dsl::lease_owner.eq(owner));
    diesel::update(mine)
        .set(dsl::lease_until.eq(lease_until))
        .execute(connection)?;
    Ok(())
}

/// Puts a message that `owner` holds back into the queue, to be tried at
/// `due_at`.
///
/// # Errors
/// When the database does not answer.
pub fn postpone(connection: &mut Conn, owner: &str, id: &str, due_at: i64) -> Result<(), DbError> {
    diesel::update(dsl::outbox.find(id).filter(dsl::lease_owner.eq(owner)))
        .set((
            dsl::due_at.eq(due_at),
            dsl::lease_until.eq(0),
            dsl::lease_owner.eq(""),
        ))
        .execute(connection)?;
    Ok(())
}

/// Takes a message that was handed over out of the queue.
///
/// # Errors
/// When the database does not answer.
pub fn remove(connection: &mut Conn, id: &str) -> Result<(), DbError> {
    diesel::delete(dsl::outbox.find(id)).execute(connection)?;
    Ok(())
}

/// Drops a message that will not be sent; the attempt that made it does not
/// count (SES-11), an invite is withdrawn (INV-18) unless its sender was told
/// that it holds, and what it took from the send limits is given back. Answers
/// whether it was there as it is given: what somebody else settled or took
/// meanwhile is left alone, so that nothing is given back twice.
///
/// # Errors
/// When the database does not answer.
pub fn drop_unsent(connection: &mut Conn, message: &QueuedMessage) -> Result<bool, DbError> {
    let unchanged = || {
        dsl::outbox
            .find(&message.id)
            .filter(dsl::lease_owner.eq(&message.lease_owner))
            .filter(dsl::tries.eq(message.tries))
    };
    // In one statement each: the promise may be given at the same time.
    let unpromised = unchanged().filter(dsl::answer_until.ne(PROMISED));
    let promised = diesel::delete(unpromised).execute(connection)? != 1;
    if promised && diesel::delete(unchanged()).execute(connection)? != 1 {
        return Ok(false);
    }
    let taken: Vec<Charge> = serde_json::from_str(&message.limits)
        .map_err(|_unreadable| DbError::Corrupt("outbox.limits"))?;
    send_limits::give_back(connection, &taken)?;
    match message.kind.as_str() {
        "invite" if !promised => invites::withdraw(connection, &message.subject)?,
        "mail" | "sms" => take_attempt_back(connection, message)?,
        _ => {}
    }
    Ok(true)
}

fn take_attempt_back(connection: &mut Conn, message: &QueuedMessage) -> Result<(), DbError> {
    // A later attempt that is dropped as well must not bring this one back.
    let later = dsl::outbox
        .filter(dsl::subject.eq(&message.subject))
        .filter(dsl::previous_attempt.eq(message.send_attempt));
    diesel::update(later)
        .set(dsl::previous_attempt.eq(message.previous_attempt))
        .execute(connection)?;
    sessions::take_attempt_back(
        connection,
        &message.subject,
        message.send_attempt,
        message.previous_attempt,
    )
}

impl QueuedMessage {
    /// A message that is due at once, that nobody waits for and any instance may
    /// take.
    #[must_use]
    pub fn fresh(id: String, kind: &str, payload: String, now: i64, expires_at: i64) -> Self {
        Self {
            id,
            kind: kind.to_owned(),
            payload,
            subject: String::new(),
            send_attempt: 0,
            previous_attempt: None,
            limits: "[]".to_owned(),
            tries: 0,
            created_at: now,
            due_at: now,
            answer_until: PROMISED,
            expires_at,
            home: String::new(),
            home_until: 0,
            lease_owner: String::new(),
            lease_until: 0,
        }
    }

    /// Whether a client was told that it is on its way.
    #[must_use]
    pub fn is_promised(&self) -> bool {
        self.answer_until == PROMISED
    }
}

/// Notes that a client is told that the message is on its way. Answers whether
/// it was still there: another turn may have settled it a moment ago.
///
/// # Errors
/// When the database does not answer.
pub fn promise(connection: &mut Conn, id: &str) -> Result<bool, DbError> {
    let promised = diesel::update(dsl::outbox.find(id))
        .set(dsl::answer_until.eq(PROMISED))
        .execute(connection)?;
    Ok(promised == 1)
}

/// The message that the attempt of a session waits for, if it is still queued.
///
/// # Errors
/// When the database does not answer.
pub fn of_attempt(
    connection: &mut Conn,
    sid: &Sid,
    attempt: i64,
) -> Result<Option<String>, DbError> {
    Ok(dsl::outbox
        .filter(dsl::subject.eq(sid.expose()))
        .filter(dsl::send_attempt.ge(attempt))
        .order(dsl::send_attempt.desc())
        .select(dsl::id)
        .first(connection)
        .optional()?)
}

/// Up to `limit` messages that have expired and are in nobody's hands.
///
/// # Errors
/// When the database does not answer.
pub fn expired(connection: &mut Conn, now: i64, limit: i64) -> Result<Vec<QueuedMessage>, DbError> {
    Ok(dsl::outbox
        .filter(dsl::expires_at.lt(now))
        .filter(dsl::lease_until.lt(now))
        .limit(limit)
        .select(QueuedMessage::as_select())
        .load(connection)?)
}

/// Takes notices of a subject out of the queue that a newer one replaces; one
/// that is being delivered stays.
///
/// # Errors
/// When the database does not answer.
pub fn replace_notices(connection: &mut Conn, subject: &str, now: i64) -> Result<(), DbError> {
    let older = dsl::outbox
        .filter(dsl::subject.eq(subject))
        .filter(dsl::kind.eq("onbind"))
        .filter(dsl::lease_until.lt(now));
    diesel::delete(older).execute(connection)?;
    Ok(())
}

/// The message, unless it was settled.
///
/// # Errors
/// When the database does not answer.
pub fn find(connection: &mut Conn, id: &str) -> Result<Option<QueuedMessage>, DbError> {
    Ok(dsl::outbox
        .find(id)
        .select(QueuedMessage::as_select())
        .first(connection)
        .optional()?)
}

/// How much waits.
///
/// # Errors
/// When the database does not answer.
pub fn depth(connection: &mut Conn) -> Result<Depth, DbError> {
    let (messages, oldest) = dsl::outbox
        .select((count_star(), min(dsl::created_at)))
        .first(connection)?;
    Ok(Depth { messages, oldest })
}
