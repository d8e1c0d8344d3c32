//! Finds associations, those left out that a removal hides.

use std::collections::HashMap;

use diesel::dsl::{exists, not};
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Text};

use super::super::on_backend::{OnBackend as _, Prepared};
use super::super::schema::association_removals::dsl as removals;
use super::super::schema::associations::dsl;
use super::super::{Conn, DbError};
use crate::domain::association::CLOCK_SKEW_MS;
use crate::domain::threepid::{Medium, ThreePid};

/// Up to so many keys are asked one by one. More are asked in one statement, which first
/// parses them.
pub const FEW_KEYS: usize = 16;

/// Whether no removal hides the association. A macro, because the type of the
/// expression is long.
macro_rules! not_removed {
    () => {
        not(exists(
            removals::association_removals
                .filter(removals::address.eq(dsl::address))
                .filter(removals::medium.eq(dsl::medium))
                .filter(removals::ts.ge(dsl::ts)),
        ))
    };
}

/// The associations that are valid, with what is selected. A macro for the same reason.
macro_rules! valid {
    ($now:expr, $($selected:expr),+) => {
        dsl::associations
            .filter(dsl::not_before.le($now.saturating_add(CLOCK_SKEW_MS)))
            .filter(dsl::not_after.gt($now))
            .filter(not_removed!())
            .select(($($selected),+))
    };
}

/// The order of associations of one 3PID; the last one counts. It is that of
/// `domain::merge`. The database would compare texts by its own collation.
type Rank = (i64, String, String);

const RANK: (dsl::ts, dsl::mxid, dsl::origin) = (dsl::ts, dsl::mxid, dsl::origin);

/// A hash or address, and what was found for it.
pub(super) type Found = (String, Rank);

/// The signed association of a 3PID that is valid at `now`, as JSON, and its
/// origin; the newest one if several origins have one.
pub fn find_signed(
    connection: &mut Conn,
    threepid: &ThreePid,
    now: i64,
) -> Result<Option<(String, String)>, DbError> {
    let found: Vec<(String, Rank)> = valid!(now, dsl::signed, RANK)
        .filter(dsl::address.eq(threepid.address()))
        .filter(dsl::medium.eq(threepid.medium().as_str()))
        .load_on(connection)?;
    let newest = found
        .into_iter()
        .max_by(|(_, one), (_, other)| one.cmp(other));
    Ok(newest.map(|(signed, (_, _, origin))| (signed, origin)))
}

/// The user of each of the addresses of that medium with an association that is valid at
/// `now`; the newest one if there are several. At most 30,000 addresses (PostgreSQL allows
/// 65,535 variables).
pub fn find_mxids(
    connection: &mut Conn,
    medium: Medium,
    addresses: &[&str],
    now: i64,
) -> Result<HashMap<String, String>, DbError> {
    let medium = medium.as_str();
    let found = match connection {
        Conn::Sqlite(sqlite) if addresses.len() > FEW_KEYS => {
            // The medium is one of two names of ours.
            let is_asked =
                format!("associations.address = asked.value AND associations.medium = '{medium}'");
            find_many(sqlite, &is_asked, addresses, now)?
        }
        Conn::Sqlite(sqlite) => {
            let mut found: Vec<Found> = Vec::new();
            for address in addresses {
                let one = valid!(now, dsl::address, RANK)
                    .filter(dsl::address.eq(*address))
                    .filter(dsl::medium.eq(medium));
                found.extend(one.load(sqlite)?);
            }
            found
        }
        Conn::Postgres(postgres) => valid!(now, dsl::address, RANK)
            .filter(dsl::address.eq_any(addresses))
            .filter(dsl::medium.eq(medium))
            .load(postgres)?,
    };
    Ok(newest(found))
}

/// The user of a 3PID at `now`.
pub fn find_mxid(
    connection: &mut Conn,
    threepid: &ThreePid,
    now: i64,
) -> Result<Option<String>, DbError> {
    let address = threepid.address();
    let mut found = find_mxids(connection, threepid.medium(), &[address], now)?;
    Ok(found.remove(address))
}

#[derive(QueryableByName)]
pub(super) struct FoundRow {
    #[diesel(sql_type = Text)]
    key: String,
    #[diesel(sql_type = BigInt)]
    ts: i64,
    #[diesel(sql_type = Text)]
    mxid: String,
    #[diesel(sql_type = Text)]
    origin: String,
}

impl FoundRow {
    pub(super) fn into_found(self) -> Found {
        (self.key, (self.ts, self.mxid, self.origin))
    }
}

/// What [`valid`] says, in SQL: `$2` is the time with the clock skew added, and `$3` the time.
pub(super) const IS_VALID: &str = "associations.not_before <= $2 AND associations.not_after > $3 \
     AND NOT EXISTS (SELECT 1 FROM association_removals AS removals \
     WHERE removals.address = associations.address \
     AND removals.medium = associations.medium AND removals.ts >= associations.ts)";

/// The valid associations for many keys. Each key is looked up in the index in turn: a
/// list of variables would first be sorted into a temporary table.
pub(super) fn find_many(
    sqlite: &mut SqliteConnection,
    is_asked: &str,
    keys: &[&str],
    now: i64,
) -> Result<Vec<Found>, DbError> {
    let query = format!(
        "SELECT asked.value AS key, associations.ts, associations.mxid, associations.origin \
         FROM json_each($1) AS asked CROSS JOIN associations ON {is_asked} \
         WHERE {IS_VALID}"
    );
    let mut keys = keys.to_vec();
    // In the order of the index, so that its pages are read once.
    keys.sort_unstable();
    let keys = serde_json::to_string(&keys)
        .map_err(|error| diesel::result::Error::SerializationError(error.into()))?;
    let query = diesel::sql_query(query)
        .bind::<Text, _>(keys)
        .bind::<BigInt, _>(now.saturating_add(CLOCK_SKEW_MS))
        .bind::<BigInt, _>(now);
    let rows: Vec<FoundRow> = Prepared(query).load(sqlite)?;
    Ok(rows.into_iter().map(FoundRow::into_found).collect())
}

pub(super) fn newest(mut found: Vec<Found>) -> HashMap<String, String> {
    // The newest comes last and replaces the others.
    found.sort_by(|(_, one), (_, other)| one.cmp(other));
    let user = |(key, (_, mxid, _))| (key, mxid);
    found.into_iter().map(user).collect()
}
