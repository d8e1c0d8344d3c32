//! Imports validation sessions that have not expired.

use std::collections::HashSet;

use super::report::EXPIRED;
use super::{ImportContext, ImportError, TableReport};
use crate::db::import_target::{SqlValue, TargetTable};
use crate::db::sydent::{Query, Record};
use crate::domain::secret::{ClientSecret, Sid, Token};
use crate::import::records::parse_threepid;

/// How long a session of Sydent is valid after its last message, ms.
const LIFETIME_MS: i64 = 24 * 60 * 60 * 1000;

const QUERY: Query<'_> = Query {
    table: "threepid_validation_sessions",
    id: "t.id",
    texts: &["t.medium", "t.address", "t.clientSecret", "a.token"],
    numbers: &["t.validated", "t.mtime", "a.sendAttemptNumber"],
    clauses: "LEFT JOIN threepid_token_auths AS a ON a.validationSession = t.id \
              ORDER BY t.mtime DESC, t.id DESC",
};

/// Imports the sessions. Sydent has one for each spelling of an address; the
/// newest of them becomes the current session, which a further message belongs
/// to. The others are superseded, but still accept their tokens.
pub(super) fn import_sessions(context: &mut ImportContext<'_>) -> Result<TableReport, ImportError> {
    let now = context.now;
    let mut seen = HashSet::new();
    context.import_rows(&QUERY, TargetTable::Sessions, |row| {
        let mut values = session_row(row, now)?;
        let [medium, address, secret, ..] = row.texts();
        let is_current = seen.insert((parse_threepid(medium, address)?, secret.map(str::to_owned)));
        values.push(i64::from(!is_current).into());
        Ok(values)
    })
}

/// All columns except the last one, `superseded`.
fn session_row(row: &Record, now: i64) -> Result<Vec<SqlValue>, &'static str> {
    let [medium, address, secret, token, _] = row.texts();
    let [validated, changed_at, attempt, _] = row.numbers();
    let changed_at = changed_at.unwrap_or(0);
    if changed_at.saturating_add(LIFETIME_MS) < now {
        return Err(EXPIRED);
    }
    if changed_at > now.saturating_add(LIFETIME_MS) {
        return Err("a time in the future");
    }
    let sid = row.id.ok_or("no session ID")?.to_string();
    let sid = Sid::parse(&sid).map_err(|_invalid| "invalid session ID")?;
    let secret = ClientSecret::parse(secret.unwrap_or_default())
        .map_err(|_invalid| "invalid client secret")?;
    let token =
        Token::parse(token.unwrap_or_default()).map_err(|_invalid| "no valid validation token")?;
    let threepid = parse_threepid(medium, address)?;
    let is_validated = validated.is_some_and(|validated| validated != 0);
    let wrong_tokens = 0;
    Ok(vec![
        sid.expose().into(),
        threepid.medium().as_str().into(),
        threepid.address().into(),
        secret.expose().into(),
        token.expose().into(),
        // Sydent stores -1 before the first message.
        attempt.filter(|attempt| *attempt >= 0).into(),
        changed_at.into(),
        is_validated.then_some(changed_at).into(),
        wrong_tokens.into(),
    ])
}
