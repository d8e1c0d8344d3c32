//! What becomes of a message that is never sent.

use diesel::prelude::*;

use super::outbox::QueuedMessage;
use super::schema::outbox::dsl;
use super::send_limits::Charge;
use super::{Conn, DbError, invites, send_limits, sessions};
use crate::domain::message::MessageKind;

/// Drops a message that will not be sent.
///
/// If no client was told that it is on its way, what queued it is undone: the attempt of
/// the session does not count (SES-11), or the invite is withdrawn (INV-18), and the
/// recipient's share of the send limits is given back. The session is removed if no
/// client has got its sid.
///
/// If a client was told so, nothing is given back: it could try codes at the session
/// otherwise, over and over. The session ends, unless an earlier message of it may have
/// arrived.
///
/// Returns whether the message was there as it is given. One that another
/// instance has settled or taken meanwhile is left alone, so that nothing is
/// given back twice.
pub fn drop_unsent(connection: &mut Conn, message: &QueuedMessage) -> Result<bool, DbError> {
    Ok(drop_all_unsent(connection, std::slice::from_ref(message))? == 1)
}

/// The same for several messages. Returns how many were there.
pub fn drop_all_unsent(
    connection: &mut Conn,
    messages: &[QueuedMessage],
) -> Result<usize, DbError> {
    let (mut dropped, mut refunded) = (0, Vec::new());
    for message in messages {
        // A statement for each case, since it may be acknowledged at the same time.
        let was_there = drop_as(connection, message, Case::Unacknowledged(&mut refunded))?
            || drop_as(connection, message, Case::Acknowledged)?;
        dropped += usize::from(was_there);
    }
    send_limits::refund_recipients(connection, &refunded)?;
    Ok(dropped)
}

/// Drops a message as [`drop_unsent`] does, unless a client was told that it is on
/// its way.
pub fn drop_unacknowledged(
    connection: &mut Conn,
    message: &QueuedMessage,
) -> Result<bool, DbError> {
    let mut refunded = Vec::new();
    let was_there = drop_as(connection, message, Case::Unacknowledged(&mut refunded))?;
    send_limits::refund_recipients(connection, &refunded)?;
    Ok(was_there)
}

/// Whether a client was told that a message is on its way.
enum Case<'a> {
    Acknowledged,
    /// What it was charged is to be given back.
    Unacknowledged(&'a mut Vec<Charge>),
}

fn drop_as(
    connection: &mut Conn,
    message: &QueuedMessage,
    case: Case<'_>,
) -> Result<bool, DbError> {
    let acknowledged = matches!(case, Case::Acknowledged);
    let unchanged = dsl::outbox
        .find(message.id.as_str())
        .filter(dsl::lease_owner.eq(message.lease_owner.as_str()))
        .filter(dsl::tries.eq(message.tries))
        .filter(dsl::acknowledged.eq(acknowledged));
    if diesel::delete(unchanged).execute(connection)? != 1 {
        return Ok(false);
    }
    if let Case::Unacknowledged(refunded) = case {
        let charges: Vec<Charge> = serde_json::from_str(&message.limits)
            .map_err(|_unreadable| DbError::Corrupt("outbox.limits"))?;
        refunded.extend(charges);
    }
    match message.kind {
        MessageKind::Invite if !acknowledged => invites::withdraw(connection, &message.subject)?,
        MessageKind::Mail | MessageKind::Sms => {
            take_attempt_back(connection, message, acknowledged)?;
        }
        MessageKind::Invite | MessageKind::Onbind => {}
    }
    Ok(true)
}

fn take_attempt_back(
    connection: &mut Conn,
    message: &QueuedMessage,
    acknowledged: bool,
) -> Result<(), DbError> {
    let sid = message.subject.as_str();
    // A later attempt that is dropped as well must not bring this one back.
    let later = dsl::outbox
        .filter(dsl::subject.eq(sid))
        .filter(dsl::previous_attempt.eq(message.send_attempt));
    let later = diesel::update(later)
        .set(dsl::previous_attempt.eq(message.previous_attempt))
        .execute(connection)?;
    sessions::revert_attempt(
        connection,
        sid,
        message.send_attempt,
        message.previous_attempt,
    )?;
    let has_other_message = message.previous_attempt.is_some() || later > 0;
    match (has_other_message, acknowledged) {
        (true, _) => Ok(()),
        (false, true) => sessions::end(connection, sid),
        (false, false) => sessions::remove_unsent(connection, sid),
    }
}
