//! Imports Sydent's data: reads one snapshot of its database, and writes it in
//! one transaction (OPS-07).

mod accounts;
mod bindings;
mod invites;
mod key;
mod peers;
mod report;
mod sessions;

use std::path::PathBuf;
use std::time::Duration;

use super::pepper::{SydentPepper, read_pepper};
use crate::config::DatabaseUrl;
use crate::db::import_target::{self, SqlValue, TargetTable};
use crate::db::sydent::{Query, Record};
use crate::db::{Conn, Database, DbError, LockKey, peppers};
use crate::domain::ids::ServerName;
use crate::domain::lookup::Pepper;
use crate::domain::signing::KeyRing;

pub(crate) use crate::db::private_copy::remove_all as remove_private_copies;
pub(crate) use crate::db::sydent::Sydent;
pub(crate) use key::key_file;
pub(crate) use peers::{Peer, read_peers};
pub(crate) use report::{Report, TableReport};

/// An import of Sydent's data.
pub(crate) struct Import<'a> {
    /// Sydent's database.
    pub source: &'a mut Sydent,
    /// The database to fill.
    pub target: DatabaseUrl,
    /// The name under which Sydent signs.
    pub server_name: ServerName,
    /// Its signing key.
    pub keys: KeyRing,
    /// The pepper to use if Sydent has no valid one.
    pub fresh_pepper: Pepper,
    /// Roll the import back at the end.
    pub dry_run: bool,
    /// Replace the data of a database that is not empty.
    pub force: bool,
    /// Now, ms.
    pub now: i64,
}

/// Why nothing was imported.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ImportError {
    /// One of the databases failed.
    #[error("{0}")]
    Database(#[from] DbError),
    /// The database to fill is already in use.
    #[error("the target database is not empty; --force replaces everything in it")]
    NotEmpty,
    /// The key did not make the signatures of the database.
    #[error(
        "the signing key or the server name does not belong to this database: none of the checked \
         signatures under this name and key ID is valid"
    )]
    WrongKey,
    /// Not a failure: rolls back the transaction of a dry run.
    #[error("nothing was written, because this is a dry run")]
    DryRun,
}

/// Called with the number of rows that were read and of all rows.
pub(crate) type Progress<'a> = &'a mut dyn FnMut(u64, u64);

impl Import<'_> {
    /// Imports everything or, after an error, nothing.
    ///
    /// # Errors
    /// Why nothing was imported. The target is unchanged then, except that its
    /// schema was migrated.
    pub(crate) fn run(mut self, progress: Progress<'_>) -> Result<Report, ImportError> {
        let mut report = Report {
            schema_version: self.source.schema_version()?,
            ..Report::default()
        };
        self.check_key(&mut report)?;
        let database = Database::new(self.target.clone(), Duration::from_secs(30));
        let new_file = NewSqliteFile::detect(&self.target);
        database.prepare(|_connection| Ok(()))?;
        let mut store = database.writer()?;
        let result = store.write(LockKey::Job("import"), |connection| {
            self.fill(connection, &mut report, progress)?;
            if self.dry_run {
                return Err(ImportError::DryRun);
            }
            Ok(())
        });
        // Closes the file before it may be deleted.
        drop(store);
        if result.is_err() {
            new_file.delete();
        }
        match result {
            Ok(()) | Err(ImportError::DryRun) => Ok(report),
            Err(error) => Err(error),
        }
    }

    fn check_key(&mut self, report: &mut Report) -> Result<(), ImportError> {
        let signed = bindings::sample_signed(self.source, &self.server_name)?;
        let (valid, invalid) = key::count_signatures(
            signed.iter().map(String::as_str),
            self.server_name.as_str(),
            &self.keys,
        );
        if valid == 0 && invalid > 0 {
            return Err(ImportError::WrongKey);
        }
        if invalid > 0 {
            report.remarks.push(
                "Some stored signatures are invalid. An association is signed again if its signed \
                 form differs from the binding.",
            );
        }
        if valid == 0 {
            report.remarks.push(
                "The signing key could not be checked: the database has no signature made with it.",
            );
        }
        report.signatures = valid + invalid;
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
        import_target::prepare_connection(target)?;
        import_target::clear(target)?;
        let source = &mut *self.source;
        let pepper = match read_pepper(source)? {
            SydentPepper::Valid(pepper) => pepper,
            SydentPepper::Missing => self.fresh_pepper.clone(),
            SydentPepper::Invalid => {
                report.remarks.push(
                    "The stored pepper has characters that clients cannot send, so it was replaced \
                     with a new one.",
                );
                self.fresh_pepper.clone()
            }
        };
        peppers::set_current(target, &pepper, self.now)?;
        let mut context = ImportContext {
            progress: RowCounter {
                done: 0,
                total: count_rows(source)?,
                report: progress,
            },
            source,
            target,
            server_name: &self.server_name,
            keys: &self.keys,
            pepper,
            now: self.now,
        };
        report.tables = vec![
            ("bindings", bindings::import_own(&mut context)?),
            (
                "replicated bindings",
                bindings::import_replicated(&mut context)?,
            ),
            ("invites", invites::import_invites(&mut context)?),
            ("invite keys", invites::import_keys(&mut context)?),
            ("accounts", accounts::import_accounts(&mut context)?),
            ("access tokens", accounts::import_tokens(&mut context)?),
            ("accepted terms", accounts::import_terms(&mut context)?),
            (
                "validation sessions",
                sessions::import_sessions(&mut context)?,
            ),
            ("peers", peers::import_peers(&mut context)?),
        ];
        Ok(())
    }
}

/// What the imports of all tables share.
struct ImportContext<'a> {
    source: &'a mut Sydent,
    target: &'a mut Conn,
    server_name: &'a ServerName,
    keys: &'a KeyRing,
    pepper: Pepper,
    now: i64,
    progress: RowCounter<'a>,
}

struct RowCounter<'a> {
    done: u64,
    total: u64,
    report: Progress<'a>,
}

impl RowCounter<'_> {
    fn add(&mut self, rows: usize) {
        self.done += rows as u64;
        (self.report)(self.done, self.total);
    }
}

impl ImportContext<'_> {
    /// Inserts what `convert` makes of each row. A row that it returns an error for
    /// is skipped for that reason.
    fn import_rows(
        &mut self,
        query: &Query<'_>,
        table: TargetTable,
        mut convert: impl FnMut(&Record) -> Result<Vec<SqlValue>, &'static str>,
    ) -> Result<TableReport, ImportError> {
        let mut report = TableReport::default();
        self.source.for_each_page(query, |rows| {
            self.progress.add(rows.len());
            report.read += rows.len() as u64;
            let mut valid = Vec::with_capacity(rows.len());
            for row in rows {
                match convert(row) {
                    Ok(values) => valid.push(values),
                    Err(reason) => report.add_skipped(reason),
                }
            }
            let count = valid.len();
            let inserted = import_target::insert(self.target, table, valid)?;
            report.add_imported(count, inserted);
            Ok::<(), ImportError>(())
        })?;
        Ok(report)
    }
}

/// The tables of Sydent that are imported.
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

fn count_rows(source: &mut Sydent) -> Result<u64, DbError> {
    let mut total = 0;
    for table in TABLES {
        total += source.count(table)?;
    }
    Ok(total)
}

/// The path of an SQLite database that did not exist before the import, and is
/// deleted again if nothing is imported.
struct NewSqliteFile(Option<PathBuf>);

impl NewSqliteFile {
    fn detect(target: &DatabaseUrl) -> Self {
        match target {
            DatabaseUrl::Sqlite(path) if !path.exists() => Self(Some(path.clone())),
            _ => Self(None),
        }
    }

    fn delete(self) {
        let Some(path) = self.0 else { return };
        for suffix in ["", "-wal", "-shm"] {
            let mut name = path.clone().into_os_string();
            name.push(suffix);
            // If it cannot be deleted, an empty database is left, which the next
            // import can fill.
            let _ = std::fs::remove_file(name);
        }
    }
}
