//! Validation sessions.

use diesel::prelude::*;

use super::schema::validation_sessions::{self, dsl};
use super::{Conn, DbError};
use crate::domain::next_link::NextLink;
use crate::domain::secret::{ClientSecret, Sid, Token};
use crate::domain::session::{Session, State};
use crate::domain::threepid::ThreePid;

#[derive(Queryable, Selectable, Insertable)]
#[diesel(table_name = validation_sessions)]
struct Row {
    sid: String,
    medium: String,
    address: String,
    client_secret: String,
    token: String,
    next_link: Option<String>,
    send_attempt: Option<i64>,
    created_at: i64,
    validated_at: Option<i64>,
    wrong_tokens: i32,
    superseded: i32,
}

impl Row {
    fn into_session(self) -> Result<Session, DbError> {
        let corrupt = |_unreadable| DbError::Corrupt("validation_sessions");
        let state = match self.validated_at {
            Some(at) => State::Validated { at },
            None => State::Pending {
                created_at: self.created_at,
                wrong_tokens: self.wrong_tokens,
            },
        };
        Ok(Session {
            sid: Sid::parse(&self.sid).map_err(corrupt)?,
            threepid: ThreePid::parse(&self.medium, &self.address).map_err(corrupt)?,
            client_secret: ClientSecret::parse(&self.client_secret).map_err(corrupt)?,
            token: Token::parse(&self.token).map_err(corrupt)?,
            send_attempt: self.send_attempt,
            next_link: self.next_link.map(NextLink::stored),
            state,
        })
    }
}

/// The session with that id.
///
/// # Errors
/// When the database does not answer.
pub fn by_sid(connection: &mut Conn, sid: &Sid) -> Result<Option<Session>, DbError> {
    dsl::validation_sessions
        .find(sid.expose())
        .select(Row::as_select())
        .first(connection)
        .optional()?
        .map(Row::into_session)
        .transpose()
}

/// The session that an address and a secret have now.
///
/// # Errors
/// When the database does not answer.
pub fn current(
    connection: &mut Conn,
    threepid: &ThreePid,
    secret: &ClientSecret,
) -> Result<Option<Session>, DbError> {
    dsl::validation_sessions
        .filter(dsl::address.eq(threepid.address()))
        .filter(dsl::client_secret.eq(secret.expose()))
        .filter(dsl::medium.eq(threepid.medium().as_str()))
        .filter(dsl::superseded.eq(0))
        .select(Row::as_select())
        .first(connection)
        .optional()?
        .map(Row::into_session)
        .transpose()
}

/// Stores a new session, which takes the place of the one that its address and
/// secret had; `attempt` is the one whose message is on its way.
///
/// # Errors
/// When the database does not answer.
pub fn insert(
    connection: &mut Conn,
    session: &Session,
    attempt: i64,
    now: i64,
) -> Result<(), DbError> {
    diesel::update(
        dsl::validation_sessions
            .filter(dsl::address.eq(session.threepid.address()))
            .filter(dsl::client_secret.eq(session.client_secret.expose()))
            .filter(dsl::medium.eq(session.threepid.medium().as_str()))
            .filter(dsl::superseded.eq(0)),
    )
    .set(dsl::superseded.eq(1))
    .execute(connection)?;
    let (validated_at, wrong_tokens) = match session.state {
        State::Pending { wrong_tokens, .. } => (None, wrong_tokens),
        State::Validated { at } => (Some(at), 0),
    };
    let row = Row {
        sid: session.sid.expose().to_owned(),
        medium: session.threepid.medium().as_str().to_owned(),
        address: session.threepid.address().to_owned(),
        client_secret: session.client_secret.expose().to_owned(),
        token: session.token.expose().to_owned(),
        next_link: session
            .next_link
            .as_ref()
            .map(|link| link.as_str().to_owned()),
        send_attempt: Some(attempt),
        created_at: now,
        validated_at,
        wrong_tokens,
        superseded: 0,
    };
    diesel::insert_into(dsl::validation_sessions)
        .values(row)
        .execute(connection)?;
    Ok(())
}

/// Notes a further attempt, and where the browser goes after it if that is
/// said anew.
///
/// # Errors
/// When the database does not answer.
pub fn note_attempt(
    connection: &mut Conn,
    sid: &Sid,
    attempt: i64,
    next_link: Option<&NextLink>,
) -> Result<(), DbError> {
    diesel::update(dsl::validation_sessions.find(sid.expose()))
        .set(dsl::send_attempt.eq(attempt))
        .execute(connection)?;
    if let Some(link) = next_link {
        diesel::update(dsl::validation_sessions.find(sid.expose()))
            .set(dsl::next_link.eq(link.as_str()))
            .execute(connection)?;
    }
    Ok(())
}

/// Whether an attempt of a session counts: its message was sent or is on its
/// way.
///
/// # Errors
/// When the database does not answer.
pub fn attempt_counts(connection: &mut Conn, sid: &Sid, attempt: i64) -> Result<bool, DbError> {
    let highest: Option<Option<i64>> = dsl::validation_sessions
        .find(sid.expose())
        .select(dsl::send_attempt)
        .first(connection)
        .optional()?;
    Ok(highest.flatten().is_some_and(|highest| attempt <= highest))
}

/// Takes an attempt back whose message was dropped, unless a later one came.
///
/// # Errors
/// When the database does not answer.
pub fn take_attempt_back(
    connection: &mut Conn,
    sid: &str,
    attempt: i64,
    previous: Option<i64>,
) -> Result<(), DbError> {
    diesel::update(
        dsl::validation_sessions
            .find(sid)
            .filter(dsl::send_attempt.eq(attempt)),
    )
    .set(dsl::send_attempt.eq(previous))
    .execute(connection)?;
    Ok(())
}

/// Notes how far a session has come.
///
/// # Errors
/// When the database does not answer.
pub fn set_state(connection: &mut Conn, sid: &Sid, state: State) -> Result<(), DbError> {
    let row = diesel::update(dsl::validation_sessions.find(sid.expose()));
    match state {
        State::Validated { at } => row.set(dsl::validated_at.eq(at)).execute(connection)?,
        State::Pending { wrong_tokens, .. } => row
            .set(dsl::wrong_tokens.eq(wrong_tokens))
            .execute(connection)?,
    };
    Ok(())
}

/// Removes the sessions that were created and last validated before `before`;
/// answers how many.
///
/// # Errors
/// When the database does not answer.
pub fn purge(connection: &mut Conn, before: i64) -> Result<usize, DbError> {
    let old = dsl::validation_sessions
        .filter(dsl::created_at.lt(before))
        .filter(dsl::validated_at.is_null().or(dsl::validated_at.lt(before)));
    Ok(diesel::delete(old).execute(connection)?)
}
