//! What Sydent's database holds, and how it is taken over: read in one
//! snapshot, written in one transaction (OPS-07).

mod accounts;
mod bindings;
mod invites;
mod key;
mod peers;
mod report;
mod sessions;

use std::time::Duration;

use crate::config::DatabaseUrl;
use crate::db::import_target::{self, SqlValue, TargetTable};
use crate::db::sydent::{Query, Record};
use crate::db::{Conn, Database, DbError, LockKey, peppers};
use crate::domain::ids::ServerName;
use crate::domain::lookup::Pepper;
use crate::domain::signing::KeyRing;

pub use crate::db::private_copy::remove_all as remove_private_copies;
pub use crate::db::sydent::Sydent;
pub use key::key_file;
pub use peers::{Peer, peers};
pub use report::{Report, TableReport};

/// What to take over, and into what.
pub struct Import<'a> {
    /// Sydent's database.
    pub source: &'a mut Sydent,
    /// The database to fill.
    pub target: DatabaseUrl,
    /// The name under which Sydent signs.
    pub name: ServerName,
    /// Its signing key.
    pub keys: KeyRing,
    /// The pepper when Sydent never had one.
    pub fresh_pepper: Pepper,
    /// Do everything, and then undo it.
    pub dry_run: bool,
    /// Replace what the target holds.
    pub force: bool,
    /// Now, ms.
    pub now: i64,
}

/// Why nothing was taken over.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// One of the databases does not answer.
    #[error("{0}")]
    Database(#[from] DbError),
    /// Somebody uses the target already.
    #[error("the database to fill is not empty; --force replaces everything in it")]
    NotEmpty,
    /// The key did not make the signatures of the database.
    #[error(
        "the signing key or the server's name is not the one of this database: of the signatures \
         in it that claim to be by this key none is good"
    )]
    WrongKey,
    /// Nothing is wrong: this undoes a dry run.
    #[error("nothing was written")]
    DryRun,
}

/// How far it has come: rows that were read, of all rows.
pub type Progress<'a> = &'a mut dyn FnMut(u64, u64);

impl Import<'_> {
    /// Takes everything over, or nothing.
    ///
    /// # Errors
    /// Why nothing was taken over; the target is as it was, but for tables that
    /// an empty database lacked.
    pub fn run(mut self, progress: Progress<'_>) -> Result<Report, ImportError> {
        let mut report = Report {
            schema: self.source.schema()?,
            ..Report::default()
        };
        self.check_key(&mut report)?;
        let database = Database::new(self.target.clone(), Duration::from_secs(30));
        let before = NewFile::of(&self.target);
        database.prepare(|_connection| Ok(()))?;
        let mut store = database.writer()?;
        let done = store.write(LockKey::Job("import"), |connection| {
            self.fill(connection, &mut report, progress)?;
            if self.dry_run {
                return Err(ImportError::DryRun);
            }
            Ok(())
        });
        drop(store);
        match done {
            Ok(()) => Ok(report),
            Err(ImportError::DryRun) => {
                before.remove();
                Ok(report)
            }
            Err(error) => {
                before.remove();
                Err(error)
            }
        }
    }

    fn check_key(&mut self, report: &mut Report) -> Result<(), ImportError> {
        let signed = bindings::sample(self.source, &self.name)?;
        let (good, bad) = key::check(
            signed.iter().map(String::as_str),
            self.name.as_str(),
            &self.keys,
        );
        if good == 0 && bad > 0 {
            return Err(ImportError::WrongKey);
        }
        if bad > 0 {
            report.remarks.push(
                "Some stored signatures are not good. What they signed was compared with the \
                 bindings, and is signed anew where the two differ.",
            );
        }
        if good == 0 {
            report.remarks.push(
                "The database holds no signature by the key, so the key could not be checked.",
            );
        }
        report.signatures = good + bad;
        Ok(())
    }

    fn fill(
        &mut self,
        target: &mut Conn,
        report: &mut Report,
        progress: Progress<'_>,
    ) -> Result<(), ImportError> {
        if !self.force && !import_target::is_empty(target)? {
            return Err(ImportError::NotEmpty);
        }
        import_target::begin(target)?;
        let source = &mut *self.source;
        let pepper = match pepper(source)? {
            FoundPepper::Good(pepper) => pepper,
            FoundPepper::None => self.fresh_pepper.clone(),
            FoundPepper::Bad => {
                report.remarks.push(
                    "The pepper has characters that no client can send, so there is a new one.",
                );
                self.fresh_pepper.clone()
            }
        };
        peppers::add(target, &pepper, self.now)?;
        let mut work = ImportContext {
            total: total(source)?,
            done: 0,
            source,
            target,
            name: &self.name,
            keys: &self.keys,
            pepper,
            now: self.now,
            progress,
        };
        report.tallies = vec![
            ("bindings", bindings::own(&mut work)?),
            ("of other servers", bindings::foreign(&mut work)?),
            ("invites", invites::invites(&mut work)?),
            ("keys of invites", invites::keys(&mut work)?),
            ("accounts", accounts::accounts(&mut work)?),
            ("access tokens", accounts::tokens(&mut work)?),
            ("accepted terms", accounts::terms(&mut work)?),
            ("open sessions", sessions::sessions(&mut work)?),
            ("peers", peers::cursors(&mut work)?),
        ];
        Ok(())
    }
}

/// What the parts of an import share.
struct ImportContext<'a> {
    source: &'a mut Sydent,
    target: &'a mut Conn,
    name: &'a ServerName,
    keys: &'a KeyRing,
    pepper: Pepper,
    now: i64,
    progress: Progress<'a>,
    done: u64,
    total: u64,
}

impl ImportContext<'_> {
    /// Takes each row of a table as what `read` makes of it, or skips it for the
    /// reason that `read` gives.
    fn each(
        &mut self,
        query: &Query<'_>,
        into: TargetTable,
        mut read: impl FnMut(&Record) -> Result<Vec<SqlValue>, &'static str>,
    ) -> Result<TableReport, ImportError> {
        let mut tally = TableReport::default();
        let (target, done) = (&mut *self.target, &mut self.done);
        let (progress, total) = (&mut *self.progress, self.total);
        self.source.each(query, |rows| {
            *done += rows.len() as u64;
            tally.read += rows.len() as u64;
            progress(*done, total);
            let mut good = Vec::with_capacity(rows.len());
            for row in &rows {
                match read(row) {
                    Ok(cells) => good.push(cells),
                    Err(reason) => tally.skip(reason),
                }
            }
            let count = good.len();
            let taken = import_target::insert(target, into, good)?;
            tally.add(count, taken);
            Ok::<(), ImportError>(())
        })?;
        Ok(tally)
    }
}

/// Every table that is read for its rows.
const TABLES: [&str; 9] = [
    "local_threepid_associations",
    "global_threepid_associations",
    "invite_tokens",
    "ephemeral_public_keys",
    "accounts",
    "tokens",
    "accepted_terms_urls",
    "threepid_validation_sessions",
    "peers",
];

fn total(source: &mut Sydent) -> Result<u64, DbError> {
    let mut total = 0;
    for table in TABLES {
        total += source.count(table)?;
    }
    Ok(total)
}

enum FoundPepper {
    Good(Pepper),
    Bad,
    None,
}

fn pepper(source: &mut Sydent) -> Result<FoundPepper, DbError> {
    let mut found = FoundPepper::None;
    let query = Query {
        table: "hashing_metadata",
        id: "id",
        texts: &["lookup_pepper"],
        numbers: &[],
        rest: "WHERE lookup_pepper IS NOT NULL ORDER BY id LIMIT 1",
    };
    source.each(&query, |rows| {
        for row in rows {
            let [text, ..] = row.texts();
            found = match Pepper::parse(text.unwrap_or_default()) {
                Ok(pepper) => FoundPepper::Good(pepper),
                Err(_) => FoundPepper::Bad,
            };
        }
        Ok::<(), DbError>(())
    })?;
    Ok(found)
}

/// An SQLite file that was not there before, and is not there after nothing was
/// taken over.
struct NewFile(Option<std::path::PathBuf>);

impl NewFile {
    fn of(target: &DatabaseUrl) -> Self {
        match target {
            DatabaseUrl::Sqlite(path) if !path.exists() => Self(Some(path.clone())),
            _ => Self(None),
        }
    }

    fn remove(self) {
        let Some(path) = self.0 else { return };
        for ending in ["", "-wal", "-shm"] {
            let mut name = path.clone().into_os_string();
            name.push(ending);
            // A file that stays is empty, and the next import fills it.
            let _ = std::fs::remove_file(name);
        }
    }
}
