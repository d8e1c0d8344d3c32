//! Validation sessions that are still open.

use std::collections::HashSet;

use super::bindings::threepid;
use super::{ImportContext, ImportError, TableReport};
use crate::db::import_target::{SqlValue, TargetTable};
use crate::db::sydent::{Query, Record};
use crate::domain::secret::{ClientSecret, Sid, Token};

/// How long a session of Sydent is good after its last message, ms.
const LIFETIME_MS: i64 = 24 * 60 * 60 * 1000;

const QUERY: Query<'_> = Query {
    table: "threepid_validation_sessions",
    id: "t.id",
    texts: &["t.medium", "t.address", "t.clientSecret", "a.token"],
    numbers: &["t.validated", "t.mtime", "a.sendAttemptNumber"],
    rest: "LEFT JOIN threepid_token_auths AS a ON a.validationSession = t.id \
           ORDER BY t.mtime DESC, t.id DESC",
};

/// The sessions. Those of one address in several spellings are one from now
/// on: the newest goes on when a message is asked for, and each of them still
/// takes its token.
pub(super) fn sessions(work: &mut ImportContext<'_>) -> Result<TableReport, ImportError> {
    let now = work.now;
    let mut seen = HashSet::new();
    work.each(&QUERY, TargetTable::Sessions, |row| {
        let mut cells = session(row, now)?;
        let [medium, address, secret, ..] = row.texts();
        let current = seen.insert((threepid(medium, address)?, secret.map(str::to_owned)));
        cells.push(i64::from(!current).into());
        Ok(cells)
    })
}

fn session(row: &Record, now: i64) -> Result<Vec<SqlValue>, &'static str> {
    let [medium, address, secret, token, _] = row.texts();
    let [validated, changed, attempt] = row.numbers();
    let changed = changed.unwrap_or(0);
    if changed.saturating_add(LIFETIME_MS) < now {
        return Err("it is over");
    }
    let sid = row.id.ok_or("it has no id")?.to_string();
    let sid = Sid::parse(&sid).map_err(|_invalid| "its id is malformed")?;
    let secret = ClientSecret::parse(secret.unwrap_or_default())
        .map_err(|_invalid| "its client secret is malformed")?;
    let token = Token::parse(token.unwrap_or_default()).map_err(|_invalid| "it has no token")?;
    let threepid = threepid(medium, address)?;
    let validated = validated.is_some_and(|validated| validated != 0);
    Ok(vec![
        sid.expose().into(),
        threepid.medium().as_str().into(),
        threepid.address().into(),
        secret.expose().into(),
        token.expose().into(),
        // Before the first message it is -1.
        attempt.filter(|attempt| *attempt >= 0).into(),
        changed.into(),
        validated.then_some(changed).into(),
        0.into(),
    ])
}
