//! Starts that are refused, before anything is written, and `sydent config check`,
//! which finds the same.

mod checks;
mod databases;
mod files;
mod owner;
mod postgres;
mod postgres_tls;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::harness::{CommandOutput, KEY_FILE, TestDatabase, TestProcess};

/// A folder with a configuration, its key and other files.
struct Setup {
    folder: TempDir,
    lines: BTreeMap<String, String>,
}

const LEAST: &str = "server.name = 'example.org'
server.public_base_url = 'https://id.example.org'
server.signing_key_file = 'signing.key'
database.url = 'sqlite:sydent.db'
http.listen = ['127.0.0.1:0']
internal.listen = ['127.0.0.1:0']
operations.listen = ['127.0.0.1:0']
federation.dns_servers = ['127.0.0.1:1']
log.level = 'info'
";

impl Setup {
    fn new() -> Self {
        let mut setup = Self {
            folder: tempfile::tempdir().unwrap(),
            lines: BTreeMap::new(),
        };
        setup.write("signing.key", KEY_FILE);
        setup.set(LEAST);
        setup
    }

    /// A setup that uses this database.
    fn with_database(database: &TestDatabase) -> Self {
        let mut setup = Self::new();
        setup.set(&format!("database.url = '{}'", database.url));
        setup
    }

    /// Replaces or adds settings, one per line.
    fn set(&mut self, lines: &str) {
        for line in lines.lines() {
            let (key, value) = line.split_once(" = ").unwrap();
            self.lines.insert(key.to_owned(), value.to_owned());
        }
        let lines = self.lines.iter();
        let lines: Vec<String> = lines
            .map(|(key, value)| format!("{key} = {value}\n"))
            .collect();
        self.write("sydent.toml", lines.concat());
    }

    /// Starts the server and binds an address.
    fn bind(self) -> TestProcess {
        let server = TestProcess::start_in(self.folder);
        let at = format!("--internal http://{}", server.internal);
        let bound = server.command(&format!(
            "bind email alice@example.org @alice:example.org {at}"
        ));
        assert_eq!(bound.code, 0, "{}", bound.err);
        server
    }

    /// The setup of a server that has bound an address and has ended.
    fn used(self) -> Self {
        let lines = self.lines.clone();
        let folder = self.bind().stop();
        Self { folder, lines }
    }

    /// The SQLite database `sydent.db`.
    fn database(&self) -> TestDatabase {
        TestDatabase::existing(&format!("sqlite:{}", self.path("sydent.db").display()))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        let path = self.path(name);
        std::fs::write(&path, content).unwrap();
        chmod(&path, 0o600);
    }

    fn run(&self, command: &str) -> CommandOutput {
        CommandOutput::run(self.folder.path(), &format!("{command} -c sydent.toml"))
    }

    /// The names and contents of all files.
    fn files(&self) -> BTreeMap<PathBuf, Vec<u8>> {
        let entries = std::fs::read_dir(self.folder.path()).unwrap();
        let files = entries.map(|entry| entry.unwrap().path());
        files
            .filter(|path| path.is_file())
            .map(|path| (path.clone(), std::fs::read(path).unwrap()))
            .collect()
    }

    /// Runs the server, and ends it if it starts.
    fn run_refused(&self) -> CommandOutput {
        let mut child = Command::new(env!("CARGO_BIN_EXE_sydent"))
            .args(["serve", "-c", "sydent.toml"])
            .current_dir(self.folder.path())
            .env_clear()
            .env("SYDENT__LOG__LEVEL", "error")
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let started = Instant::now();
        while child.try_wait().unwrap().is_none() {
            if started.elapsed() > Duration::from_mins(1) {
                child.kill().unwrap();
                panic!("the server was not refused: {:?}", self.lines);
            }
            pause();
        }
        CommandOutput::from(child.wait_with_output().unwrap())
    }

    /// Expects that the server and `config check` refuse for the same reason and name
    /// this setting, and that no file changes.
    fn refused(&self, key: &str, reason: &str) -> String {
        let before = self.files();
        let serve = self.run_refused();
        assert_eq!((serve.code, serve.out.as_str()), (1, ""), "{}", serve.err);
        assert!(
            serve.err.contains(&format!(" {key}: ")),
            "{key}: {}",
            serve.err
        );
        assert!(serve.err.contains(reason), "{reason}: {}", serve.err);
        let check = self.run("config check");
        assert_eq!((check.code, &check.err), (1, &serve.err));
        assert!(self.files() == before, "a file was changed or created");
        serve.err
    }
}

#[expect(clippy::disallowed_methods, reason = "the test waits for a process")]
fn pause() {
    std::thread::sleep(Duration::from_millis(10));
}

fn chmod(path: &Path, mode: u32) {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}
