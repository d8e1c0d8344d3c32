//! A Sydent that the real command takes over, and the server that then runs on
//! what it wrote.

use std::path::Path;

use tempfile::TempDir;
use toml::Table;

use crate::harness::{CommandOutput, TestDatabase, TestProcess};
use crate::python::RealSydent;

/// What the command made.
pub struct Heir {
    pub database: TestDatabase,
    folder: TempDir,
}

/// Takes a Sydent over, with that database and the real command.
pub fn take_over(sydent: &RealSydent, db: &Path) -> Heir {
    let folder = tempfile::tempdir().unwrap();
    let database = TestDatabase::fresh();
    let told = CommandOutput::run(
        folder.path(),
        &format!(
            "import sydent --conf {} --db {} --out sydent.toml --database {}",
            sydent.configuration().display(),
            db.display(),
            database.url
        ),
    );
    assert_eq!(told.code, 0, "{}", told.err);
    Heir { database, folder }
}

impl Heir {
    /// Starts it with the configuration that was written, but for the ports.
    pub fn start(self) -> (TestProcess, TestDatabase) {
        self.start_with(|_| ())
    }

    /// The same with some settings changed.
    pub fn start_with(self, change: impl FnOnce(&mut Table)) -> (TestProcess, TestDatabase) {
        let file = self.folder.path().join("sydent.toml");
        let mut settings: Table = std::fs::read_to_string(&file).unwrap().parse().unwrap();
        for section in ["http", "internal", "operations"] {
            let none = || Table::new().into();
            let section = settings.entry(section).or_insert_with(none);
            let here = toml::Value::try_from(["127.0.0.1:0"]).unwrap();
            section
                .as_table_mut()
                .unwrap()
                .insert("listen".to_owned(), here);
        }
        change(&mut settings);
        std::fs::write(&file, settings.to_string()).unwrap();
        (TestProcess::start_in(self.folder), self.database)
    }
}

/// Runs `sydent import verify` on the two.
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
