//! `sydent serve` in a process of its own, for tests that end it.

use std::fmt::Write as _;
use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use rustix::process::Pid;
use sydent::config::Settings;
use tempfile::TempDir;

use super::server::settings;
use super::{Api, CommandOutput, TestDatabase};

pub use rustix::process::Signal;

/// `sydent serve` with a configuration file of its own.
pub struct TestProcess {
    pub client: SocketAddr,
    pub internal: SocketAddr,
    pub operations: SocketAddr,
    pub log: Arc<Mutex<String>>,
    child: Child,
    folder: TempDir,
}

impl TestProcess {
    /// Starts it on that database; `change` changes the settings.
    pub fn start(database: &TestDatabase, change: impl FnOnce(&mut Settings)) -> Self {
        Self::launch(configured(database, change))
    }

    /// Starts it and waits until it ends by itself.
    pub fn start_failing(
        database: &TestDatabase,
        change: impl FnOnce(&mut Settings),
    ) -> CommandOutput {
        let folder = configured(database, change);
        CommandOutput::run(folder.path(), "serve --config sydent.toml")
    }

    /// Kills it and starts it again with the same configuration.
    pub fn restart(mut self) -> Self {
        let _ = self.child.kill();
        self.child.wait().unwrap();
        let folder = std::mem::replace(&mut self.folder, tempfile::tempdir().unwrap());
        Self::launch(folder)
    }

    /// Starts it with the configuration `sydent.toml` in that folder, which must
    /// have all three listeners.
    pub fn start_in(folder: TempDir) -> Self {
        Self::launch(folder)
    }

    fn launch(folder: TempDir) -> Self {
        // Without the signal, a write beyond a limit of the file's size fails as on a full
        // disk, and does not end the process.
        let mut child = Command::new("sh")
            .arg("-c")
            .arg("trap '' XFSZ; exec \"$0\" \"$@\"")
            .arg(env!("CARGO_BIN_EXE_sydent"))
            .arg("serve")
            .arg("--config")
            .arg(folder.path().join("sydent.toml"))
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let log = Arc::new(Mutex::new(String::new()));
        let lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let written = Arc::clone(&log);
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                let _ = writeln!(written.lock().unwrap(), "{line}");
            }
        });
        let address = |name: &str| listening(&log, name);
        let (client, internal, operations) = (
            address("client"),
            address("internal"),
            address("operations"),
        );
        Self {
            client,
            internal,
            operations,
            log,
            child,
            folder,
        }
    }

    /// Runs another command in the folder of its configuration.
    pub fn command(&self, arguments: &str) -> CommandOutput {
        CommandOutput::run(self.folder.path(), arguments)
    }

    pub fn api(&self) -> Api {
        Api::new(format!("http://{}", self.client))
    }

    pub fn internal(&self) -> Api {
        Api::new(format!("http://{}", self.internal))
    }

    pub fn operations(&self) -> Api {
        Api::new(format!("http://{}", self.operations))
    }

    /// Ends it with SIGKILL.
    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    pub fn signal(&self, signal: Signal) {
        send_signal(&self.child, signal);
    }

    /// Lets no file of it become longer; `None` for any length.
    #[cfg(target_os = "linux")]
    pub fn limit_files(&self, bytes: Option<u64>) {
        use rustix::process::{Resource, Rlimit, prlimit};
        let limit = Rlimit {
            current: bytes,
            maximum: None,
        };
        let pid = Pid::from_child(&self.child);
        prlimit(Some(pid), Resource::Fsize, limit).unwrap();
    }

    /// Waits up to 30 s until it ends.
    pub fn wait(&mut self) -> ExitStatus {
        let started = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(
                started.elapsed() < Duration::from_secs(30),
                "the process does not end"
            );
            pause();
        }
    }

    /// The text of its configuration file.
    pub fn configuration(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("sydent.toml")).unwrap()
    }

    /// Ends it with SIGTERM. Returns the folder of its configuration.
    pub fn stop(mut self) -> TempDir {
        self.signal(Signal::TERM);
        self.wait();
        std::mem::replace(&mut self.folder, tempfile::tempdir().unwrap())
    }

    /// Its log so far.
    pub fn log(&self) -> String {
        self.log.lock().unwrap().clone()
    }

    /// Its log, as soon as it contains this text: a line may be later than the
    /// response that it belongs to.
    pub async fn log_containing(&self, text: &str) -> String {
        super::wait_for(text, async || {
            Some(self.log()).filter(|log| log.contains(text))
        })
        .await
    }
}

impl Drop for TestProcess {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Sends a signal to a process that was not waited for yet.
pub fn send_signal(child: &Child, signal: Signal) {
    rustix::process::kill_process(Pid::from_child(child), signal).unwrap();
}

fn listening(log: &Mutex<String>, name: &str) -> SocketAddr {
    let started = Instant::now();
    let mark = format!("the {name} listener is at http://");
    loop {
        let text = log.lock().unwrap().clone();
        let found = text
            .split(&mark)
            .nth(1)
            .and_then(|rest| rest.split(['\n', '"']).next()?.trim().parse().ok());
        if let Some(address) = found {
            return address;
        }
        assert!(
            started.elapsed() < Duration::from_secs(30),
            "the process does not start: {text}"
        );
        pause();
    }
}

#[expect(clippy::disallowed_methods, reason = "the test waits for a process")]
fn pause() {
    std::thread::sleep(Duration::from_millis(10));
}

/// A folder with a configuration file.
/// A folder with the configuration `sydent.toml`; `change` changes the settings.
pub fn configured(database: &TestDatabase, change: impl FnOnce(&mut Settings)) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let mut settings = settings(&folder, database);
    settings.log.level = sydent::config::LogLevel::Trace;
    change(&mut settings);
    let file = folder.path().join("sydent.toml");
    std::fs::write(&file, toml_of(&settings, database)).unwrap();
    folder
}

/// The settings as a file. Serializing masks secrets, the database URL among
/// them.
fn toml_of(settings: &Settings, database: &TestDatabase) -> String {
    let mut table = toml::Table::try_from(settings).unwrap();
    table["database"]["url"] = database.url.clone().into();
    toml::to_string(&table).unwrap()
}
