//! A database of its own for each test.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};

use diesel::connection::SimpleConnection as _;
use diesel::prelude::*;
use tempfile::TempDir;

/// SQLite in a temporary folder, or a fresh database of the PostgreSQL server
/// that `TEST_DATABASE_URL` names.
pub struct TestDatabase {
    pub url: String,
    _folder: TempDir,
}

impl TestDatabase {
    pub fn fresh() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let url = match postgres() {
            Some(server) => fresh_postgres(&server),
            None => format!("sqlite:{}", folder.path().join("sydent.db").display()),
        };
        Self {
            url,
            _folder: folder,
        }
    }

    /// A database that another `TestDatabase` created.
    pub fn existing(url: &str) -> Self {
        Self {
            url: url.to_owned(),
            _folder: tempfile::tempdir().unwrap(),
        }
    }

    /// Runs SQL statements.
    pub fn execute(&self, sql: &str) {
        match self.url.strip_prefix("sqlite:") {
            Some(path) => sqlite(path).batch_execute(sql).unwrap(),
            None => connect(&self.url).batch_execute(sql).unwrap(),
        }
    }

    /// The number of rows of a table, or of a table with a `WHERE` clause.
    pub fn count(&self, table: &str) -> i64 {
        #[derive(QueryableByName)]
        struct Row {
            #[diesel(sql_type = diesel::sql_types::BigInt)]
            n: i64,
        }
        let query = diesel::sql_query(format!("SELECT COUNT(*) AS n FROM {table}"));
        let row: Row = match self.url.strip_prefix("sqlite:") {
            Some(path) => query.get_result(&mut sqlite(path)),
            None => query.get_result(&mut connect(&self.url)),
        }
        .unwrap();
        row.n
    }

    /// The file that SQLite writes changes to first.
    pub fn write_ahead_log(&self) -> Option<PathBuf> {
        let path = self.url.strip_prefix("sqlite:")?;
        Some(format!("{path}-wal").into())
    }

    pub fn is_postgres(&self) -> bool {
        !self.url.starts_with("sqlite:")
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "the environment names the PostgreSQL server"
)]
fn postgres() -> Option<String> {
    std::env::var("TEST_DATABASE_URL").ok()
}

/// A connection to an SQLite file.
pub fn sqlite(path: &str) -> SqliteConnection {
    let mut connection = SqliteConnection::establish(path).unwrap();
    connection
        .batch_execute("PRAGMA busy_timeout = 10000")
        .unwrap();
    connection
}

/// A connection to PostgreSQL, without TLS even if the URL demands it.
pub fn connect(url: &str) -> PgConnection {
    let mut url = url::Url::parse(url).unwrap();
    let pairs: Vec<_> = url.query_pairs().into_owned().collect();
    let pairs = pairs.iter().filter(|(name, _)| !name.starts_with("ssl"));
    url.query_pairs_mut()
        .clear()
        .extend_pairs(pairs)
        .append_pair("sslmode", "disable");
    PgConnection::establish(url.as_str()).unwrap()
}

fn fresh_postgres(server: &str) -> String {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let name = format!(
        "sydent_{}_{}",
        std::process::id(),
        COUNT.fetch_add(1, Ordering::SeqCst)
    );
    connect(server)
        .batch_execute(&format!("CREATE DATABASE {name}"))
        .unwrap();
    let mut url = url::Url::parse(server).unwrap();
    url.set_path(&name);
    url.to_string()
}
