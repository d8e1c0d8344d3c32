//! How far a PostgreSQL server is in its log, for lookups from a standby.
//!
//! Every role may call these functions, unless an administrator has revoked that.

use diesel::prelude::*;
use diesel::sql_types::{BigInt, Bool, Nullable};

use super::{Conn, DbError};
use crate::domain::freshness::{FromPrimary, FromStandby, Identity, LogPosition};

#[derive(QueryableByName)]
struct Server {
    #[diesel(sql_type = Bool)]
    is_standby: bool,
    #[diesel(sql_type = BigInt)]
    system: i64,
    #[diesel(sql_type = BigInt)]
    database: i64,
    #[diesel(sql_type = Nullable<BigInt>)]
    timeline: Option<i64>,
    #[diesel(sql_type = Nullable<BigInt>)]
    position: Option<i64>,
}

/// Of a primary, the position up to which the log is on the disk: an acknowledged commit is
/// before it, and a standby gets nothing that is behind it. The one up to which it is only
/// written would be ahead of what a standby can have.
///
/// A standby knows no current timeline. Its control file has that of its last restart point
/// and that up to which its files were written, each of which is one that it has replayed.
const POSITION: &str = "SELECT pg_is_in_recovery() AS is_standby, \
    (SELECT system_identifier FROM pg_control_system()) AS system, \
    (SELECT oid::bigint FROM pg_database WHERE datname = current_database()) AS database, \
    CASE WHEN pg_is_in_recovery() THEN (SELECT greatest(c.timeline_id, \
        r.min_recovery_end_timeline) FROM pg_control_checkpoint() AS c, pg_control_recovery() AS r) \
    ELSE ('x' || left(pg_walfile_name(pg_current_wal_flush_lsn()), 8))::bit(32)::integer \
    END::bigint AS timeline, \
    (CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() \
    ELSE pg_current_wal_flush_lsn() END - '0/0'::pg_lsn)::bigint AS position";

/// Reads nothing, but waits while the standby replays a change of the tables themselves. It is
/// not fit to be asked then.
const LOOKUP_TABLES: &str = "SELECT FROM lookup_peppers, associations, access_tokens LIMIT 0";

impl Server {
    fn read(connection: &mut Conn) -> Result<Self, DbError> {
        match connection {
            Conn::Postgres(postgres) => Ok(diesel::sql_query(POSITION).get_result(postgres)?),
            Conn::Sqlite(_) => Err(DbError::Open("it is not a PostgreSQL server".to_owned())),
        }
    }

    fn at(&self) -> Option<LogPosition> {
        Some(LogPosition {
            identity: Identity {
                system: self.system,
                database: self.database,
            },
            timeline: self.timeline?,
            position: self.position?,
        })
    }
}

/// Where the primary is.
///
/// # Errors
/// It does not answer.
pub fn of_primary(connection: &mut Conn) -> Result<FromPrimary, DbError> {
    let server = Server::read(connection)?;
    let at = server.at().filter(|_| !server.is_standby);
    Ok(at.map_or(FromPrimary::Unclear, FromPrimary::At))
}

/// Where a standby is.
///
/// # Errors
/// It does not answer.
pub fn of_standby(connection: &mut Conn) -> Result<FromStandby, DbError> {
    let server = Server::read(connection)?;
    if !server.is_standby {
        return Ok(FromStandby::Promoted);
    }
    if let Conn::Postgres(postgres) = connection {
        diesel::sql_query(LOOKUP_TABLES).execute(postgres)?;
    }
    Ok(server.at().map_or(FromStandby::Silent, FromStandby::At))
}

/// Whether `standby` may answer lookups of the database. Returns a warning if it cannot do so
/// now.
///
/// # Errors
/// It will never be able to.
pub(super) fn check(primary: &mut Conn, standby: &mut Conn) -> Result<Option<String>, String> {
    let primary = Server::read(primary).map_err(|error| format!("{OF_PRIMARY}: {error}"))?;
    let server = Server::read(standby).map_err(|error| format!("{OF_STANDBY}: {error}"))?;
    let (at, primary) = (server.at(), primary.at());
    let is_foreign = at
        .zip(primary)
        .is_some_and(|(at, primary)| at.identity != primary.identity);
    if is_foreign {
        return Err("is not a standby of the same database".to_owned());
    }
    if !server.is_standby {
        return Ok(Some(PROMOTED.to_owned()));
    }
    // Before the first start of a server there are none.
    let tables = of_standby(standby);
    Ok(tables.err().map(|error| {
        format!("does not answer lookups until its role can read the tables: {error}; {INSTEAD}")
    }))
}

const PROMOTED: &str = "is not a standby: it accepts changes of its own; lookups are answered \
    from database.url";
const INSTEAD: &str = "until then, lookups are answered from database.url";

/// What every role may do by default.
const OF_PRIMARY: &str = "cannot be compared with database.url, whose role needs the right to \
    call pg_control_system, pg_current_wal_flush_lsn and pg_walfile_name (GRANT EXECUTE ON \
    FUNCTION)";
const OF_STANDBY: &str = "does not say how far it is; its role needs the right to call \
    pg_control_system, pg_control_checkpoint, pg_control_recovery and pg_last_wal_replay_lsn \
    (GRANT EXECUTE ON FUNCTION, on the primary)";
