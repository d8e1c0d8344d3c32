//! Deletes all rows about a person.

use diesel::prelude::*;

use super::queued_messages;
use crate::db::erasures::{self, Erased};
use crate::db::schema::{
    accepted_terms, access_tokens, accounts, association_removals, associations, ephemeral_keys,
    ignored_statements, invites, outbox, validation_sessions,
};
use crate::db::{Conn, DbError, account_admin, journal, statements};
use crate::domain::ids::{Mxid, ServerName};
use crate::domain::merge::Statements;
use crate::domain::person::Person;
use crate::domain::subject_key::SubjectKey;
use crate::domain::threepid::ThreePid;

/// How bindings are removed.
pub struct Removal<'a> {
    /// The name of this server.
    pub origin: &'a ServerName,
    /// The key of the hashes that stay.
    pub key: &'a SubjectKey,
    /// The newest change that all peers have received; `i64::MAX` without peers.
    pub confirmed: i64,
    /// Now, ms.
    pub now: i64,
}

impl Removal<'_> {
    fn has_peers(&self) -> bool {
        self.confirmed < i64::MAX
    }
}

/// Deletes messages, sessions, invites and accounts of a person. Blocks stay, under keyed
/// hashes.
pub fn erase_all(connection: &mut Conn, person: &Person, key: &SubjectKey) -> Result<(), DbError> {
    for message in queued_messages(connection, person)? {
        diesel::delete(outbox::table.find(&message.id)).execute(connection)?;
    }
    for threepid in &person.threepids {
        use validation_sessions::dsl;
        let (medium, address) = (threepid.medium().as_str(), threepid.address());
        let sessions = dsl::validation_sessions
            .filter(dsl::address.eq(address))
            .filter(dsl::medium.eq(medium));
        diesel::delete(sessions).execute(connection)?;
        let ignored = ignored_statements::table
            .filter(ignored_statements::address.eq(address))
            .filter(ignored_statements::medium.eq(medium));
        diesel::delete(ignored).execute(connection)?;
        let received: Vec<(i64, String, Option<i64>)> = invites::table
            .filter(invites::address.eq(address))
            .filter(invites::medium.eq(medium))
            .select(INVITE_COLUMNS)
            .load(connection)?;
        delete_invites(connection, received)?;
    }
    for user in &person.users {
        account_admin::hash_block(connection, user, key)?;
        let user = user.as_str();
        let sent: Vec<(i64, String, Option<i64>)> = invites::table
            .filter(invites::sender.eq(user))
            .select(INVITE_COLUMNS)
            .load(connection)?;
        delete_invites(connection, sent)?;
        diesel::delete(accepted_terms::table.filter(accepted_terms::user_id.eq(user)))
            .execute(connection)?;
        diesel::delete(access_tokens::table.filter(access_tokens::user_id.eq(user)))
            .execute(connection)?;
        diesel::delete(accounts::table.find(user)).execute(connection)?;
    }
    Ok(())
}

const INVITE_COLUMNS: (invites::id, invites::ephemeral_key, invites::delivered_at) =
    (invites::id, invites::ephemeral_key, invites::delivered_at);

/// The key of an invite that a homeserver has taken stays valid: it says nothing about
/// the person, and a room still refers to it (PUB-09).
fn delete_invites(
    connection: &mut Conn,
    invites: Vec<(i64, String, Option<i64>)>,
) -> Result<(), DbError> {
    for (id, key, delivered_at) in invites {
        if delivered_at.is_none() {
            diesel::delete(ephemeral_keys::table.find(key)).execute(connection)?;
        }
        diesel::delete(invites::table.find(id)).execute(connection)?;
    }
    Ok(())
}

/// Removes the bindings of a person. Must come last in its transaction, as
/// [`journal::record_change`].
pub fn erase_bindings(
    connection: &mut Conn,
    person: &Person,
    removal: &Removal<'_>,
) -> Result<(), DbError> {
    for threepid in &person.threepids {
        remove_threepid(connection, threepid, removal)?;
    }
    for user in &person.users {
        remove_other_bindings(connection, user, removal)?;
    }
    Ok(())
}

/// Removes a 3PID: its bindings by all servers, and earlier removals.
fn remove_threepid(
    connection: &mut Conn,
    threepid: &ThreePid,
    removal: &Removal<'_>,
) -> Result<(), DbError> {
    let said = statements::find(connection, threepid)?;
    let (medium, address) = (threepid.medium().as_str(), threepid.address());
    let change = journal::find(connection, medium, address)?;
    if said == Statements::default() && change.is_none() {
        return Ok(());
    }
    let is_bound = said.has_bindings();
    let ts = if is_bound {
        said.next_ts(removal.now)
    } else {
        said.answer().map_or(removal.now, |answer| answer.counts_at)
    };
    delete_statements(connection, threepid)?;
    let journal_id = if is_bound && removal.has_peers() {
        statements::store_removal(connection, threepid, removal.origin, 0, ts, ts)?;
        journal::record_change(connection, threepid, Some(ts), false)?;
        journal::find(connection, medium, address)?
    } else {
        change.filter(|id| *id > removal.confirmed)
    };
    match journal_id {
        None => journal::forget(connection, threepid)?,
        // Erased before: it does not wait longer because of that.
        Some(id) if !is_bound && erasures::is_waiting_for(connection, id)? => {
            erasures::raise(connection, threepid, ts)?;
            return Ok(());
        }
        Some(_) => {}
    }
    let erased = Erased {
        subject: removal.key.threepid(threepid),
        ts,
        erased_at: removal.now,
        journal_id,
    };
    erasures::store(connection, erased)
}

fn delete_statements(connection: &mut Conn, threepid: &ThreePid) -> Result<(), DbError> {
    let (medium, address) = (threepid.medium().as_str(), threepid.address());
    let bound = associations::table
        .filter(associations::address.eq(address))
        .filter(associations::medium.eq(medium));
    diesel::delete(bound).execute(connection)?;
    let removed = association_removals::table
        .filter(association_removals::address.eq(address))
        .filter(association_removals::medium.eq(medium));
    diesel::delete(removed).execute(connection)?;
    Ok(())
}

/// Removes bindings to a user that do not count, because the address is bound to
/// another one since.
fn remove_other_bindings(
    connection: &mut Conn,
    user: &Mxid,
    removal: &Removal<'_>,
) -> Result<(), DbError> {
    use associations::dsl;
    let of_user = dsl::associations.filter(dsl::mxid.eq(user.as_str()));
    let own: Vec<(String, String)> = of_user
        .filter(dsl::origin.eq(removal.origin.as_str()))
        .select((dsl::medium, dsl::address))
        .load(connection)?;
    let mut is_bound = !own.is_empty();
    for (medium, address) in own {
        // Such an address cannot be pushed either.
        let Ok(threepid) = ThreePid::parse(&medium, &address) else {
            continue;
        };
        let said = statements::find(connection, &threepid)?;
        let at = said.removal_ts(removal.origin.as_str(), removal.now);
        statements::store_removal(connection, &threepid, removal.origin, 0, at, at)?;
        let restates = said.has_others_than(removal.origin.as_str());
        journal::record_change(connection, &threepid, Some(at), restates)?;
    }
    is_bound |= diesel::delete(of_user).execute(connection)? > 0;
    // A peer may know a binding that this server has not received yet.
    if !is_bound && !removal.has_peers() {
        return Ok(());
    }
    let erased = Erased {
        subject: removal.key.user(user),
        ts: removal.now,
        erased_at: removal.now,
        journal_id: None,
    };
    erasures::store(connection, erased)
}
