//! The database before the actors start: its schema, the rows that every database has,
//! and rows of earlier versions in their present form.

use zeroize::Zeroizing;

use super::ServerError;
use crate::actor::rotation;
use crate::clock::Clock;
use crate::config::Config;
use crate::db::{
    Conn, Database, DbError, Owner, accounts, counter_secret, early_statements, peppers,
    session_key, sessions,
};
use crate::domain::arrival::Arrival;
use crate::domain::counter::CounterSecret;
use crate::domain::session_secrets::HashKey;
use crate::domain::signing::KeyRing;
use crate::random;

/// The keys of a database.
pub(super) struct Secrets {
    /// Hashes the keys of counters.
    pub counters: CounterSecret,
    /// Hashes client secrets and tokens of sessions.
    pub hash_key: HashKey,
}

/// Migrates the database, makes its first pepper and its keys, and converts rows of
/// earlier versions.
pub(super) fn prepare(
    config: &Config,
    keys: &KeyRing,
    database: &Database,
    clock: &Clock,
) -> Result<Secrets, ServerError> {
    let pepper = rotation::fresh_pepper()?;
    let fresh_secret = Zeroizing::new(random::alphanumeric(64)?);
    let fresh_key = HashKey::new(random::key()?);
    let now = clock.now().as_i64();
    let name = &config.server.name;
    let secrets = database.prepare_for(Owner { name, keys }, |connection| {
        if peppers::current(connection)?.is_none() {
            peppers::set_current(connection, &pepper, now)?;
        }
        let secrets = Secrets {
            counters: counter_secret::get_or_insert(connection, &fresh_secret)?,
            hash_key: session_key::get_or_insert(connection, &fresh_key)?,
        };
        sessions::hash_stored(connection, &secrets.hash_key)?;
        accounts::start_counting_use(connection, now)?;
        reset_early_statements(connection, config, now)?;
        Ok(secrets)
    })?;
    Ok(secrets)
}

fn reset_early_statements(connection: &mut Conn, config: &Config, now: i64) -> Result<(), DbError> {
    let arrival = Arrival {
        at: now,
        max_clock_skew: config.replication.max_clock_skew,
    };
    let (name, latest) = (&config.server.name, arrival.latest());
    let early = early_statements::reset(connection, name, latest, now)?;
    if early > 0 {
        log::warn!(early; "stored bindings and removals had times in the future; check the clocks");
    }
    Ok(())
}
