//! The SMTP server of the tests: aiosmtpd, run by `smtpd.py`.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;

use base64::Engine as _;
use serde_json::Value;
use sydent::config::{Encryption, Settings, TransportKind};
use tempfile::TempDir;

use super::{Mail, TestCa, eventually};

/// How a test's SMTP server protects its connections: not at all, by STARTTLS,
/// or from the first byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tls {
    None,
    Upgraded,
    Implicit,
}

/// An SMTP server that ends with its test.
pub struct SmtpServer {
    pub port: u16,
    pub tls: Tls,
    pub ca: TestCa,
    folder: TempDir,
    child: Child,
}

impl SmtpServer {
    /// The server that most tests share; it asks for STARTTLS.
    pub fn shared() -> &'static Self {
        static SHARED: OnceLock<SmtpServer> = OnceLock::new();
        SHARED.get_or_init(|| Self::start(Tls::Upgraded, "localhost", &["--require-starttls"]))
    }

    /// A server of one's own, with a certificate for `name` and further
    /// arguments of `smtpd.py`.
    pub fn start(tls: Tls, name: &str, more: &[&str]) -> Self {
        let (ca, folder) = (TestCa::new(), tempfile::tempdir().unwrap());
        let (certificate, key) = ca.certify(name);
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/harness/smtpd.py");
        let mut command = Command::new(python());
        command
            .arg(script)
            .arg("--dir")
            .arg(folder.path())
            .args(["--port", "0"]);
        let protection = match tls {
            Tls::None => "none",
            Tls::Upgraded => "starttls",
            Tls::Implicit => "implicit",
        };
        command.args(["--tls", protection]);
        if tls != Tls::None {
            command.arg("--cert").arg(certificate).arg("--key").arg(key);
        }
        let mut child = command
            .args(more)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("TEST_PYTHON names a Python; tests/run sets it");
        let mut ready = String::new();
        BufReader::new(child.stdout.take().unwrap())
            .read_line(&mut ready)
            .unwrap();
        let port = ready
            .strip_prefix("ready ")
            .and_then(|port| port.trim().parse().ok());
        let port =
            port.expect("smtpd.py starts, if its Python has aiosmtpd; tests/run installs it");
        Self {
            port,
            tls,
            ca,
            folder,
            child,
        }
    }

    /// Lets a server send its mail here.
    pub fn configure(&self, settings: &mut Settings) {
        settings.email.transport = TransportKind::Smtp;
        settings.email.from = Some("Identity server <noreply@id.example.test>".to_owned());
        "localhost".clone_into(&mut settings.email.smtp.host);
        settings.email.smtp.port = Some(self.port);
        settings.email.smtp.ca_file = Some(self.ca.file());
        settings.email.smtp.encryption = match self.tls {
            Tls::None => Encryption::None,
            Tls::Upgraded => Encryption::Starttls,
            Tls::Implicit => Encryption::Tls,
        };
    }

    /// From now on the server behaves so: see `smtpd.py`.
    pub fn behave(&self, behaviour: &Value) {
        let (new, old) = (
            self.folder.path().join("behaviour.new"),
            self.folder.path().join("behaviour.json"),
        );
        std::fs::write(&new, behaviour.to_string()).unwrap();
        std::fs::rename(new, old).unwrap();
    }

    /// All mails to an address, the oldest first.
    pub fn mails_to(&self, address: &str) -> Vec<Mail> {
        self.notes()
            .into_iter()
            .filter(|noted| recipients(noted).any(|to| to == address))
            .map(|noted| {
                let coded = noted["data_base64"].as_str().unwrap();
                let raw = base64::engine::general_purpose::STANDARD
                    .decode(coded)
                    .unwrap();
                Mail { noted, raw }
            })
            .collect()
    }

    /// The recipients of all mails, the oldest first.
    pub fn recipients(&self) -> Vec<String> {
        let notes = self.notes();
        notes
            .iter()
            .flat_map(recipients)
            .map(str::to_owned)
            .collect()
    }

    fn notes(&self) -> Vec<Value> {
        let mut files: Vec<_> = std::fs::read_dir(self.folder.path())
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .filter(|path| {
                path.extension().is_some_and(|ending| ending == "json")
                    && !path.ends_with("behaviour.json")
            })
            .collect();
        files.sort();
        files
            .into_iter()
            .map(|file| serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap())
            .collect()
    }

    /// The newest mail to an address, once there is one.
    pub async fn mail_to(&self, address: &str) -> Mail {
        eventually("a mail", async || self.mails_to(address).pop()).await
    }

    /// Ends the server as if its machine had died.
    pub fn kill(mut self) -> u16 {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        self.port
    }
}

impl Drop for SmtpServer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn recipients(noted: &Value) -> impl Iterator<Item = &str> {
    noted["rcpt_tos"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
}

#[expect(
    clippy::disallowed_methods,
    reason = "the harness is told by the environment which Python has aiosmtpd"
)]
fn python() -> String {
    std::env::var("TEST_PYTHON").unwrap_or_else(|_| "python3".to_owned())
}
