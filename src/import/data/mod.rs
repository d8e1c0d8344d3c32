//! Imports Sydent's data: reads one snapshot of its database, and writes it in
//! one transaction (OPS-07).

mod accounts;
mod bindings;
mod invites;
mod key;
mod own_names;
mod peers;
mod report;
mod sessions;

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

use super::pepper::{SydentPepper, read_pepper};
use crate::config::DatabaseUrl;
use crate::db::import_target::{self, SqlValue, TargetTable};
use crate::db::row_counter::{Progress, RowCounter};
use crate::db::set_aside::SetAside;
use crate::db::sydent::{Query, Record};
use crate::db::{
    Conn, Database, DbError, LockKey, peppers, server_identity, session_key, statements,
};
use crate::domain::ids::ServerName;
use crate::domain::lookup::Pepper;
use crate::domain::session_secrets::HashKey;
use crate::domain::signing::KeyRing;

use own_names::Origins;

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
    /// Whether the administrator named it, instead of Sydent's configuration.
    pub is_name_given: bool,
    /// Its signing key.
    pub keys: KeyRing,
    /// The pepper to use if Sydent has no valid one.
    pub fresh_pepper: Pepper,
    /// The key that hashes client secrets and tokens.
    pub fresh_key: HashKey,
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
    /// A server or a command is connected to the database to fill.
    #[error(
        "the target database is in use by another process, such as a running server; stop it first"
    )]
    InUse,
    /// The key did not make the signatures of the database.
    #[error(
        "the signing key does not belong to this database: none of the checked signatures is \
         valid. They were made as {0}"
    )]
    WrongKey(String),
    /// The key made the signatures of the database under another name.
    #[error(
        "the server name is wrong: this database was signed as {signers}, and nothing in it as \
         {given}"
    )]
    WrongName {
        /// The names under which the key has signed.
        signers: String,
        /// The name that the administrator gave.
        given: String,
    },
    /// Not a failure: rolls back the transaction of a dry run.
    #[error("nothing was written, because this is a dry run")]
    DryRun,
}

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
        let origins = self.check_key(&mut report)?;
        let database = Database::new(self.target.clone(), Duration::from_secs(30));
        let new_file = NewSqliteFile::detect(&self.target);
        let mut store = database.writer_alone()?.ok_or(ImportError::InUse)?;
        let result = store.write(LockKey::Job("import"), |connection| {
            self.fill(connection, origins, &mut report, progress)?;
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

    /// Finds the names under which the key has signed.
    fn check_key(&mut self, report: &mut Report) -> Result<Origins, ImportError> {
        let mut origins = Origins::find(self.source, &self.server_name, &self.keys)?;
        let list = |names: &BTreeSet<String>| {
            let names: Vec<&str> = names.iter().map(String::as_str).collect();
            names.join(" and ")
        };
        if origins.own.is_empty() && !origins.signed_by_other_keys.is_empty() {
            return Err(ImportError::WrongKey(list(&origins.signed_by_other_keys)));
        }
        let signers = list(&origins.own);
        if !origins.own.is_empty() && !origins.is_name_confirmed {
            if self.is_name_given {
                return Err(ImportError::WrongName {
                    signers,
                    given: self.server_name.to_string(),
                });
            }
            report.remarks.push(format!(
                "The name {} has signed nothing yet: this database was signed as {signers}.",
                self.server_name
            ));
        }
        let (valid, invalid) = origins.checked;
        if invalid > 0 {
            report.remarks.push(format!(
                "{invalid} of the checked signatures are invalid. Their associations are signed \
                 again."
            ));
        }
        if valid == 0 {
            report.remarks.push(
                "The signing key could not be checked: the database has no signature made with it."
                    .to_owned(),
            );
        }
        report.signatures = valid + invalid;
        origins.own.insert(self.server_name.to_string());
        if origins.own.len() > 1 {
            report.remarks.push(format!(
                "This server's key has signed under several names ({}). The bindings of all of \
                 them are its own now, as {}.",
                list(&origins.own),
                self.server_name
            ));
        }
        Ok(origins)
    }

    fn fill(
        &mut self,
        target: &mut Conn,
        origins: Origins,
        report: &mut Report,
        progress: Progress<'_>,
    ) -> Result<(), ImportError> {
        if !self.force && !import_target::is_empty(target)? {
            return Err(ImportError::NotEmpty);
        }
        import_target::prepare_connection(target)?;
        import_target::clear(target)?;
        let indexes = SetAside::begin(target)?;
        let source = &mut *self.source;
        let pepper = match read_pepper(source)? {
            SydentPepper::Valid(pepper) => pepper,
            SydentPepper::Missing => self.fresh_pepper.clone(),
            SydentPepper::Invalid => {
                report.remarks.push(
                    "The stored pepper has characters that clients cannot send, so it was replaced \
                     with a new one."
                        .to_owned(),
                );
                self.fresh_pepper.clone()
            }
        };
        peppers::set_current(target, &pepper, self.now)?;
        import_target::record_import(target, self.now)?;
        server_identity::set_name(target, &self.server_name)?;
        let mut context = ImportContext {
            progress: RowCounter::new(count_rows(source)?, progress),
            source,
            target,
            server_name: &self.server_name,
            origins,
            notes: Notes::default(),
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
        report.remarks.extend(context.notes.sentences());
        indexes.restore(context.target)?;
        statements::store_missing_removals(context.target, &self.server_name)?;
        let key = session_key::get_or_insert(context.target, &self.fresh_key)?;
        crate::db::sessions::hash_stored(context.target, &key)?;
        import_target::gather_statistics(context.target)?;
        Ok(())
    }
}

/// What the imports of all tables share.
struct ImportContext<'a> {
    source: &'a mut Sydent,
    target: &'a mut Conn,
    server_name: &'a ServerName,
    origins: Origins,
    notes: Notes,
    keys: &'a KeyRing,
    pepper: Pepper,
    now: i64,
    progress: RowCounter<'a>,
}

/// What the administrator should know about single rows that were changed.
#[derive(Debug, Default)]
struct Notes {
    removed_by_peers: u64,
    with_invites: u64,
}

impl Notes {
    fn sentences(&self) -> Vec<String> {
        let sentences = [
            (
                self.removed_by_peers,
                "bindings have no signed association any more, because a peer removed them; they \
                 stay removed.",
            ),
            (
                self.with_invites,
                "signed associations of other servers contained invites of other people, which \
                 were dropped; this server signs those associations itself.",
            ),
        ];
        let present = sentences.into_iter().filter(|(count, _)| *count > 0);
        present
            .map(|(count, rest)| format!("{count} {rest}"))
            .collect()
    }
}

impl ImportContext<'_> {
    /// Inserts what `convert` makes of each row. A row that it returns an error for
    /// is skipped for that reason.
    fn import_rows(
        &mut self,
        query: &Query<'_>,
        table: TargetTable,
        convert: impl FnMut(&Record) -> Result<Vec<SqlValue>, &'static str>,
    ) -> Result<TableReport, ImportError> {
        self.import_rows_of(query, None, table, convert)
    }

    /// The same for the rows with these numbers, in this order.
    fn import_rows_of(
        &mut self,
        query: &Query<'_>,
        rows: Option<&[i64]>,
        table: TargetTable,
        mut convert: impl FnMut(&Record) -> Result<Vec<SqlValue>, &'static str>,
    ) -> Result<TableReport, ImportError> {
        let mut report = TableReport::default();
        let process = |rows: &[Record]| {
            self.progress.add(rows.len() as u64);
            report.read += rows.len() as u64;
            let mut valid = Vec::with_capacity(rows.len());
            for row in rows {
                match row.problem.map_or_else(|| convert(row), Err) {
                    Ok(values) => valid.push(values),
                    Err(reason) => report.add_skipped(reason, query.table, row.row),
                }
            }
            let count = valid.len();
            let inserted = import_target::insert(self.target, table, valid)?;
            report.add_imported(count, inserted);
            Ok::<(), ImportError>(())
        };
        match rows {
            Some(rows) => self.source.for_each_page_of(query, rows, process)?,
            None => self.source.for_each_page(query, process)?,
        }
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
        for suffix in ["", "-wal", "-shm", "-journal"] {
            let mut name = path.clone().into_os_string();
            name.push(suffix);
            // If it cannot be deleted, an empty database is left, which the next
            // import can fill.
            let _ = std::fs::remove_file(name);
        }
    }
}
