//! Copies all data of a database into another one, of the same or of the other kind.
//!
//! The copy is one transaction of the target: it has all rows, which were read back and
//! compared, or none.

mod columns;
mod counters;
mod rows;

use self::columns::Table;
use self::rows::{Checksum, Cursor};
use super::import_target::{self, TABLES, insert_rows};
use super::row_counter::{Progress, RowCounter};
use super::{Conn, Database, DbError, LockKey};

/// Why nothing was copied.
#[derive(Debug, thiserror::Error)]
pub enum CopyError {
    /// The source cannot be used.
    #[error("the source: {0}")]
    Source(DbError),
    /// The target cannot be used.
    #[error("the target: {0}")]
    Target(DbError),
    /// Both are the same.
    #[error("the source and the target are the same database")]
    Same,
    /// One of them failed later.
    #[error("{0}")]
    Database(#[from] DbError),
    /// One of them failed at a table.
    #[error("the table {0}: {1}")]
    Table(&'static str, DbError),
    /// Somebody is connected to one of them.
    #[error("a server or another command is connected to {0}; stop it first")]
    InUse(&'static str),
    /// The target has data.
    #[error("the target database is not empty")]
    NotEmpty,
    /// The tables differ, although both have the schema of this version.
    #[error("the table {0} has other columns in the target database")]
    OtherColumns(&'static str),
    /// What was read back is not what was written.
    #[error("the table {0} is not the same in the target database")]
    Different(&'static str),
}

/// A table that was copied, with the number of its rows.
pub type CopiedTable = (&'static str, u64);

/// Copies everything. Each row is counted twice: when it is written, and when it is compared.
///
/// # Errors
/// Why nothing was copied. The target is unchanged then, except that its schema was
/// migrated.
pub fn copy(
    from: &Database,
    to: &Database,
    progress: Progress<'_>,
) -> Result<Vec<CopiedTable>, CopyError> {
    if from.is_same(to) {
        return Err(CopyError::Same);
    }
    from.check_current(None).map_err(CopyError::Source)?;
    let source = from.writer_alone().map_err(CopyError::Source)?;
    let mut source = source.ok_or(CopyError::InUse(SOURCE))?;
    let target = to.writer_alone().map_err(CopyError::Target)?;
    let mut target = target.ok_or(CopyError::InUse(TARGET))?;
    target.write(LockKey::Job("copy"), |target| {
        if !import_target::is_empty(target)? {
            return Err(CopyError::NotEmpty);
        }
        import_target::prepare_connection(target)?;
        import_target::clear(target)?;
        let (copied, mut steps) = source.snapshot(|source| {
            let mut steps = RowCounter::new(2 * import_target::count_rows(source)?, progress);
            Ok::<_, CopyError>((copy_tables(source, target, &mut steps)?, steps))
        })?;
        for (table, checksum) in &copied {
            let found = Checksum::of(target, table, |rows| steps.add(rows));
            let found = found.map_err(|error| CopyError::Table(table.name, error))?;
            if found != *checksum {
                return Err(CopyError::Different(table.name));
            }
        }
        import_target::gather_statistics(target).map_err(CopyError::Target)?;
        let tables = copied.into_iter();
        Ok(tables
            .map(|(table, checksum)| (table.name, checksum.rows))
            .collect())
    })
}

const SOURCE: &str = "the source database";
const TARGET: &str = "the target database";

fn copy_tables(
    source: &mut Conn,
    target: &mut Conn,
    steps: &mut RowCounter<'_>,
) -> Result<Vec<(Table, Checksum)>, CopyError> {
    // A table that others refer to comes before them.
    TABLES
        .into_iter()
        .rev()
        .map(|name| {
            let failed = |error| CopyError::Table(name, error);
            let table = columns::read(source, name).map_err(failed)?;
            if table != columns::read(target, name).map_err(failed)? {
                return Err(CopyError::OtherColumns(name));
            }
            let checksum = copy_table(source, target, &table, steps).map_err(failed)?;
            Ok((table, checksum))
        })
        .collect()
}

fn copy_table(
    source: &mut Conn,
    target: &mut Conn,
    table: &Table,
    steps: &mut RowCounter<'_>,
) -> Result<Checksum, DbError> {
    let (mut checksum, mut cursor) = (Checksum::default(), Cursor::default());
    let columns = table.column_list();
    loop {
        let rows = cursor.next(source, table)?;
        if rows.is_empty() {
            break;
        }
        for row in &rows {
            checksum.add(row);
        }
        let count = rows.len() as u64;
        let values = rows.into_iter().map(|row| rows::values(table, row));
        let values = values.collect::<Result<Vec<_>, DbError>>()?;
        insert_rows(target, (table.name, &columns), values)?;
        steps.add(count);
    }
    if table.is_numbered() {
        let last = counters::last(source, table.name)?;
        import_target::set_last_id(target, table.name, last)?;
    }
    Ok(checksum)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::config::DatabaseUrl;
    use diesel::connection::SimpleConnection as _;

    fn database(folder: &tempfile::TempDir, name: &str) -> Database {
        let url = DatabaseUrl::Sqlite(folder.path().join(name));
        let database = Database::new(url, Duration::from_secs(5));
        database.prepare(|_connection| Ok(())).unwrap();
        database
    }

    fn refused(from: &Database, to: &Database) -> CopyError {
        copy(from, to, &mut |_, _| ()).unwrap_err()
    }

    /// Every value of every column arrives, and the numbers of removed rows are not
    /// given again.
    #[test]
    fn rows_and_counters_are_copied() {
        let folder = tempfile::tempdir().unwrap();
        let (from, to) = (database(&folder, "a.db"), database(&folder, "b.db"));
        let mut store = from.writer().unwrap();
        let sql = "INSERT INTO accounts VALUES ('@a:b', 1), ('@é:b', 2);
            INSERT INTO access_tokens VALUES ('h', '@a:b', 1, NULL), ('i', '@é:b', 1, 9);
            INSERT INTO pending_rewrites VALUES (5, 1, TRUE), (7, 2, FALSE);
            DELETE FROM pending_rewrites WHERE id = 7;
            WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1201)
            INSERT INTO ephemeral_keys SELECT 'k' || i, i FROM n;";
        store
            .write(LockKey::Job("test"), |c| {
                c.batch_execute(sql).map_err(DbError::from)
            })
            .unwrap();
        assert!(matches!(refused(&from, &to), CopyError::InUse(_)));
        drop(store);
        let mut last = (0, 0);
        let copied = copy(&from, &to, &mut |done, total| last = (done, total)).unwrap();
        assert_eq!(last, (2 * 1206, 2 * 1206));
        assert!(copied.contains(&("ephemeral_keys", 1201)) && copied.len() == TABLES.len());
        let mut store = to.writer().unwrap();
        let connection = &mut *store.read();
        assert_eq!(counters::last(connection, "pending_rewrites").unwrap(), 7);
        assert!(matches!(refused(&from, &to), CopyError::InUse(_)));
    }

    /// A table that is not in the list would be forgotten.
    #[test]
    fn list_of_the_tables_is_complete() {
        let folder = tempfile::tempdir().unwrap();
        let mut store = database(&folder, "a.db").writer().unwrap();
        let mut tables = crate::db::inspection::read_contents(&mut store.read())
            .unwrap()
            .tables;
        tables.remove("__diesel_schema_migrations");
        let listed = TABLES.map(str::to_owned);
        assert_eq!(tables, listed.into_iter().collect());
    }

    #[test]
    fn failure_names_the_table() {
        let folder = tempfile::tempdir().unwrap();
        let (from, to) = (database(&folder, "a.db"), database(&folder, "b.db"));
        let break_one = |connection: &mut Conn| {
            // SQLite stores what is no number as a text.
            Ok(connection.batch_execute("INSERT INTO imports VALUES ('secret')")?)
        };
        from.prepare(break_one).unwrap();
        let failed = refused(&from, &to).to_string();
        assert!(failed.starts_with("the table imports: "), "{failed}");
        assert!(!failed.contains("secret"), "{failed}");
    }

    #[test]
    fn data_is_never_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let (from, to) = (database(&folder, "a.db"), database(&folder, "b.db"));
        let add = |connection: &mut Conn| {
            Ok(connection.batch_execute("INSERT INTO accounts VALUES ('@a:b', 1)")?)
        };
        to.prepare(add).unwrap();
        assert!(matches!(refused(&from, &to), CopyError::NotEmpty));
        std::os::unix::fs::symlink("b.db", folder.path().join("c.db")).unwrap();
        let linked = DatabaseUrl::Sqlite(folder.path().join("c.db"));
        let linked = Database::new(linked, Duration::ZERO);
        assert!(matches!(refused(&to, &linked), CopyError::Same));
    }
}
