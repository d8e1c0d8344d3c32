//! The names under which Sydent's key has signed: the name of a Sydent can have been
//! changed, and then its database has rows of both names.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use crate::db::DbError;
use crate::db::sydent::{Query, Sydent};
use crate::domain::ids::ServerName;
use crate::domain::signing::{KeyRing, has_signature};

pub(super) const GLOBAL: &str = "global_threepid_associations";

/// How many of the newest and of the oldest rows of a name are checked at most.
const SAMPLE: usize = 1000;

/// The origins of the signed associations, by who made them.
#[derive(Debug, Default)]
pub(super) struct Origins {
    /// This server's name, and every other that its key has signed as.
    pub(super) own: BTreeSet<String>,
    /// Whether a signature under the present name was found.
    pub(super) is_name_confirmed: bool,
    /// The origins of associations that correspond to local bindings, but whose
    /// checked signatures are not of this key.
    pub(super) signed_by_other_keys: BTreeSet<String>,
    /// How many signatures were checked under the own names: valid, invalid.
    pub(super) checked: (u64, u64),
}

impl Origins {
    /// Finds who signed the associations in the database.
    pub(super) fn find(
        source: &mut Sydent,
        server_name: &ServerName,
        keys: &KeyRing,
    ) -> Result<Self, DbError> {
        let mut origins = Self::default();
        for origin in origin_names(source)? {
            let (valid, invalid) = check_signatures(source, &origin, keys)?;
            let is_present_name = origin == server_name.as_str();
            if valid > 0 {
                origins.is_name_confirmed |= is_present_name;
                origins.checked.0 += valid;
                origins.checked.1 += invalid;
                origins.own.insert(origin);
            } else if invalid > 0 && (is_present_name || has_local_rows(source, &origin)?) {
                origins.signed_by_other_keys.insert(origin);
            }
        }
        Ok(origins)
    }

    /// The own names as a list for SQL.
    pub(super) fn own_for_sql(&self) -> String {
        let quoted: Vec<String> = self.own.iter().map(|name| sql_text(name)).collect();
        quoted.join(", ")
    }
}

fn origin_names(source: &mut Sydent) -> Result<Vec<String>, DbError> {
    let query = Query {
        table: GLOBAL,
        id: "id",
        texts: &["originServer"],
        numbers: &[],
        clauses: "GROUP BY t.originServer",
    };
    source.load(&query, |row| {
        let [origin, ..] = row.texts();
        origin.map(str::to_owned)
    })
}

/// Counts the valid and the invalid signatures of an origin.
fn check_signatures(
    source: &mut Sydent,
    origin: &str,
    keys: &KeyRing,
) -> Result<(u64, u64), DbError> {
    let rows = format!("FROM {GLOBAL} WHERE originServer = {} ", sql_text(origin));
    let clauses = format!(
        "WHERE t.id IN (SELECT id FROM (SELECT id {rows} ORDER BY id DESC LIMIT {SAMPLE}) \
         UNION SELECT id FROM (SELECT id {rows} ORDER BY id LIMIT {SAMPLE}))"
    );
    let query = Query {
        table: GLOBAL,
        id: "id",
        texts: &["sgAssoc"],
        numbers: &[],
        clauses: &clauses,
    };
    let (mut valid, mut invalid) = (0, 0);
    for signed in source.load(&query, |row| {
        let [signed, ..] = row.texts();
        serde_json::from_str::<Map<String, Value>>(signed?).ok()
    })? {
        if keys
            .public_keys()
            .iter()
            .any(|(_, key)| has_signature(&signed, origin, key))
        {
            valid += 1;
        } else if signed
            .get("signatures")
            .is_some_and(|by_name| by_name.get(origin).is_some())
        {
            invalid += 1;
        }
    }
    Ok((valid, invalid))
}

/// Whether a signed association of this origin corresponds to a local binding, which
/// has the same number and address.
fn has_local_rows(source: &mut Sydent, origin: &str) -> Result<bool, DbError> {
    let clauses = format!(
        "JOIN local_threepid_associations AS l ON l.id = t.originId AND l.medium = t.medium \
         AND l.address = t.address AND l.mxid = t.mxid AND l.ts = t.ts \
         WHERE t.originServer = {} LIMIT 1",
        sql_text(origin)
    );
    let query = Query {
        table: GLOBAL,
        id: "id",
        texts: &[],
        numbers: &[],
        clauses: &clauses,
    };
    Ok(!source.load(&query, |row| row.id)?.is_empty())
}

fn sql_text(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}
