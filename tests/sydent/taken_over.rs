//! Imports a Sydent with the real command, and starts a server on the result.

use std::path::Path;

use tempfile::TempDir;
use toml::Table;

use crate::harness::{CommandOutput, TestDatabase, TestProcess};
use crate::python::RealSydent;

/// The database and the configuration that the command wrote.
pub struct Imported {
    pub database: TestDatabase,
    folder: TempDir,
}

/// Imports a Sydent with this database, by the real command.
pub fn import_sydent(sydent: &RealSydent, db: &Path) -> Imported {
    let folder = tempfile::tempdir().unwrap();
    let database = TestDatabase::fresh();
    let output = CommandOutput::run(
        folder.path(),
        &format!(
            "import sydent --conf {} --db {} --out sydent.toml --database {}",
            sydent.configuration().display(),
            db.display(),
            database.url
        ),
    );
    assert_eq!(output.code, 0, "{}", output.err);
    Imported { database, folder }
}

impl Imported {
    /// Starts a server with the written configuration, except for the ports.
    pub fn start(self) -> (TestProcess, TestDatabase) {
        self.start_with(|_| ())
    }

    /// The same with some settings changed.
    pub fn start_with(self, change: impl FnOnce(&mut Table)) -> (TestProcess, TestDatabase) {
        let file = self.folder.path().join("sydent.toml");
        let mut settings: Table = std::fs::read_to_string(&file).unwrap().parse().unwrap();
        for section in ["http", "internal", "operations"] {
            let empty = || Table::new().into();
            let section = settings.entry(section).or_insert_with(empty);
            let any_port = toml::Value::try_from(["127.0.0.1:0"]).unwrap();
            section
                .as_table_mut()
                .unwrap()
                .insert("listen".to_owned(), any_port);
        }
        change(&mut settings);
        std::fs::write(&file, settings.to_string()).unwrap();
        (TestProcess::start_in(self.folder), self.database)
    }
}

/// Runs `sydent import verify` on the old and the new server.
pub fn verify(sydent: &RealSydent, server: &TestProcess, db: &Path, flags: &str) -> CommandOutput {
    CommandOutput::run(
        db.parent().unwrap(),
        &format!(
            "import verify --old {} --new http://{} --db {} {flags}",
            sydent.url(),
            server.client,
            db.display()
        ),
    )
}

impl CommandOutput {
    /// A row of the table of a comparison: compared, equal, corrected, different.
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
