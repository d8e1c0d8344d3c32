//! `[database]`: where the data lives and how many threads reach it.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::checker::Checker;
use super::secret::{Secret, SecretUrl};
use super::{file_access, period, postgres_url};
use crate::domain::Invalid;

/// `[database]` as written.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct DatabaseSettings {
    /// The database's URL. This or `url_file` is required.
    pub url: Option<SecretUrl>,
    /// A file that holds the URL.
    pub url_file: Option<PathBuf>,
    /// Threads that answer look-ups.
    pub readers: usize,
    /// Threads for each store.
    pub writers: usize,
    /// Messages that may wait at one owner.
    pub queue: usize,
    /// How long to wait for another program that holds the database.
    #[serde(with = "period")]
    pub busy_timeout: Duration,
}

impl Default for DatabaseSettings {
    fn default() -> Self {
        Self {
            url: None,
            url_file: None,
            readers: 4,
            writers: 2,
            queue: 1024,
            busy_timeout: Duration::from_secs(5),
        }
    }
}

/// `[database]` as checked.
#[derive(Debug, Clone)]
pub struct Database {
    /// Which database, and where.
    pub url: DatabaseUrl,
    /// Threads that answer look-ups, 1 to 64.
    pub readers: usize,
    /// Threads for each store, 1 to 64.
    pub writers: usize,
    /// Messages that may wait at one owner before the answer is 503.
    pub queue: usize,
    /// How long to wait for another program that holds the database.
    pub busy_timeout: Duration,
}

/// Which database, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DatabaseUrl {
    /// A `PostgreSQL` URL as libpq reads it; it may hold a password.
    Postgres(Secret),
    /// An `SQLite` file. The folder that it is in exists.
    Sqlite(PathBuf),
}

impl DatabaseUrl {
    /// Reads `postgres://…`, `sqlite:relative/file` or `sqlite:///absolute/file`.
    /// A relative path stays relative.
    ///
    /// # Errors
    /// A sentence when it is neither.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        if text.starts_with("postgres://") || text.starts_with("postgresql://") {
            postgres_url::check(text)?;
            return Ok(Self::Postgres(Secret::from(text.to_owned())));
        }
        let Some(path) = text.strip_prefix("sqlite:") else {
            return Err(Invalid(
                "must begin with sqlite: or postgres://, such as \"sqlite:sydent.db\" or \
                 \"postgres://user:password@host/name\"",
            ));
        };
        if path.is_empty() || path.starts_with(':') {
            return Err(Invalid("must name a file after sqlite:"));
        }
        if path.starts_with("file:") {
            // SQLite would read options in it.
            return Err(Invalid("must be a path after sqlite:, not a file: URL"));
        }
        if path.contains(['?', '#', '\0']) {
            return Err(Invalid("must be a path without options after sqlite:"));
        }
        match path.strip_prefix("//") {
            Some(absolute) if absolute.starts_with('/') => Ok(Self::Sqlite(absolute.into())),
            Some(_) => Err(Invalid(
                "must be sqlite:FILE for a relative path or sqlite:///FILE for an absolute one",
            )),
            None => Ok(Self::Sqlite(path.into())),
        }
    }
}

impl DatabaseSettings {
    pub(super) fn check(self, checker: &mut Checker<'_>) -> Option<Database> {
        checker.range("database.readers", self.readers, 1..=64);
        checker.range("database.writers", self.writers, 1..=64);
        checker.range("database.queue", self.queue, 1..=1_000_000);
        checker.period(
            "database.busy_timeout",
            self.busy_timeout,
            Duration::ZERO,
            HOUR,
        );
        Some(Database {
            url: self.checked_url(checker)?,
            readers: self.readers,
            writers: self.writers,
            queue: self.queue,
            busy_timeout: self.busy_timeout,
        })
    }

    fn checked_url(&self, checker: &mut Checker<'_>) -> Option<DatabaseUrl> {
        let (key, text) = match (&self.url, &self.url_file) {
            (Some(_), Some(_)) => {
                checker.refuse(
                    "database.url_file",
                    "is given besides database.url; remove one",
                );
                return None;
            }
            (None, None) => {
                checker.refuse("database.url", "is missing; such as \"sqlite:sydent.db\"");
                return None;
            }
            (Some(url), None) => ("database.url", Secret::from(url.expose().to_owned())),
            (None, Some(file)) => (
                "database.url_file",
                checker.secret_file("database.url_file", file)?,
            ),
        };
        match DatabaseUrl::parse(text.expose()) {
            Ok(DatabaseUrl::Sqlite(file)) => sqlite(key, &file, checker),
            Ok(postgres) => Some(postgres),
            Err(invalid) => {
                checker.refuse(key, invalid.0);
                None
            }
        }
    }
}

const HOUR: Duration = Duration::from_hours(1);

/// A new file appears only in a folder that is there: a mistyped path must not
/// become an empty database somewhere else.
fn sqlite(key: &str, file: &Path, checker: &mut Checker<'_>) -> Option<DatabaseUrl> {
    let file = checker.resolve(key, file);
    let folder = file
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty());
    if file.is_dir() {
        checker.refuse(key, "names a folder; add the name of a file");
        return None;
    }
    if folder.is_some_and(|folder| !folder.is_dir()) {
        checker.refuse(
            key,
            "names a file in a folder that does not exist; make the folder first",
        );
        return None;
    }
    if file_access::others_may_read(&file) {
        checker.warn(
            key,
            format!(
                "{} can be read by every user of this machine; run chmod 600 on it and on the \
                 files beside it whose names go on with -wal and -shm",
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
    fn database_urls() {
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
