//! Transactions that are committed together.

use diesel::result::Error;
use tempfile::TempDir;

use super::super::Database;
use super::*;
use crate::config::DatabaseUrl;

const LOCK: LockKey<'static> = LockKey::Job("test");

struct Group {
    writer: Store,
    reader: Store,
    database: Database,
    _folder: TempDir,
}

impl Group {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let url = DatabaseUrl::Sqlite(folder.path().join("a.db"));
        let database = Database::new(url, Duration::from_secs(5));
        let mut group = Self {
            writer: database.group_writer().unwrap(),
            reader: database.writer().unwrap(),
            database,
            _folder: folder,
        };
        group.insert("CREATE TABLE a (v TEXT UNIQUE); CREATE TABLE b (v REFERENCES a (v))");
        group.writer.commit_group().unwrap();
        group
    }

    /// The next transaction is stored, and nothing else.
    fn store_two(&mut self) {
        self.insert("INSERT INTO a VALUES ('two')");
        self.writer.commit_group().unwrap();
        assert_eq!(self.stored(), ["two"]);
    }

    fn write(&mut self, statements: &str, fails: bool) -> Result<(), DbError> {
        self.writer.write(LOCK, |connection| {
            connection.batch_execute(statements)?;
            if fails {
                return Err(DbError::Query(Error::NotFound));
            }
            Ok(())
        })
    }

    fn insert(&mut self, statements: &str) {
        self.write(statements, false).unwrap();
    }

    /// What others see.
    fn stored(&mut self) -> Vec<String> {
        values(&mut self.reader.read())
    }
}

fn values(connection: &mut Conn) -> Vec<String> {
    #[derive(diesel::QueryableByName)]
    struct Row {
        #[diesel(sql_type = Text)]
        v: String,
    }
    let rows: Vec<Row> = diesel::sql_query("SELECT v FROM a ORDER BY v")
        .load(connection)
        .unwrap();
    rows.into_iter().map(|row| row.v).collect()
}

#[test]
fn one_commit_stores_all_that_succeeded() {
    let mut group = Group::new();
    assert!(group.write("INSERT INTO a VALUES ('first')", true).is_err());
    assert!(!group.writer.has_open_group(), "there is nothing to commit");
    group.insert("INSERT INTO a VALUES ('one')");
    assert!(
        group
            .write("INSERT INTO a VALUES ('failed')", true)
            .is_err()
    );
    let twice = "INSERT INTO a VALUES ('half'); INSERT INTO a VALUES ('one')";
    assert!(group.write(twice, false).is_err());
    group.insert("INSERT INTO a VALUES ('two')");
    assert_eq!(group.stored(), [] as [&str; 0]);
    let seen = group
        .writer
        .snapshot(|connection| Ok::<_, DbError>(values(connection)));
    assert_eq!(seen.unwrap(), ["one", "two"]);
    assert!(group.writer.take_committed().is_some(), "the tables");
    group.writer.commit_group().unwrap();
    assert_eq!(group.stored(), ["one", "two"]);
    assert!(group.writer.take_committed().is_some());
    assert!(group.writer.take_committed().is_none());
}

#[test]
fn a_panic_undoes_only_its_own_part() {
    let mut group = Group::new();
    for (value, panics) in [
        ("first", true),
        ("one", false),
        ("two", true),
        ("three", false),
    ] {
        let mut store = group.writer.share();
        let work = move || {
            store.write(LOCK, |connection| {
                connection.batch_execute(&format!("INSERT INTO a VALUES ('{value}')"))?;
                assert!(!panics, "on purpose");
                Ok::<_, DbError>(())
            })
        };
        let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(work));
        assert_eq!(result.is_err(), panics);
        group.writer.undo_part();
    }
    group.writer.commit_group().unwrap();
    assert_eq!(group.stored(), ["one", "three"]);
}

#[test]
fn a_failed_commit_stores_nothing() {
    let mut group = Group::new();
    group.insert("INSERT INTO a VALUES ('one')");
    group.insert("PRAGMA defer_foreign_keys = ON; INSERT INTO b VALUES ('nobody')");
    assert!(group.writer.commit_group().is_err());
    assert_eq!(group.stored(), [] as [&str; 0]);
    group.store_two();
}

/// SQLite ends a whole transaction by itself after some errors.
#[test]
fn a_lost_transaction_is_never_committed() {
    for (is_reported, between) in [(true, false), (false, false), (false, true)] {
        let mut group = Group::new();
        group.insert("INSERT INTO a VALUES ('one')");
        if between {
            group.writer.read().batch_execute("ROLLBACK").unwrap();
            assert!(group.write("INSERT INTO a VALUES ('x')", false).is_err());
        } else {
            assert!(group.write("ROLLBACK", is_reported).is_err());
            let joins = group.write("INSERT INTO a VALUES ('x')", false).is_ok();
            assert!(!joins);
        }
        assert!(group.writer.has_open_group());
        assert!(group.writer.commit_group().is_err());
        assert_eq!(group.stored(), [] as [&str; 0]);
        group.store_two();
    }
}

#[test]
fn a_full_disk_loses_nothing_that_counts() {
    let mut group = Group::new();
    group.insert("PRAGMA max_page_count = 20; INSERT INTO a VALUES ('one')");
    let much = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 9999) \
        INSERT INTO a SELECT hex(randomblob(99)) FROM n";
    assert!(group.write(much, false).is_err());
    group.insert("INSERT INTO a VALUES ('two')");
    group.writer.commit_group().unwrap();
    assert_eq!(group.stored(), ["one", "two"]);
}

#[test]
fn the_write_lock_is_found_beside_a_busy_writer() {
    let group = Group::new();
    let (mut busy, mut waits) = (group.writer.share(), group.database.writer().unwrap());
    let stop = Arc::new(std::sync::atomic::AtomicBool::new(false));
    let stopped = Arc::clone(&stop);
    let writes = std::thread::spawn(move || {
        while !stopped.load(std::sync::atomic::Ordering::SeqCst) {
            let insert = "INSERT OR REPLACE INTO a VALUES (1)";
            let written = busy.write(LOCK, |connection| {
                Ok::<_, DbError>(connection.batch_execute(insert)?)
            });
            written.unwrap();
            // Longer than the lock is free between two of them.
            let started = Instant::now();
            while started.elapsed() < Duration::from_millis(3) {}
            busy.commit_group().unwrap();
        }
    });
    for _ in 0..20 {
        waits
            .write(LOCK, |_connection| Ok::<_, DbError>(()))
            .unwrap();
    }
    stop.store(true, std::sync::atomic::Ordering::SeqCst);
    writes.join().unwrap();
}
