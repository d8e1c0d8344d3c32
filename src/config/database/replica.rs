//! `database.replica_url`: a standby that answers lookups.

use std::time::Duration;

use super::{DatabaseSettings, DatabaseUrl, Named, checked_url};
use crate::config::checker::Checker;

/// A standby of the database, for lookups.
#[derive(Debug, Clone)]
pub struct Replica {
    /// The setting that names it.
    pub key: &'static str,
    /// The standby, which is one `PostgreSQL` server.
    pub url: DatabaseUrl,
    /// How old what it answers may be, 1 s to 5 min.
    pub max_staleness: Duration,
}

/// A standby is some milliseconds behind at the best.
const LEAST: Duration = Duration::from_secs(1);

/// Well below the ten minutes for which the former pepper is valid: a client that got it
/// from the standby can still use it.
const MOST: Duration = Duration::from_mins(5);

/// `url` is the database itself, if it is known.
pub(super) fn check(
    settings: &DatabaseSettings,
    url: Option<&DatabaseUrl>,
    checker: &mut Checker<'_>,
) -> Option<Replica> {
    let max_staleness = settings.replica_max_staleness;
    checker.duration("database.replica_max_staleness", max_staleness, LEAST, MOST);
    let named = Named {
        key: "database.replica_url",
        url: settings.replica_url.as_ref(),
        file_key: "database.replica_url_file",
        file: settings.replica_url_file.as_deref(),
    };
    let (key, text) = named.read(checker)?;
    let has_scheme = |scheme: &&str| text.expose().starts_with(scheme);
    if !["postgres://", "postgresql://"].iter().any(has_scheme) {
        let form = "must be the URL of a PostgreSQL standby, such as \
                    \"postgres://user:password@host/name\"";
        checker.error(key, form);
        return None;
    }
    let replica = checked_url(key, &text, checker)?;
    let refusal = match (url?, &replica) {
        (DatabaseUrl::Sqlite(_), _) => {
            "needs a PostgreSQL database: an SQLite database has no standby; remove it"
        }
        (url, replica) if url == replica => "must be another server than database.url",
        (_, DatabaseUrl::Postgres(url)) if url.has_several_hosts() => {
            "must name one server: how old its answers are is measured on one connection, and \
             holds for the others"
        }
        _ => {
            return Some(Replica {
                key,
                url: replica,
                max_staleness,
            });
        }
    };
    checker.error(key, refusal);
    None
}
