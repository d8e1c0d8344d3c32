//! Opens the SQLite file of a Python Sydent, wherever it is, also while a Sydent uses it.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};

use diesel::connection::SimpleConnection as _;
use diesel::prelude::*;
use diesel::sql_types::Text;

use crate::db::private_copy::PrivateCopy;

/// Results are sorted in memory, so that reading needs no space in the temporary
/// folder.
const SETTINGS: &str = "PRAGMA busy_timeout = 10000; PRAGMA temp_store = MEMORY";

/// Begins the read transaction, which SQLite does with the first query only.
const BEGIN: &str = "PRAGMA query_only = ON; BEGIN; SELECT COUNT(*) FROM sqlite_master";

/// Opens the file for reading, with a read transaction.
pub(super) fn open(path: &Path) -> Result<SqliteConnection, String> {
    let opened = connect(path, "mode=ro").and_then(begin);
    opened.or_else(|error| {
        // A database with write-ahead logging needs a file beside it even for
        // reading, and so does one that a crash left in the middle of a transaction.
        // In a folder without write permission SQLite cannot create or change it.
        if error.contains("locked") || is_folder_writable(path) {
            return Err(error);
        }
        let rests = rests(path);
        if rests.is_empty() {
            return connect(path, "immutable=1").and_then(begin);
        }
        open_byte_copy(path, &rests)
    })
}

/// Copies the database into the private copy, as of one moment.
pub(super) fn copy(path: &Path) -> Result<PrivateCopy, String> {
    let copy = PrivateCopy::create().map_err(|error| error.to_string())?;
    let target = copy.path();
    let target = target
        .to_str()
        .ok_or("the path of the temporary folder is not valid UTF-8")?;
    let mut connection = open(path)?;
    connection
        // VACUUM cannot run within a transaction.
        .batch_execute("COMMIT; PRAGMA query_only = OFF")
        .and_then(|()| {
            diesel::sql_query("VACUUM INTO ?")
                .bind::<Text, _>(target)
                .execute(&mut connection)
        })
        .map_err(|error| error.to_string())?;
    Ok(copy)
}

/// The size of the database in MB, rounded up, for a message.
pub(super) fn size_mb(path: &Path) -> u64 {
    let files = [path.to_owned(), beside(path, "-wal")];
    let sizes = files.iter().filter_map(|file| file.metadata().ok());
    sizes
        .map(|file| file.len())
        .sum::<u64>()
        .div_ceil(1_000_000)
}

/// Only a URI can ask for a read-only connection, so the path must be escaped.
fn connect(path: &Path, parameter: &str) -> Result<SqliteConnection, String> {
    let name = path.to_str().ok_or("the path is not valid UTF-8")?;
    let mut uri = String::from("file:");
    for c in name.chars() {
        match c {
            '%' => uri.push_str("%25"),
            '?' => uri.push_str("%3f"),
            '#' => uri.push_str("%23"),
            c => uri.push(c),
        }
    }
    uri.push('?');
    uri.push_str(parameter);
    SqliteConnection::establish(&uri).map_err(|error| error.to_string())
}

fn begin(mut connection: SqliteConnection) -> Result<SqliteConnection, String> {
    connection
        .batch_execute(SETTINGS)
        .and_then(|()| connection.batch_execute(BEGIN))
        .map_err(|error| error.to_string())?;
    Ok(connection)
}

/// Copies the files to where SQLite can write, and lets it complete there what was
/// not finished.
fn open_byte_copy(path: &Path, rests: &[&str]) -> Result<SqliteConnection, String> {
    let create = || {
        let copy = PrivateCopy::create()?;
        copy_bytes(path, &copy.path())?;
        for suffix in rests {
            copy_bytes(&beside(path, suffix), &beside(&copy.path(), suffix))?;
        }
        Ok::<_, io::Error>(copy)
    };
    let copy = create().map_err(|error| {
        format!(
            "cannot copy it to {}: {error}",
            std::env::temp_dir().display()
        )
    })?;
    let mut connection = connect(&copy.path(), "mode=rw")?;
    connection
        .batch_execute("PRAGMA journal_mode = DELETE")
        .map_err(|error| error.to_string())?;
    let connection = begin(connection)?;
    copy.unlink().map_err(|error| error.to_string())?;
    Ok(connection)
}

/// The suffixes of the files with changes that are not in the database itself yet.
fn rests(path: &Path) -> Vec<&'static str> {
    let mut rests = vec!["-wal", "-journal"];
    rests.retain(|suffix| {
        let file = beside(path, suffix).metadata();
        file.is_ok_and(|file| file.len() > 0)
    });
    rests
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

fn copy_bytes(from: &Path, to: &Path) -> io::Result<()> {
    // Not `fs::copy`, which would give the private copy the mode of the original.
    let mut target = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .open(to)?;
    io::copy(&mut File::open(from)?, &mut target)?;
    target.sync_all()
}

fn is_folder_writable(path: &Path) -> bool {
    let folder = fs::canonicalize(path)
        .ok()
        .and_then(|path| path.parent().map(Path::to_owned));
    folder.is_some_and(|folder| tempfile::tempfile_in(folder).is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(connection: &mut SqliteConnection) -> i64 {
        diesel::select(diesel::dsl::sql::<diesel::sql_types::BigInt>(
            "(SELECT COUNT(*) FROM t)",
        ))
        .get_result(connection)
        .unwrap()
    }

    /// OPS-07
    #[test]
    fn byte_copy_has_what_is_in_the_log_only() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a.db");
        let mut writer = SqliteConnection::establish(file.to_str().unwrap()).unwrap();
        let statements = "PRAGMA journal_mode = WAL; CREATE TABLE t (x); INSERT INTO t VALUES (1)";
        writer.batch_execute(statements).unwrap();
        assert_eq!(rests(&file), ["-wal"]);
        let before = fs::read(&file).unwrap();
        let mut copy = open_byte_copy(&file, &rests(&file)).unwrap();
        assert_eq!(count(&mut copy), 1);
        assert!(fs::read(&file).unwrap() == before);
        drop(writer);
        assert!(rests(&file).is_empty());
        let mut immutable = connect(&file, "immutable=1").and_then(begin).unwrap();
        assert_eq!(count(&mut immutable), 1);
    }
}
