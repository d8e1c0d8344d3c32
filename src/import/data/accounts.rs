//! Imports accounts, access tokens and accepted terms.

use super::{ImportContext, ImportError, TableReport};
use crate::db::import_target::{self, SqlValue, TargetTable};
use crate::db::sydent::{MAX_ID, Query, Record};
use crate::domain::ids::Mxid;
use crate::domain::secret::TokenHash;

/// The longest policy URL in bytes: PostgreSQL's indexes have a limit of 2,700.
const MAX_URL: usize = 2000;

/// Imports accounts. The version of the terms that a user has accepted becomes an
/// accepted term `master_version X`, which is how this server stores it.
pub(super) fn import_accounts(context: &mut ImportContext<'_>) -> Result<TableReport, ImportError> {
    let query = Query {
        table: "accounts",
        id: "NULL",
        texts: &["user_id", "consent_version"],
        numbers: &["created_ts"],
        clauses: "ORDER BY user_id",
    };
    let report = context.import_rows(&query, TargetTable::Accounts, |row| {
        let [user, ..] = row.texts();
        let [created_at, ..] = row.numbers();
        Ok(vec![
            parse_user(user)?.as_str().into(),
            created_at.unwrap_or(0).clamp(0, MAX_ID).into(),
        ])
    })?;
    let now = context.now;
    context.source.for_each_page(&query, |rows| {
        let accepted = rows.iter().filter_map(|row| {
            let [user, version, ..] = row.texts();
            let version = version.filter(|version| !version.is_empty())?;
            let url = format!("master_version {version}");
            if url.len() > MAX_URL {
                return None;
            }
            Some(accepted_term(&parse_user(user).ok()?, url, now))
        });
        import_target::insert(
            context.target,
            TargetTable::AcceptedTerms,
            accepted.collect(),
        )?;
        Ok::<(), ImportError>(())
    })?;
    Ok(report)
}

/// Imports the hashes of the access tokens (AUTH-15).
pub(super) fn import_tokens(context: &mut ImportContext<'_>) -> Result<TableReport, ImportError> {
    let query = Query {
        table: "tokens",
        id: "NULL",
        texts: &["t.token", "t.user_id", "a.user_id"],
        numbers: &["a.created_ts"],
        clauses: "LEFT JOIN accounts AS a ON a.user_id = t.user_id ORDER BY t.user_id, t.token",
    };
    context.import_rows(&query, TargetTable::AccessTokens, |row| {
        let [token, ..] = row.texts();
        let [created_at, ..] = row.numbers();
        let token = token
            .filter(|token| !token.is_empty())
            .ok_or("empty access token")?;
        let user = parse_account(row)?;
        Ok(vec![
            TokenHash::new(token).as_str().into(),
            user.as_str().into(),
            created_at.unwrap_or(0).clamp(0, MAX_ID).into(),
        ])
    })
}

/// Imports the URLs of the policies that users have accepted.
pub(super) fn import_terms(context: &mut ImportContext<'_>) -> Result<TableReport, ImportError> {
    let query = Query {
        table: "accepted_terms_urls",
        id: "NULL",
        texts: &["t.url", "t.user_id", "a.user_id"],
        numbers: &[],
        clauses: "LEFT JOIN accounts AS a ON a.user_id = t.user_id ORDER BY t.user_id, t.url",
    };
    let now = context.now;
    context.import_rows(&query, TargetTable::AcceptedTerms, |row| {
        let [url, ..] = row.texts();
        let url = url
            .filter(|url| url.len() <= MAX_URL)
            .ok_or("no policy URL, or one of more than 2000 bytes")?;
        Ok(accepted_term(&parse_account(row)?, url.to_owned(), now))
    })
}

fn accepted_term(user: &Mxid, url: String, now: i64) -> Vec<SqlValue> {
    vec![user.as_str().into(), url.into(), now.into()]
}

fn parse_account(row: &Record) -> Result<Mxid, &'static str> {
    let [_, _, account, ..] = row.texts();
    parse_user(Some(account.ok_or("its user has no account")?))
}

fn parse_user(text: Option<&str>) -> Result<Mxid, &'static str> {
    Mxid::parse(text.unwrap_or_default()).map_err(|_invalid| "invalid Matrix ID")
}
