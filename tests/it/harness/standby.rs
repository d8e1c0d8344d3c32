//! A PostgreSQL server of its own, with a streaming standby.

use std::io::{BufRead as _, BufReader, Lines, Write as _};
use std::process::{Child, ChildStdout, Command, Stdio};

use super::{TestDatabase, repository, wait_until};

/// A primary with an empty database `sydent`, and its standby. Both end with this value.
pub struct ReplicatedPostgres {
    /// The URL of the database on the primary.
    pub primary: String,
    /// The same on the standby.
    pub standby: String,
    servers: Child,
    answers: Lines<BufReader<ChildStdout>>,
}

impl ReplicatedPostgres {
    /// `None` if the tests do not use PostgreSQL.
    pub async fn start() -> Option<Self> {
        if !TestDatabase::fresh().is_postgres() {
            return None;
        }
        let mut servers = Command::new(repository("tests/tools/with-standby"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut answers = BufReader::new(servers.stdout.take().unwrap()).lines();
        let mut url = || {
            let url = answers.next().expect("the servers start").unwrap();
            let server = url.strip_suffix("/postgres").unwrap();
            format!("{server}/sydent")
        };
        let (primary, standby) = (url(), url());
        let pair = Self {
            primary,
            standby,
            servers,
            answers,
        };
        let other = |url: &str| TestDatabase::existing(&url.replace("/sydent", "/postgres"));
        other(&pair.primary).execute("CREATE DATABASE sydent");
        let on_standby = other(&pair.standby);
        wait_until("the database on the standby", || {
            on_standby.count("pg_database WHERE datname = 'sydent'") == 1
        })
        .await;
        Some(pair)
    }

    /// The database on the primary.
    pub fn database(&self) -> TestDatabase {
        TestDatabase::existing(&self.primary)
    }

    /// The same on the standby, which only reads.
    pub fn copy(&self) -> TestDatabase {
        TestDatabase::existing(&self.standby)
    }

    /// Stops or starts the `primary` or the `standby`.
    pub fn order(&mut self, order: &str) {
        let input = self.servers.stdin.as_mut().unwrap();
        writeln!(input, "{order}").unwrap();
        let done = self.answers.next().expect("the servers run").unwrap();
        assert_eq!(done, "done", "{order}");
    }
}

impl Drop for ReplicatedPostgres {
    fn drop(&mut self) {
        drop(self.servers.stdin.take());
        let _ = self.servers.wait();
    }
}
