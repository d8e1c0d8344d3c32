//! Erasures that something interrupts: a program that reads the SQLite file, or a kill.

use std::process::{Child, Command, Stdio};

use diesel::SqliteConnection;
use diesel::connection::SimpleConnection as _;
use tempfile::TempDir;

use crate::harness::database::sqlite;
use crate::harness::{CommandOutput, TestDatabase, TestServer, configured, wait_until};

use super::found_in;

const NEEDLE: &str = "interrupted-needle";

/// A server with a bound address, and a program that reads its database.
struct Read {
    server: TestServer,
    folder: TempDir,
    reader: SqliteConnection,
}

impl Read {
    /// `None` on PostgreSQL, which rewrites nothing.
    async fn new() -> Option<Self> {
        let server = TestServer::start(|_| {});
        let path = server.database.url.strip_prefix("sqlite:")?.to_owned();
        let internal = server.internal();
        let address = format!("{NEEDLE}@example.com");
        let user = "@interrupted-needle:example.org";
        internal.internal_bind("email", &address, user).await.ok();
        let mut reader = sqlite(&path);
        let read = "BEGIN; SELECT COUNT(*) FROM associations";
        reader.batch_execute(read).unwrap();
        Some(Self {
            folder: configured(&TestDatabase::existing(&server.database.url), |_| {}),
            server,
            reader,
        })
    }

    fn command() -> String {
        format!("person erase {NEEDLE}@example.com --yes --config sydent.toml")
    }

    fn erase(&self) -> CommandOutput {
        CommandOutput::run(self.folder.path(), &Self::command())
    }

    /// Starts an erasure, and returns once its rows are deleted.
    async fn start_erasing(&self) -> Child {
        let child = Command::new(env!("CARGO_BIN_EXE_sydent"))
            .args(Self::command().split_whitespace())
            .current_dir(self.folder.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let database = &self.server.database;
        wait_until("the rows are deleted", || {
            database.count("associations") == 0
        })
        .await;
        child
    }
}

/// PRS-08
#[actix_web::test]
async fn reader_delays_an_erasure_but_no_writer() {
    let Some(mut read) = Read::new().await else {
        return;
    };
    let mut erasing = read.start_erasing().await;
    let internal = read.server.internal();
    for n in 0..10 {
        let address = format!("other-{n}@example.com");
        let bound = internal.internal_bind("email", &address, "@other:example.org");
        bound.await.ok();
    }
    assert!(erasing.try_wait().unwrap().is_none(), "it still tries");
    let output = CommandOutput::from(erasing.wait_with_output().unwrap());
    assert_eq!(output.code, 3, "{} {}", output.out, output.err);
    assert!(output.err.contains("write-ahead log"), "{}", output.err);
    // What could not be done is not forgotten.
    let again = read.erase();
    assert_eq!(again.code, 3, "{} {}", again.out, again.err);
    assert!(again.err.contains("no data about"), "{}", again.err);
    assert_eq!(found_in(&read.server.database, &[NEEDLE]), [NEEDLE]);
    read.reader.batch_execute("COMMIT").unwrap();
    let last = read.erase();
    assert_eq!(last.code, 1, "{} {}", last.out, last.err);
    assert_eq!(found_in(&read.server.database, &[NEEDLE]), [""; 0]);
    assert_eq!(read.server.database.count("pending_rewrites"), 0);
}

/// PRS-08
#[actix_web::test]
async fn server_ends_an_erasure_that_was_killed() {
    let Some(mut read) = Read::new().await else {
        return;
    };
    let mut erasing = read.start_erasing().await;
    erasing.kill().unwrap();
    erasing.wait().unwrap();
    // It stays connected, so that the end of the server does not empty the log.
    read.reader.batch_execute("COMMIT").unwrap();
    assert_eq!(found_in(&read.server.database, &[NEEDLE]), [NEEDLE]);
    let server = read.server.start_again(|_| {});
    wait_until("the address is gone", || {
        found_in(&server.database, &[NEEDLE]).is_empty()
    })
    .await;
    wait_until("the rewrite is done", || {
        server.database.count("pending_rewrites") == 0
    })
    .await;
}
