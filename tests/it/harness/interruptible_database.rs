//! A database with interruptions.

use diesel::SqliteConnection;
use diesel::connection::SimpleConnection as _;

use super::TestDatabase;
use super::database::sqlite;
use super::proxy::Proxy;

/// PostgreSQL behind a TCP proxy that can be cut, or an SQLite file that can be
/// locked, so that it is readable but not writable.
pub struct InterruptibleDatabase {
    /// For the server.
    pub database: TestDatabase,
    /// For the test: it is not interrupted.
    pub direct: TestDatabase,
    link: Link,
}

enum Link {
    Postgres(Proxy),
    Sqlite(Option<SqliteConnection>),
}

impl InterruptibleDatabase {
    pub fn fresh() -> Self {
        let direct = TestDatabase::fresh();
        let mut url = direct.url.clone();
        let link = if direct.is_postgres() {
            let mut parsed = url::Url::parse(&url).unwrap();
            let (host, port) = (parsed.host_str().unwrap(), parsed.port().unwrap_or(5432));
            let proxy = Proxy::to(format!("{host}:{port}"));
            parsed.set_host(Some("127.0.0.1")).unwrap();
            parsed.set_port(Some(proxy.address.port())).unwrap();
            url = parsed.to_string();
            Link::Postgres(proxy)
        } else {
            Link::Sqlite(None)
        };
        let database = TestDatabase::existing(&url);
        Self {
            database,
            direct,
            link,
        }
    }

    /// Whether reads succeed during an interruption.
    pub fn is_readable(&self) -> bool {
        !self.direct.is_postgres()
    }

    /// Closes all connections, or locks the file.
    pub fn cut(&mut self) {
        match &mut self.link {
            Link::Postgres(proxy) => proxy.cut(),
            Link::Sqlite(lock) => *lock = Some(locked(&self.direct)),
        }
    }

    /// Keeps all connections open without a response, or locks the file.
    pub fn silence(&mut self) {
        match &mut self.link {
            Link::Postgres(proxy) => proxy.silence(),
            Link::Sqlite(lock) => *lock = Some(locked(&self.direct)),
        }
    }

    pub fn restore(&mut self) {
        match &mut self.link {
            Link::Postgres(proxy) => proxy.restore(),
            Link::Sqlite(lock) => *lock = None,
        }
    }
}

fn locked(database: &TestDatabase) -> SqliteConnection {
    let mut connection = sqlite(database.url.strip_prefix("sqlite:").unwrap());
    connection.batch_execute("BEGIN IMMEDIATE").unwrap();
    connection
}
