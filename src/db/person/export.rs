//! Reads all rows about a person.

use diesel::prelude::*;

use super::hashed::add_hashed;
use super::{json_or_text, queued_messages};
use crate::db::schema::{
    accepted_terms, access_tokens, accounts, association_journal, association_removals,
    associations, blocked_accounts, ignored_statements, invites, outbox_failures,
    validation_sessions,
};
use crate::db::{Conn, DbError};
use crate::domain::ids::Mxid;
use crate::domain::person::{
    AcceptedTermsRecord, AccountRecord, Address, AssociationRecord, BlockRecord, ChangeRecord,
    IgnoredRecord, InviteRecord, Person, PersonRecords, QueuedMessageRecord, RemovalRecord,
    SessionRecord, TokenRecord,
};
use crate::domain::person_content::without_secrets;
use crate::domain::stored_link::StoredLink;
use crate::domain::threepid::ThreePid;

/// Everything that the database has about a person.
pub fn export(connection: &mut Conn, person: &Person) -> Result<PersonRecords, DbError> {
    let mut records = PersonRecords {
        queued_messages: messages_of(connection, person)?,
        associations: associations_of(connection, person)?,
        ..PersonRecords::default()
    };
    for threepid in &person.threepids {
        of_threepid(connection, threepid, &mut records)?;
    }
    for user in &person.users {
        of_user(connection, user, &mut records)?;
    }
    add_hashed(connection, person, &mut records)?;
    Ok(records)
}

fn messages_of(
    connection: &mut Conn,
    person: &Person,
) -> Result<Vec<QueuedMessageRecord>, DbError> {
    let mut records = Vec::new();
    for message in queued_messages(connection, person)? {
        let last_failure = outbox_failures::table
            .find(&message.id)
            .select(outbox_failures::last_failure)
            .first(connection)
            .optional()?;
        // On PostgreSQL it may have been delivered between the two queries.
        let Some(last_failure) = last_failure else {
            continue;
        };
        records.push(QueuedMessageRecord {
            kind: message.kind,
            created_at: message.created_at,
            expires_at: message.expires_at,
            tries: message.tries,
            last_failure,
            limits: serde_json::from_str(&message.limits)
                .unwrap_or_else(|_invalid| vec![json_or_text(&message.limits)]),
            content: without_secrets(&message.payload),
        });
    }
    Ok(records)
}

#[derive(Queryable, Selectable)]
#[diesel(table_name = associations)]
struct AssociationRow {
    medium: String,
    address: String,
    origin: String,
    mxid: String,
    number: i64,
    ts: i64,
    stated_ts: Option<i64>,
    not_before: i64,
    not_after: i64,
    lookup_hash: String,
    signed: String,
    other_form: Option<String>,
    other_hash: Option<String>,
    second_hash: Option<String>,
    second_other_hash: Option<String>,
}

impl AssociationRow {
    fn into_record(self) -> AssociationRecord {
        let hashes = [
            Some(self.lookup_hash),
            self.other_hash,
            self.second_hash,
            self.second_other_hash,
        ];
        let hashes = hashes.into_iter().flatten();
        AssociationRecord {
            address: Address {
                medium: self.medium,
                address: self.address,
            },
            other_form: self.other_form,
            mxid: self.mxid,
            origin: self.origin,
            number: self.number,
            ts: self.ts,
            stated_ts: self.stated_ts,
            not_before: self.not_before,
            not_after: self.not_after,
            lookup_hashes: hashes.filter(|hash| !hash.is_empty()).collect(),
            signed: json_or_text(&self.signed),
        }
    }
}

/// Those of the addresses, with any user, and those of the users.
fn associations_of(
    connection: &mut Conn,
    person: &Person,
) -> Result<Vec<AssociationRecord>, DbError> {
    use associations::dsl;
    let addresses = person.threepids.iter().map(ThreePid::address);
    let users = person.users.iter().map(Mxid::as_str);
    let rows: Vec<AssociationRow> = dsl::associations
        .filter(dsl::address.eq_any(addresses).or(dsl::mxid.eq_any(users)))
        .order(dsl::id.asc())
        .select(AssociationRow::as_select())
        .load(connection)?;
    let rows = rows
        .into_iter()
        .filter(|row| {
            person.has_address(&row.medium, &row.address)
                || person.users.iter().any(|user| user.as_str() == row.mxid)
        })
        .map(AssociationRow::into_record);
    Ok(rows.collect())
}

fn of_threepid(
    connection: &mut Conn,
    threepid: &ThreePid,
    records: &mut PersonRecords,
) -> Result<(), DbError> {
    let (medium, address) = (threepid.medium().as_str(), threepid.address());
    let removals: Vec<(String, i64, i64, Option<i64>)> = association_removals::table
        .filter(association_removals::address.eq(address))
        .filter(association_removals::medium.eq(medium))
        .select((
            association_removals::origin,
            association_removals::number,
            association_removals::ts,
            association_removals::stated_ts,
        ))
        .load(connection)?;
    let removal = |(origin, number, ts, stated_ts)| RemovalRecord {
        address: threepid.into(),
        origin,
        number,
        ts,
        stated_ts,
    };
    let removals = removals.into_iter().map(removal);
    records.association_removals.extend(removals);

    let changes: Vec<(Option<i64>, bool)> = association_journal::table
        .filter(association_journal::address.eq(address))
        .filter(association_journal::medium.eq(medium))
        .select((
            association_journal::removed_at,
            association_journal::restates,
        ))
        .load(connection)?;
    let change = |(removed_at, restates)| ChangeRecord {
        address: threepid.into(),
        removed_at,
        restates,
    };
    let changes = changes.into_iter().map(change);
    records.association_journal.extend(changes);

    let ignored: Vec<(String, i64)> = ignored_statements::table
        .filter(ignored_statements::address.eq(address))
        .filter(ignored_statements::medium.eq(medium))
        .select((ignored_statements::origin, ignored_statements::ignored_at))
        .load(connection)?;
    let record = |(origin, ignored_at)| IgnoredRecord {
        address: threepid.into(),
        origin,
        ignored_at,
    };
    let ignored = ignored.into_iter().map(record);
    records.ignored_statements.extend(ignored);

    records
        .validation_sessions
        .extend(sessions_of(connection, threepid)?);
    let received: Vec<InviteRow> = invites::table
        .filter(invites::address.eq(address))
        .filter(invites::medium.eq(medium))
        .order(invites::id.asc())
        .select(InviteRow::as_select())
        .load(connection)?;
    let received = received.into_iter().map(InviteRecord::from);
    records.invites_received.extend(received);
    Ok(())
}

#[derive(Queryable, Selectable)]
#[diesel(table_name = validation_sessions)]
struct SessionRow {
    sid: String,
    created_at: i64,
    validated_at: Option<i64>,
    send_attempt: Option<i64>,
    next_link: Option<String>,
    wrong_tokens: i32,
    superseded: i32,
}

fn sessions_of(connection: &mut Conn, threepid: &ThreePid) -> Result<Vec<SessionRecord>, DbError> {
    use validation_sessions::dsl;
    let rows: Vec<SessionRow> = dsl::validation_sessions
        .filter(dsl::address.eq(threepid.address()))
        .filter(dsl::medium.eq(threepid.medium().as_str()))
        .order(dsl::created_at.asc())
        .select(SessionRow::as_select())
        .load(connection)?;
    let record = |row: SessionRow| SessionRecord {
        address: threepid.into(),
        sid: row.sid,
        created_at: row.created_at,
        validated_at: row.validated_at,
        send_attempt: row.send_attempt,
        next_link: row
            .next_link
            .map(|link| StoredLink::from_stored(link).masked()),
        wrong_tokens: row.wrong_tokens,
        superseded: row.superseded != 0,
    };
    Ok(rows.into_iter().map(record).collect())
}

#[derive(Queryable, Selectable)]
#[diesel(table_name = invites)]
struct InviteRow {
    medium: String,
    address: String,
    room_id: String,
    sender: String,
    key_id: String,
    ephemeral_key: String,
    created_at: i64,
    delivered_at: Option<i64>,
}

impl From<InviteRow> for InviteRecord {
    fn from(row: InviteRow) -> Self {
        Self {
            address: Address {
                medium: row.medium,
                address: row.address,
            },
            room_id: row.room_id,
            sender: row.sender,
            key_id: row.key_id,
            ephemeral_key: row.ephemeral_key,
            created_at: row.created_at,
            delivered_at: row.delivered_at,
        }
    }
}

fn of_user(connection: &mut Conn, user: &Mxid, records: &mut PersonRecords) -> Result<(), DbError> {
    let record = |(user_id, created_at)| AccountRecord {
        user_id,
        created_at,
    };
    let found: Vec<(String, i64)> = accounts::table
        .filter(accounts::user_id.eq(user.as_str()))
        .select((accounts::user_id, accounts::created_at))
        .load(connection)?;
    records.accounts.extend(found.into_iter().map(record));
    let found: Vec<(String, i64, Option<i64>)> = access_tokens::table
        .filter(access_tokens::user_id.eq(user.as_str()))
        .order(access_tokens::created_at.asc())
        .select((
            access_tokens::user_id,
            access_tokens::created_at,
            access_tokens::last_used_at,
        ))
        .load(connection)?;
    let token = |(user_id, created_at, last_used_at)| TokenRecord {
        user_id,
        created_at,
        last_used_at,
    };
    records.access_tokens.extend(found.into_iter().map(token));
    let found: Vec<(String, i64)> = blocked_accounts::table
        .filter(blocked_accounts::blocked.eq(user.as_str()))
        .select((blocked_accounts::blocked, blocked_accounts::blocked_at))
        .load(connection)?;
    let block = |(user_id, blocked_at)| BlockRecord {
        user_id,
        blocked_at,
        is_hashed: false,
    };
    records
        .blocked_accounts
        .extend(found.into_iter().map(block));
    let found: Vec<(String, String, i64)> = accepted_terms::table
        .filter(accepted_terms::user_id.eq(user.as_str()))
        .order(accepted_terms::accepted_at.asc())
        .select((
            accepted_terms::user_id,
            accepted_terms::url,
            accepted_terms::accepted_at,
        ))
        .load(connection)?;
    let accepted = |(user_id, url, accepted_at)| AcceptedTermsRecord {
        user_id,
        url,
        accepted_at,
    };
    let found = found.into_iter().map(accepted);
    records.accepted_terms.extend(found);
    let sent: Vec<InviteRow> = invites::table
        .filter(invites::sender.eq(user.as_str()))
        .order(invites::id.asc())
        .select(InviteRow::as_select())
        .load(connection)?;
    let sent = sent.into_iter().map(InviteRecord::from);
    records.invites_sent.extend(sent);
    Ok(())
}
