//! `[database]`: the database and the threads that use it.

mod replica;

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::checker::Checker;
use super::postgres_url::PostgresUrl;
use super::secret::{Secret, SecretUrl};
use super::{duration, files, sqlite_file};

pub use self::replica::Replica;

/// `[database]` as set.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct DatabaseSettings {
    /// The URL of the database. This or `url_file` is required.
    pub url: Option<SecretUrl>,
    /// A file that contains the URL.
    pub url_file: Option<PathBuf>,
    /// The URL of a standby of the same `PostgreSQL` database, for lookups.
    pub replica_url: Option<SecretUrl>,
    /// A file that contains the URL of the standby.
    pub replica_url_file: Option<PathBuf>,
    /// How old what the standby answers may be.
    #[serde(with = "duration")]
    pub replica_max_staleness: Duration,
    /// Threads for lookups.
    pub readers: usize,
    /// Threads for each actor that writes to PostgreSQL; 0 for as many as fit the machine.
    pub writers: usize,
    /// The maximum number of queued operations of one actor.
    pub queue: usize,
    /// How long to wait for another process that locks the database.
    #[serde(with = "duration")]
    pub busy_timeout: Duration,
}

impl Default for DatabaseSettings {
    fn default() -> Self {
        Self {
            url: None,
            url_file: None,
            replica_url: None,
            replica_url_file: None,
            replica_max_staleness: Duration::from_secs(10),
            readers: 4,
            writers: 0,
            queue: 1024,
            busy_timeout: Duration::from_secs(5),
        }
    }
}

/// `[database]` as checked.
#[derive(Debug, Clone)]
pub struct Database {
    /// The setting that names the database.
    pub key: &'static str,
    /// The database.
    pub url: DatabaseUrl,
    /// Its standby, if lookups are answered by one.
    pub replica: Option<Replica>,
    /// Threads for lookups, 1 to 64.
    pub readers: usize,
    /// Threads for each actor that writes to PostgreSQL, 1 to 64.
    pub writers: usize,
    /// The maximum number of queued operations of one actor; further ones are rejected
    /// with 503.
    pub queue: usize,
    /// How long to wait for another process that locks the database.
    pub busy_timeout: Duration,
}

impl Database {
    /// How many connections a server keeps to `PostgreSQL`: those of four pools that
    /// write, of the one that only reads, the lock of the database, and with a standby the
    /// one that finds out how far that is.
    #[must_use]
    pub fn postgres_connections(&self) -> usize {
        4 * self.writers + self.readers + 1 + usize::from(self.replica.is_some())
    }

    /// How many it keeps to a standby.
    #[must_use]
    pub fn replica_connections(&self) -> usize {
        self.readers + 1
    }
}

/// The URL of a database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DatabaseUrl {
    /// A `PostgreSQL` URL.
    Postgres(PostgresUrl),
    /// An `SQLite` file in an existing folder.
    Sqlite(PathBuf),
}

impl DatabaseUrl {
    /// Parses `postgres://…`, `sqlite:relative/file` or `sqlite:///absolute/file`.
    /// A relative path stays relative.
    ///
    /// # Errors
    /// When it has none of these forms, or the program was built without something that
    /// it demands.
    pub fn parse(text: &str) -> Result<Self, String> {
        if text.starts_with("postgres://") || text.starts_with("postgresql://") {
            return Ok(Self::Postgres(PostgresUrl::parse(text)?));
        }
        match text.strip_prefix("sqlite:") {
            Some(path) => Ok(Self::Sqlite(sqlite_path(path)?.into())),
            None => Err(
                "must start with sqlite: or postgres://, such as \"sqlite:sydent.db\" or \
                 \"postgres://user:password@host/name\""
                    .to_owned(),
            ),
        }
    }
}

fn sqlite_path(path: &str) -> Result<&str, &'static str> {
    if path.is_empty() || path.starts_with(':') {
        return Err("must contain the path of a file after sqlite:, such as \"sqlite:sydent.db\"");
    }
    if path.starts_with("file:") {
        // SQLite interprets options in such a URL.
        return Err("must contain a path after sqlite:, not a file: URL");
    }
    if path.contains(['?', '#', '\0']) {
        return Err("must not contain options (? or #) after the path of the file");
    }
    match path.strip_prefix("//") {
        Some(absolute) if absolute.starts_with('/') => Ok(absolute),
        Some(_) => Err(
            "must have one or three slashes before an absolute path, such as \
             \"sqlite:///var/lib/sydent/sydent.db\", and none before a relative one",
        ),
        None => Ok(path),
    }
}

impl DatabaseUrl {
    /// Checks the file and the folder of an `SQLite` database without changing anything.
    /// Returns whether there is something to open.
    ///
    /// # Errors
    /// Why it cannot be used and what to do, after the words "the file".
    pub(crate) fn check_file(&self) -> Result<bool, String> {
        match self {
            Self::Sqlite(path) => sqlite_file::check(path),
            Self::Postgres(_) => Ok(true),
        }
    }
}

impl DatabaseSettings {
    pub(super) fn check(self, checker: &mut Checker<'_>) -> Option<Database> {
        checker.range("database.readers", self.readers, 1..=64);
        checker.range("database.writers", self.writers, 0..=64);
        checker.range("database.queue", self.queue, 1..=1_000_000);
        checker.duration(
            "database.busy_timeout",
            self.busy_timeout,
            Duration::ZERO,
            HOUR,
        );
        let named = Named {
            key: "database.url",
            url: self.url.as_ref(),
            file_key: "database.url_file",
            file: self.url_file.as_deref(),
        };
        let Some((key, text)) = named.read(checker) else {
            if named.is_missing() {
                checker.error(
                    "database.url",
                    "is missing: set the URL of the database, such as \"sqlite:sydent.db\"",
                );
            }
            return None;
        };
        let url = checked_url(key, &text, checker);
        let replica = replica::check(&self, url.as_ref(), checker);
        Some(Database {
            key,
            url: url?,
            replica,
            readers: self.readers,
            writers: match self.writers {
                0 => writers_of_machine(),
                set => set,
            },
            queue: self.queue,
            busy_timeout: self.busy_timeout,
        })
    }
}

/// A setting with a URL, and the one with a file that contains it.
struct Named<'a> {
    key: &'static str,
    url: Option<&'a SecretUrl>,
    file_key: &'static str,
    file: Option<&'a Path>,
}

impl Named<'_> {
    fn is_missing(&self) -> bool {
        self.url.is_none() && self.file.is_none()
    }

    /// The setting that has the URL, and the URL; `None` if there is none or a problem.
    fn read(&self, checker: &mut Checker<'_>) -> Option<(&'static str, Secret)> {
        match (self.url, self.file) {
            (Some(_), Some(_)) => {
                let message = format!("cannot be combined with {}; remove one of them", self.key);
                checker.error(self.file_key, message);
                None
            }
            (None, None) => None,
            (Some(url), None) => Some((self.key, Secret::from(url.expose().to_owned()))),
            (None, Some(file)) => {
                checker.warn_if_world_accessible(self.file_key, file);
                let url = checker.secret_file(self.file_key, file)?;
                Some((self.file_key, url))
            }
        }
    }
}

fn checked_url(key: &str, text: &Secret, checker: &mut Checker<'_>) -> Option<DatabaseUrl> {
    match DatabaseUrl::parse(text.expose()) {
        Ok(DatabaseUrl::Sqlite(file)) => sqlite(key, &file, checker),
        Ok(DatabaseUrl::Postgres(url)) => {
            url.check_files(key, checker);
            Some(DatabaseUrl::Postgres(url))
        }
        Err(invalid) => {
            checker.error(key, invalid);
            None
        }
    }
}

/// Writers wait for the network and the disk of the database most of the time.
fn writers_of_machine() -> usize {
    let cpus = std::thread::available_parallelism();
    cpus.map_or(4, std::num::NonZero::get).clamp(4, 8)
}

const HOUR: Duration = Duration::from_hours(1);

/// The file's folder must exist, so that a mistyped path does not become an empty
/// database somewhere else.
fn sqlite(key: &str, file: &Path, checker: &mut Checker<'_>) -> Option<DatabaseUrl> {
    let file = checker.resolve(key, file);
    if let Err(refusal) = sqlite_file::check(&file) {
        checker.error(key, refusal);
        return None;
    }
    if files::is_world_accessible(&file) {
        checker.exposed(
            key,
            format!(
                "every user of this machine can access {0}; run: chmod 600 {0}* (which includes \
                 the files {0}-wal and {0}-shm)",
                file.display()
            ),
        );
    }
    Some(DatabaseUrl::Sqlite(file))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parses_database_urls() {
        for (text, path) in [
            ("sqlite:sydent.db", "sydent.db"),
            ("sqlite:data/sydent.db", "data/sydent.db"),
            ("sqlite:/var/lib/sydent.db", "/var/lib/sydent.db"),
            ("sqlite:///var/lib/sydent.db", "/var/lib/sydent.db"),
        ] {
            assert_eq!(
                DatabaseUrl::parse(text),
                Ok(DatabaseUrl::Sqlite(path.into()))
            );
        }
        for text in ["postgres://id:hunter2@db/sydent", "postgresql:///sydent"] {
            let DatabaseUrl::Postgres(url) = DatabaseUrl::parse(text).unwrap() else {
                panic!("{text} is PostgreSQL");
            };
            assert_eq!(url.expose(), text);
        }
        for bad in [
            "",
            "sydent.db",
            "/var/lib/sydent.db",
            "sqlite:",
            "sqlite::memory:",
            "sqlite://a.db",
            "sqlite:a.db?mode=ro",
            "sqlite:file:a.db",
            "sqlite:file:///a.db",
            "postgres://sydent:pa@ssWORD@db/x",
            "mysql://db/x",
            "file:a.db",
        ] {
            assert!(DatabaseUrl::parse(bad).is_err(), "{bad}");
        }
    }
}
