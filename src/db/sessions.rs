//! Queries on validation sessions.

use diesel::prelude::*;

use super::on_backend::OnBackend as _;
use super::schema::validation_sessions::{self, dsl};
use super::{Conn, DbError, with_backend};
use crate::domain::Invalid;
use crate::domain::secret::{ClientSecret, Sid, Token};
use crate::domain::session::{Session, State};
use crate::domain::session_secrets::{HashKey, SecretHash, TokenHashes};
use crate::domain::stored_link::StoredLink;
use crate::domain::threepid::ThreePid;

#[derive(Queryable, Selectable, Insertable)]
#[diesel(table_name = validation_sessions, treat_none_as_default_value = false)]
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
    hashed: bool,
}

impl Row {
    fn into_session(self) -> Result<Session, DbError> {
        self.parse()
            .map_err(|_invalid| DbError::Corrupt("validation session"))
    }

    fn parse(self) -> Result<Session, Invalid> {
        let state = match self.validated_at {
            Some(at) => State::Validated { at },
            None => State::Pending {
                created_at: self.created_at,
                wrong_tokens: self.wrong_tokens,
            },
        };
        Ok(Session {
            sid: Sid::parse(&self.sid)?,
            threepid: ThreePid::parse(&self.medium, &self.address)?,
            client_secret: SecretHash::from_stored(self.client_secret),
            tokens: TokenHashes::from_stored(&self.token),
            send_attempt: self.send_attempt,
            next_link: self.next_link.map(StoredLink::from_stored),
            state,
        })
    }
}

// The zero as a literal: an index of only such rows is not used for a bound value, because
// statements must not be compiled again for each value (see .cargo/config.toml). With
// `diesel::dsl::sql` the statement would not stay prepared.
diesel::postfix_operator!(IsZero, " = 0");

/// The first row of a query. A macro, because what is selected depends on the database system.
macro_rules! first_row {
    ($connection:expr, $query:expr) => {
        with_backend!($connection, inner => $query.select(Row::as_select()).first(inner))
    };
}

/// The session with that ID.
pub fn by_sid(connection: &mut Conn, sid: &Sid) -> Result<Option<Session>, DbError> {
    let session = dsl::validation_sessions
        .find(sid.expose())
        .filter(dsl::hashed.eq(true));
    first_row!(connection, session)
        .optional()?
        .map(Row::into_session)
        .transpose()
}

/// The current session of a 3PID and a client secret, hashed, which is the last one
/// that was created for them.
pub fn current(
    connection: &mut Conn,
    threepid: &ThreePid,
    secret: &SecretHash,
) -> Result<Option<Session>, DbError> {
    let session = dsl::validation_sessions
        .filter(dsl::address.eq(threepid.address()))
        .filter(dsl::client_secret.eq(secret.as_str()))
        .filter(dsl::medium.eq(threepid.medium().as_str()))
        .filter(IsZero::new(dsl::superseded));
    first_row!(connection, session)
        .optional()?
        .map(Row::into_session)
        .transpose()
}

/// Stores a new session, which supersedes the current one of its 3PID and client
/// secret. `attempt` is the send attempt whose message is being queued.
pub fn insert(
    connection: &mut Conn,
    session: &Session,
    attempt: i64,
    now: i64,
) -> Result<(), DbError> {
    diesel::update(
        dsl::validation_sessions
            .filter(dsl::address.eq(session.threepid.address()))
            .filter(dsl::client_secret.eq(session.client_secret.as_str()))
            .filter(dsl::medium.eq(session.threepid.medium().as_str()))
            .filter(IsZero::new(dsl::superseded)),
    )
    .set(dsl::superseded.eq(1))
    .execute_on(connection)?;
    let (validated_at, wrong_tokens) = match session.state {
        State::Pending { wrong_tokens, .. } => (None, wrong_tokens),
        State::Validated { at } => (Some(at), 0),
    };
    let row = Row {
        sid: session.sid.expose().to_owned(),
        medium: session.threepid.medium().as_str().to_owned(),
        address: session.threepid.address().to_owned(),
        client_secret: session.client_secret.as_str().to_owned(),
        token: session.tokens.to_stored(),
        next_link: session
            .next_link
            .as_ref()
            .map(|link| link.as_str().to_owned()),
        send_attempt: Some(attempt),
        created_at: now,
        validated_at,
        wrong_tokens,
        superseded: 0,
        hashed: true,
    };
    diesel::insert_into(dsl::validation_sessions)
        .values(row)
        .execute_on(connection)?;
    Ok(())
}

/// Records a further send attempt, with the tokens of the session, its own included.
/// A `next_link` replaces the stored one. Returns whether the session is still there:
/// its first message may have been dropped a moment ago.
pub fn record_attempt(
    connection: &mut Conn,
    sid: &Sid,
    attempt: i64,
    tokens: &TokenHashes,
    next_link: Option<&StoredLink>,
) -> Result<bool, DbError> {
    let recorded = diesel::update(dsl::validation_sessions.find(sid.expose()))
        .set((
            dsl::send_attempt.eq(attempt),
            dsl::token.eq(tokens.to_stored()),
        ))
        .execute_on(connection)?;
    if let Some(link) = next_link {
        diesel::update(dsl::validation_sessions.find(sid.expose()))
            .set(dsl::next_link.eq(link.as_str()))
            .execute_on(connection)?;
    }
    Ok(recorded == 1)
}

/// Whether the message of a send attempt was sent or is queued, which is so for
/// all attempts up to the highest that is recorded.
pub fn attempt_counts(connection: &mut Conn, sid: &Sid, attempt: i64) -> Result<bool, DbError> {
    let highest: Option<Option<i64>> = dsl::validation_sessions
        .find(sid.expose())
        .select(dsl::send_attempt)
        .first_on(connection)
        .optional()?;
    Ok(highest.flatten().is_some_and(|highest| attempt <= highest))
}

/// Restores the previous send attempt after the message of `attempt` was dropped,
/// unless a later attempt was recorded since.
pub fn revert_attempt(
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
    .execute_on(connection)?;
    Ok(())
}

/// Ends a session that is not validated, as too many wrong tokens do.
pub fn end(connection: &mut Conn, sid: &str) -> Result<(), DbError> {
    diesel::update(
        dsl::validation_sessions
            .find(sid)
            .filter(dsl::validated_at.is_null()),
    )
    .set(dsl::wrong_tokens.eq(i32::MAX))
    .execute_on(connection)?;
    Ok(())
}

/// Removes a session if none of its messages was sent.
pub fn remove_unsent(connection: &mut Conn, sid: &str) -> Result<(), DbError> {
    diesel::delete(
        dsl::validation_sessions
            .find(sid)
            .filter(dsl::send_attempt.is_null())
            .filter(dsl::validated_at.is_null()),
    )
    .execute_on(connection)?;
    Ok(())
}

/// Stores the state of a session.
pub fn set_state(connection: &mut Conn, sid: &Sid, state: State) -> Result<(), DbError> {
    let row = diesel::update(dsl::validation_sessions.find(sid.expose()));
    match state {
        State::Validated { at } => row.set(dsl::validated_at.eq(at)).execute_on(connection)?,
        State::Pending { wrong_tokens, .. } => row
            .set(dsl::wrong_tokens.eq(wrong_tokens))
            .execute_on(connection)?,
    };
    Ok(())
}

/// Deletes up to `limit` sessions that were created before `before`, unless they were
/// validated later. Returns how many.
pub fn purge(connection: &mut Conn, before: i64, limit: i64) -> Result<usize, DbError> {
    let is_expired = dsl::validated_at.is_null().or(dsl::validated_at.lt(before));
    let expired: Vec<String> = dsl::validation_sessions
        .filter(dsl::created_at.lt(before))
        .filter(is_expired)
        .limit(limit)
        .select(dsl::sid)
        .load_on(connection)?;
    // One may have been validated just now.
    let expired = dsl::validation_sessions
        .filter(dsl::sid.eq_any(expired))
        .filter(is_expired);
    Ok(diesel::delete(expired).execute_on(connection)?)
}

/// How many sessions are hashed between two reads.
const HASHED_AT_A_TIME: i64 = 500;

/// Replaces client secrets and tokens that are stored in clear, as an earlier version
/// and the importer insert them, by their hashes, and takes the secrets out of the links.
/// Sessions that cannot be read are deleted. Returns how many were replaced.
pub fn hash_stored(connection: &mut Conn, key: &HashKey) -> Result<usize, DbError> {
    let mut hashed = 0;
    loop {
        let rows: Vec<(String, String, String, Option<String>)> = dsl::validation_sessions
            // As in the condition of the index.
            .filter(diesel::dsl::not(dsl::hashed))
            .limit(HASHED_AT_A_TIME)
            .select((dsl::sid, dsl::client_secret, dsl::token, dsl::next_link))
            .load_on(connection)?;
        if rows.is_empty() {
            return Ok(hashed);
        }
        for (sid, secret, token, link) in rows {
            let stored = dsl::validation_sessions.find(&sid);
            let Ok((sid, secret, token)) = parse_row(&sid, &secret, &token) else {
                diesel::delete(stored).execute_on(connection)?;
                continue;
            };
            let token = TokenHashes::new(key.token(&sid, &secret, &token));
            let link = link.map(|link| StoredLink::new(&link, &secret));
            hashed += diesel::update(stored)
                .set((
                    dsl::client_secret.eq(key.client_secret(&secret).as_str()),
                    dsl::token.eq(token.to_stored()),
                    dsl::next_link.eq(link.as_ref().map(StoredLink::as_str)),
                    dsl::hashed.eq(true),
                ))
                .execute_on(connection)?;
        }
    }
}

fn parse_row(sid: &str, secret: &str, token: &str) -> Result<(Sid, ClientSecret, Token), Invalid> {
    Ok((
        Sid::parse(sid)?,
        ClientSecret::parse(secret)?,
        Token::parse(token)?,
    ))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use diesel::sql_types::Text;

    use super::*;
    use crate::config::DatabaseUrl;
    use crate::db::Database;

    #[derive(Debug, QueryableByName)]
    struct Statement {
        #[diesel(sql_type = Text)]
        sql: String,
    }

    /// No request looks through all sessions.
    #[test]
    fn sessions_are_found_by_their_indexes() {
        let folder = tempfile::tempdir().unwrap();
        let url = DatabaseUrl::Sqlite(folder.path().join("a.db"));
        let database = Database::new(url, Duration::ZERO);
        database.prepare(|_connection| Ok(())).unwrap();
        let mut store = database.writer().unwrap();
        let connection = &mut *store.read();
        for number in 0..20 {
            let threepid = ThreePid::parse("email", &format!("{number}@example.com")).unwrap();
            let client_secret = SecretHash::from_stored("secret".to_owned());
            assert!(
                current(connection, &threepid, &client_secret)
                    .unwrap()
                    .is_none()
            );
            let session = Session {
                sid: Sid::parse(&number.to_string()).unwrap(),
                threepid: threepid.clone(),
                client_secret: client_secret.clone(),
                tokens: TokenHashes::from_stored("token"),
                send_attempt: None,
                next_link: None,
                state: State::Pending {
                    created_at: 0,
                    wrong_tokens: 0,
                },
            };
            insert(connection, &session, 1, 0).unwrap();
            assert!(
                current(connection, &threepid, &client_secret)
                    .unwrap()
                    .is_some()
            );
            assert!(by_sid(connection, &session.sid).unwrap().is_some());
        }
        let statements = "SELECT sql FROM sqlite_stmt WHERE sql LIKE '%validation_sessions%'";
        let all: Vec<Statement> = diesel::sql_query(statements).load(connection).unwrap();
        assert!(all.len() >= 4, "{all:?}");
        let scans = diesel::sql_query(format!("{statements} AND nscan > 0"));
        let scans: Vec<Statement> = scans.load(connection).unwrap();
        assert!(scans.is_empty(), "{:?}", scans.first().map(|it| &it.sql));
    }
}
