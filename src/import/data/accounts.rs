//! Accounts, their access tokens, and the terms that their users accepted.

use super::{ImportContext, ImportError, TableReport};
use crate::db::import_target::{self, SqlValue, TargetTable};
use crate::db::sydent::{Query, Record};
use crate::domain::ids::Mxid;
use crate::domain::secret::TokenHash;

/// Accounts; the version of the terms that a user accepted is noted as
/// `master_version X`, as this server notes it.
pub(super) fn accounts(work: &mut ImportContext<'_>) -> Result<TableReport, ImportError> {
    let query = Query {
        table: "accounts",
        id: "NULL",
        texts: &["user_id", "consent_version"],
        numbers: &["created_ts"],
        rest: "ORDER BY user_id",
    };
    let tally = work.each(&query, TargetTable::Accounts, |row| {
        let [user, ..] = row.texts();
        let [created, ..] = row.numbers();
        Ok(vec![
            mxid(user)?.as_str().into(),
            created.unwrap_or(0).into(),
        ])
    })?;
    let now = work.now;
    let target = &mut *work.target;
    work.source.each(&query, |rows| {
        let marks = rows.iter().filter_map(|row| {
            let [user, version, ..] = row.texts();
            let version = version.filter(|version| !version.is_empty())?;
            let mark = format!("master_version {version}");
            Some(accepted(&mxid(user).ok()?, mark, now))
        });
        import_target::insert(target, TargetTable::AcceptedTerms, marks.collect())?;
        Ok::<(), ImportError>(())
    })?;
    Ok(tally)
}

/// Access tokens, of which only the hash is stored (AUTH-15).
pub(super) fn tokens(work: &mut ImportContext<'_>) -> Result<TableReport, ImportError> {
    let query = Query {
        table: "tokens",
        id: "NULL",
        texts: &["t.token", "t.user_id", "a.user_id"],
        numbers: &["a.created_ts"],
        rest: "LEFT JOIN accounts AS a ON a.user_id = t.user_id ORDER BY t.user_id, t.token",
    };
    work.each(&query, TargetTable::AccessTokens, |row| {
        let [token, ..] = row.texts();
        let [created, ..] = row.numbers();
        let token = token
            .filter(|token| !token.is_empty())
            .ok_or("it is empty")?;
        let user = account(row)?;
        Ok(vec![
            TokenHash::of(token).as_str().into(),
            user.as_str().into(),
            created.unwrap_or(0).into(),
        ])
    })
}

/// The addresses of policies that were accepted.
pub(super) fn terms(work: &mut ImportContext<'_>) -> Result<TableReport, ImportError> {
    let query = Query {
        table: "accepted_terms_urls",
        id: "NULL",
        texts: &["t.url", "t.user_id", "a.user_id"],
        numbers: &[],
        rest: "LEFT JOIN accounts AS a ON a.user_id = t.user_id ORDER BY t.user_id, t.url",
    };
    let now = work.now;
    work.each(&query, TargetTable::AcceptedTerms, |row| {
        let [url, ..] = row.texts();
        let url = url.ok_or("it names no policy")?;
        Ok(accepted(&account(row)?, url.to_owned(), now))
    })
}

fn accepted(user: &Mxid, url: String, now: i64) -> Vec<SqlValue> {
    vec![user.as_str().into(), url.into(), now.into()]
}

fn account(row: &Record) -> Result<Mxid, &'static str> {
    let [_, _, account, ..] = row.texts();
    mxid(Some(account.ok_or("it belongs to no account")?))
}

fn mxid(text: Option<&str>) -> Result<Mxid, &'static str> {
    Mxid::parse(text.unwrap_or_default()).map_err(|_invalid| "its user is no Matrix user id")
}
