//! A database that goes away and comes back.

use diesel::SqliteConnection;
use diesel::connection::SimpleConnection as _;

use super::TestDatabase;
use super::database::sqlite;
use super::proxy::Proxy;

/// PostgreSQL behind a line that can be cut, or an SQLite file that another
/// process can lock, so that it can be read and not written to.
pub struct FragileDatabase {
    /// For the server.
    pub database: TestDatabase,
    /// For the test: it reaches the database also while the server does not.
    pub direct: TestDatabase,
    line: Line,
}

enum Line {
    Postgres(Proxy),
    Sqlite(Option<SqliteConnection>),
}

impl FragileDatabase {
    pub fn fresh() -> Self {
        let direct = TestDatabase::fresh();
        let mut url = direct.url.clone();
        let line = if direct.is_postgres() {
            let mut parsed = url::Url::parse(&url).unwrap();
            let (host, port) = (parsed.host_str().unwrap(), parsed.port().unwrap_or(5432));
            let proxy = Proxy::to(format!("{host}:{port}"));
            parsed.set_host(Some("127.0.0.1")).unwrap();
            parsed.set_port(Some(proxy.address.port())).unwrap();
            url = parsed.to_string();
            Line::Postgres(proxy)
        } else {
            Line::Sqlite(None)
        };
        let database = TestDatabase::existing(&url);
        Self {
            database,
            direct,
            line,
        }
    }

    /// Whether reads go on while the database is away.
    pub fn can_be_read(&self) -> bool {
        !self.direct.is_postgres()
    }

    /// Closes all connections, or locks the file.
    pub fn cut(&mut self) {
        match &mut self.line {
            Line::Postgres(proxy) => proxy.cut(),
            Line::Sqlite(lock) => *lock = Some(locked(&self.direct)),
        }
    }

    /// Leaves all connections open and answers nothing, or locks the file.
    pub fn silence(&mut self) {
        match &mut self.line {
            Line::Postgres(proxy) => proxy.silence(),
            Line::Sqlite(lock) => *lock = Some(locked(&self.direct)),
        }
    }

    pub fn restore(&mut self) {
        match &mut self.line {
            Line::Postgres(proxy) => proxy.restore(),
            Line::Sqlite(lock) => *lock = None,
        }
    }
}

fn locked(database: &TestDatabase) -> SqliteConnection {
    let mut connection = sqlite(database.url.strip_prefix("sqlite:").unwrap());
    connection.batch_execute("BEGIN IMMEDIATE").unwrap();
    connection
}
