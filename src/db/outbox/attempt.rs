//! What the queue keeps of an attempt.

use diesel::prelude::*;

use super::super::on_backend::OnBackend as _;
use crate::db::schema::outbox::dsl;
use crate::db::schema::outbox_failures;
use crate::db::{Conn, DbError};
use crate::domain::message::{InstanceId, MessageId};

/// Records why the last attempt failed. Addresses and codes must be masked.
pub fn record_failure(connection: &mut Conn, id: &MessageId, reason: &str) -> Result<(), DbError> {
    diesel::update(outbox_failures::table.find(id.as_str()))
        .set(outbox_failures::last_failure.eq(reason))
        .execute_on(connection)?;
    Ok(())
}

/// Replaces the payload of a message on which `instance` holds the lease.
pub fn set_payload(
    connection: &mut Conn,
    instance: &InstanceId,
    id: &MessageId,
    payload: &str,
) -> Result<(), DbError> {
    let held = dsl::outbox
        .find(id.as_str())
        .filter(dsl::lease_owner.eq(instance.as_str()));
    diesel::update(held)
        .set(dsl::payload.eq(payload))
        .execute_on(connection)?;
    Ok(())
}
