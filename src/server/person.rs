//! Showing and erasing the data of a person by a command, while servers may run on the
//! database.

use std::time::Duration;

use super::ServerError;
use super::resources::read_keys;
use crate::actor::associations::Associations;
use crate::actor::cleaner::{BETWEEN_TRIES, TRIES_TO_EMPTY_LOG};
use crate::actor::person::{ErasePerson, FinishErasures, Finished, RecordExport, ShowPerson};
use crate::actor::pool::Operation as _;
use crate::actor::pseudonyms::{PseudonymKey, fresh_key};
use crate::actor::rewrite::{EmptyLog, PendingRewrite, RewriteFile};
use crate::clock::Clock;
use crate::config::Config;
use crate::db::{Database, Owner};
use crate::domain::person::{FORMAT, Person, PersonExport, PersonRecords, RowCounts, WITHHELD};
use crate::domain::subject_key::SubjectKey;
use crate::domain::time::duration_ms;

pub use crate::db::person::Named;

/// The data of people in a database.
pub struct People {
    database: Database,
    associations: Associations,
    clock: Clock,
    peers: Vec<String>,
    unconfirmed_erasures_ms: i64,
}

/// How often the person may change between a look and its erasure.
const ATTEMPTS: usize = 5;

impl People {
    /// Opens the configured database.
    ///
    /// # Errors
    /// When the database cannot be used, no server has created its schema, or that of a
    /// later version has.
    pub fn open(config: &Config, clock: Clock) -> Result<Self, ServerError> {
        let keys = read_keys(config)?;
        let owner = Owner {
            name: &config.server.name,
            keys: &keys,
        };
        let database = Database::new(config.database.url.clone(), config.database.busy_timeout);
        let peers = config.replication.peers.iter();
        Ok(Self {
            associations: Associations {
                store: database.writer_on_known_schema(owner)?,
                origin: config.server.name.clone(),
                own_keys: keys.public_keys().into_iter().map(|(_, key)| key).collect(),
            },
            database,
            clock,
            peers: peers.map(|(name, _peer)| name.to_string()).collect(),
            unconfirmed_erasures_ms: duration_ms(config.retention.unconfirmed_erasures),
        })
    }

    fn now(&self) -> i64 {
        self.clock.now().as_i64()
    }

    /// The person, and all rows about it.
    ///
    /// # Errors
    /// When the database fails.
    pub fn show(
        &mut self,
        named: &Named,
        is_alone: bool,
    ) -> Result<(Person, PersonRecords), ServerError> {
        let named = named.clone();
        Ok(ShowPerson { named, is_alone }.run(&mut self.associations)?)
    }

    /// Everything about a person. Records that it was exported.
    ///
    /// # Errors
    /// When the database fails.
    pub fn export(&mut self, named: &Named, is_alone: bool) -> Result<PersonExport, ServerError> {
        let (person, tables) = self.show(named, is_alone)?;
        let now = self.now();
        let affected = tables.counts();
        if !affected.is_empty() {
            let record = RecordExport {
                named: named.clone(),
                affected,
                fresh_key: fresh_key()?,
                now,
            };
            record.run(&mut self.associations)?;
        }
        Ok(PersonExport {
            format: FORMAT,
            exported_at: now,
            server: self.associations.origin.to_string(),
            addresses: person.threepids.iter().map(Into::into).collect(),
            users: person.users.iter().map(ToString::to_string).collect(),
            withheld: WITHHELD.map(str::to_owned).into(),
            tables,
        })
    }

    /// Erases everything about a person. Returns the rows by table.
    ///
    /// # Errors
    /// When the database fails; nothing was erased then.
    pub fn erase(&mut self, named: &Named, is_alone: bool) -> Result<RowCounts, ServerError> {
        for _ in 0..ATTEMPTS {
            let (shown, _records) = self.show(named, is_alone)?;
            let erase = ErasePerson {
                named: named.clone(),
                is_alone,
                shown,
                fresh_key: fresh_key()?,
                peers: self.peers.clone(),
                now: self.now(),
            };
            if let Some(erased) = erase.run(&mut self.associations)? {
                return Ok(erased);
            }
        }
        Err(ServerError::PersonChanges)
    }

    /// Removes what was kept for peers that have received it by now.
    ///
    /// # Errors
    /// When the database fails.
    pub fn finish(&mut self) -> Result<Finished, ServerError> {
        let now = self.now();
        let finish = FinishErasures {
            peers: self.peers.clone(),
            give_up_before: now.saturating_sub(self.unconfirmed_erasures_ms),
            now,
        };
        Ok(finish.run(&mut self.associations)?)
    }

    /// The pseudonym of an address or a user in today's log.
    ///
    /// # Errors
    /// When the database fails.
    pub fn pseudonym(&mut self, named: &Named) -> Result<String, ServerError> {
        let get = PseudonymKey {
            day: self.clock.now().utc_day().unwrap_or_default(),
            fresh: fresh_key()?,
        };
        let key = get.run(&mut self.associations)?;
        let hash = match named {
            Named::ThreePid(threepid) => key.threepid(threepid),
            Named::User(user) => key.user(user),
        };
        Ok(SubjectKey::pseudonym(&hash))
    }

    /// Rewrites an SQLite file without what was deleted, and empties its write-ahead log.
    /// Tries that several times, with a `pause` in between.
    ///
    /// # Errors
    /// When the database fails.
    pub fn rewrite(&mut self, pause: impl Fn(Duration)) -> Result<Copies, ServerError> {
        let pending = PendingRewrite.run(&mut self.associations)?;
        let last = pending.map_or(0, |(last, _is_rewritten)| last);
        let database = self.database.clone();
        if !(RewriteFile { database, last }).run(&mut self.associations)? {
            return Ok(Copies::InPostgres);
        }
        for _ in 0..TRIES_TO_EMPTY_LOG {
            let database = self.database.clone();
            if (EmptyLog { database, last }).run(&mut self.associations)? {
                return Ok(Copies::None);
            }
            pause(BETWEEN_TRIES);
        }
        Ok(Copies::InLog)
    }
}

/// Where copies of deleted rows may be left, which no query finds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Copies {
    /// Nowhere in the database.
    None,
    /// In the write-ahead log of SQLite, until the server has emptied it.
    InLog,
    /// In the files and the write-ahead log of PostgreSQL, over which the server has no
    /// power.
    InPostgres,
}
