//! A database of Sydent that the real command takes over, and the server that
//! then runs on it.

use std::path::Path;

use sydent::config::Settings;

use crate::harness::{KEY_FILE, RealSydent, SERVER_NAME, TestDatabase, TestServer, Told};

/// Takes the database over, with the real command.
pub fn take_over(old: &Path) -> TestDatabase {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("old.key"), KEY_FILE).unwrap();
    let database = TestDatabase::fresh();
    let told = Told::by(
        folder.path(),
        &format!(
            "import sydent --db {} --server-name {SERVER_NAME} --signing-key-file old.key \
             --key-out new.key --database {}",
            old.display(),
            database.url
        ),
    );
    assert_eq!(told.code, 0, "{}", told.err);
    database
}

/// Starts a new server on what was taken over, with the old one's terms.
pub fn succeed(
    database: TestDatabase,
    sydent: &RealSydent,
    change: impl FnOnce(&mut Settings),
) -> TestServer {
    let terms = sydent.configuration().with_file_name("terms.yaml");
    TestServer::start_on(database, |settings| {
        settings.terms.file = Some(terms);
        change(settings);
    })
}

/// Runs `sydent import verify` on the two.
pub fn verify(sydent: &RealSydent, server: &TestServer, db: &Path, flags: &str) -> Told {
    Told::by(
        db.parent().unwrap(),
        &format!(
            "import verify --old {} --new {} --db {} {flags}",
            sydent.url(),
            server.api().base,
            db.display()
        ),
    )
}

impl Told {
    /// A line of the table of a comparison: asked, equal, corrected, different.
    pub fn compared(&self, topic: &str) -> [u64; 4] {
        let line = self.out.lines().find_map(|line| line.strip_prefix(topic));
        let numbers = line.unwrap_or_else(|| panic!("{topic}: {}{}", self.out, self.err));
        let numbers: Vec<u64> = numbers
            .split_whitespace()
            .map(|number| number.parse().unwrap())
            .collect();
        numbers.try_into().unwrap()
    }
}
