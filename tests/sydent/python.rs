//! The Python Sydent, as the judge of what is taken from it.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;

use diesel::connection::SimpleConnection as _;
use serde_json::Value;
use tempfile::TempDir;

use crate::harness::database::sqlite;
use crate::harness::{Api, KEY_FILE, SERVER_NAME, SmtpServer, Tls, V2};

/// Where it says that it is reached.
const PUBLIC_URL: &str = "https://old.example.test";

const VERIFICATION: &str = "From: {{ from }}\nTo: {{ to }}\nDate: {{ date }}\n\
    Message-ID: {{ messageid }}\nSubject: Is this you?\nMIME-Version: 1.0\n\
    Content-Type: text/plain; charset=UTF-8\n\nOpen {{ link }}\nor enter\n{{ token }}\n";
const INVITATION: &str = "From: {{ from }}\nTo: {{ to }}\nDate: {{ date }}\n\
    Message-ID: {{ messageid }}\nSubject: {{ subject_header_value }}\nMIME-Version: 1.0\n\
    Content-Type: text/plain; charset=UTF-8\n\nCome to {{ room_id }}\n{{ token }}\n";
const ANSWER_PAGE: &str = "<!DOCTYPE html>\n<title>Checked</title>\n<p>{{ message }}</p>\n";
const TERMS: &str = "master_version: '3'\ndocs:\n  privacy:\n    version: '1.2'\n    langs:\n      \
    en: { name: Privacy, url: 'https://old.example.test/privacy' }\n";

/// The URL in its terms.
pub const OLD_TERMS: &str = "https://old.example.test/privacy";

const NEEDS_PYTHON: &str =
    "TEST_SYDENT_PYTHON must name a Python with matrix-sydent; `tests/run sydent` sets it";

/// What Python runs before Sydent: its clock is apart by the milliseconds in a file,
/// and it looks for changes to push more often than every 10 s.
const BEFORE: &str = "import os, time\n\
    import twisted.internet.task as task\n\
    real, start = time.time, task.LoopingCall.start\n\
    def now():\n    \
        try:\n        \
            with open(os.environ['SYDENT_CLOCK']) as file:\n            \
                return real() + int(file.read() or 0) / 1000\n    \
        except OSError:\n        \
            return real()\n\
    time.time = now\n\
    def sooner(self, interval, now=True):\n    \
        return start(self, min(interval, float(os.environ['SYDENT_INTERVAL'])), now)\n\
    task.LoopingCall.start = sooner\n";

/// Its configuration: values by section and key.
pub type Conf = BTreeMap<String, BTreeMap<String, String>>;

/// A running Sydent. It stops when it goes out of scope.
pub struct RealSydent {
    client_port: u16,
    internal_port: u16,
    folder: TempDir,
    child: Child,
}

impl RealSydent {
    /// Starts one in a folder of its own; `change` changes its configuration.
    pub async fn start(change: impl FnOnce(&mut Conf)) -> Self {
        Self::start_on(|_| (), change).await
    }

    /// The same after `prepare` has written a database to the given path.
    pub async fn start_on(prepare: impl FnOnce(&Path), change: impl FnOnce(&mut Conf)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        prepare(&folder.path().join("sydent.db"));
        let brand = folder.path().join("res/house");
        std::fs::create_dir_all(&brand).unwrap();
        for (name, text) in [
            ("verification_template.eml.j2", VERIFICATION),
            ("invite_template.eml.j2", INVITATION),
            ("verify_response_template.html", ANSWER_PAGE),
        ] {
            std::fs::write(brand.join(name), text).unwrap();
        }
        std::fs::write(folder.path().join("terms.yaml"), TERMS).unwrap();
        std::fs::write(folder.path().join("sitecustomize.py"), BEFORE).unwrap();
        let ports = free_ports();
        let mut conf = conf(folder.path(), ports);
        change(&mut conf);
        std::fs::write(folder.path().join("sydent.conf"), text_of(&conf)).unwrap();
        let child = launch(folder.path());
        let mut sydent = Self {
            client_port: ports[0],
            internal_port: ports[1],
            folder,
            child,
        };
        sydent.wait_until_it_answers().await;
        sydent
    }

    /// Sets its clock that far apart from the real one.
    pub fn set_clock_apart(&self, ms: i64) {
        let file = self.folder.path().join("clock");
        // Renamed, since it must not read a part.
        let new = file.with_extension("new");
        std::fs::write(&new, ms.to_string()).unwrap();
        std::fs::rename(new, file).unwrap();
    }

    /// Ends it and starts it again on what it had.
    pub async fn restart(&mut self) {
        self.stop();
        self.child = launch(self.folder.path());
        self.wait_until_it_answers().await;
    }

    /// Ends it; its files stay.
    pub fn stop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// A client of it.
    pub fn api(&self) -> Api {
        Api::new(self.url())
    }

    /// A client of its internal listener.
    pub fn internal(&self) -> Api {
        Api::new(format!("http://127.0.0.1:{}", self.internal_port))
    }

    /// A client with an access token, whose user has accepted the terms.
    pub fn account(&self) -> Api {
        let known = "INSERT INTO accounts (user_id, created_ts, consent_version)
                VALUES ('@looker:example.org', 1, '3');
            INSERT INTO tokens (token, user_id) VALUES ('looking', '@looker:example.org')";
        sqlite(self.database().to_str().unwrap())
            .batch_execute(known)
            .unwrap();
        self.api().with_token("looking")
    }

    /// Where its public listener is.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.client_port)
    }

    /// Its database.
    pub fn database(&self) -> PathBuf {
        self.folder.path().join("sydent.db")
    }

    /// Its configuration file.
    pub fn configuration(&self) -> PathBuf {
        self.folder.path().join("sydent.conf")
    }

    async fn wait_until_it_answers(&mut self) {
        let api = self.api();
        let path = format!("{V2}/pubkey/ed25519:0");
        let log = self.folder.path().join("sydent.log");
        for _ in 0..1500 {
            let asked = api.try_send(awc::http::Method::GET, &path, &[], Vec::new());
            if asked.await.is_ok_and(|answer| answer.status == 200) {
                return;
            }
            if self.child.try_wait().unwrap().is_some() {
                break;
            }
            actix_web::rt::time::sleep(std::time::Duration::from_millis(20)).await;
        }
        panic!(
            "Sydent does not start. {NEEDS_PYTHON}: {}",
            std::fs::read_to_string(log).unwrap()
        );
    }
}

impl Drop for RealSydent {
    fn drop(&mut self) {
        self.stop();
    }
}

/// The SMTP server of all Sydents. It has no TLS, since Python does not trust the
/// certificates of the tests.
pub fn mail_server() -> &'static SmtpServer {
    static SERVER: OnceLock<SmtpServer> = OnceLock::new();
    SERVER.get_or_init(|| SmtpServer::start(Tls::None, "localhost", &["--accept-bare-lf"]))
}

fn conf(folder: &Path, [client, internal, replication]: [u16; 3]) -> Conf {
    let mail = mail_server();
    let file = |name: &str| folder.join(name).display().to_string();
    let key = KEY_FILE.trim().to_owned();
    let sections = [
        (
            "general",
            vec![
                ("server.name", SERVER_NAME.to_owned()),
                ("pidfile.path", file("sydent.pid")),
                ("terms.path", file("terms.yaml")),
                ("templates.path", file("res")),
                ("brand.default", "house".to_owned()),
                ("ip.whitelist", "127.0.0.0/8".to_owned()),
            ],
        ),
        ("db", vec![("db.file", file("sydent.db"))]),
        (
            "http",
            vec![
                ("clientapi.http.bind_address", "127.0.0.1".to_owned()),
                ("clientapi.http.port", client.to_string()),
                ("internalapi.http.bind_address", "127.0.0.1".to_owned()),
                ("internalapi.http.port", internal.to_string()),
                ("replication.https.bind_address", "127.0.0.1".to_owned()),
                ("replication.https.port", replication.to_string()),
                ("federation.verifycerts", "False".to_owned()),
                ("client_http_base", PUBLIC_URL.to_owned()),
            ],
        ),
        (
            "email",
            vec![
                (
                    "email.from",
                    "Old server <noreply@old.example.test>".to_owned(),
                ),
                ("email.smtphost", "localhost".to_owned()),
                ("email.smtpport", mail.port.to_string()),
                ("email.tlsmode", "0".to_owned()),
                ("email.hostname", "localhost".to_owned()),
                ("email.ratelimit_sender.burst", "1000".to_owned()),
            ],
        ),
        ("crypto", vec![("ed25519.signingkey", key)]),
    ];
    let owned = |(key, value): (&str, String)| (key.to_owned(), value);
    sections
        .into_iter()
        .map(|(name, values)| (name.to_owned(), values.into_iter().map(owned).collect()))
        .collect()
}

fn text_of(conf: &Conf) -> String {
    let mut text = String::new();
    for (section, values) in conf {
        writeln!(text, "[{section}]").unwrap();
        for (key, value) in values {
            writeln!(text, "{key} = {value}").unwrap();
        }
    }
    text
}

fn launch(folder: &Path) -> Child {
    let log = std::fs::File::options()
        .create(true)
        .append(true)
        .open(folder.join("sydent.log"))
        .unwrap();
    Command::new(python())
        .args(["-m", "sydent.sydent"])
        .current_dir(folder)
        .env("SYDENT_CONF", folder.join("sydent.conf"))
        .env("PYTHONPATH", folder)
        .env("SYDENT_CLOCK", folder.join("clock"))
        .env("SYDENT_INTERVAL", "1")
        .stdin(Stdio::null())
        .stdout(log.try_clone().unwrap())
        .stderr(log)
        .spawn()
        .expect(NEEDS_PYTHON)
}

/// What it makes of a configuration file, by section; a file that is not there it
/// writes.
pub fn sydent_reads(file: &Path, variables: &[(&str, &str)]) -> Value {
    const SCRIPT: &str = "import json, sys\n\
        from sydent.config import SydentConfig\n\
        conf = SydentConfig()\n\
        conf.parse_config_file(sys.argv[1])\n\
        plain = lambda odd: odd.decode() if isinstance(odd, bytes) else \
        sorted(odd) if isinstance(odd, set) else str(odd)\n\
        sections = 'general database crypto sms email http'.split()\n\
        print(json.dumps({name: vars(getattr(conf, name)) for name in sections}, default=plain))";
    let output = Command::new(python())
        .args(["-c", SCRIPT])
        .arg(file)
        .current_dir(file.parent().unwrap())
        .envs(variables.iter().copied())
        .output()
        .expect(NEEDS_PYTHON);
    let printed = String::from_utf8(output.stdout).unwrap();
    let last = printed.lines().last().unwrap_or_default();
    let errors = || panic!("{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_str(last).unwrap_or_else(|_| errors())
}

/// Ports that were free a moment ago; Sydent cannot choose them itself.
fn free_ports() -> [u16; 3] {
    let listeners = [(); 3].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
    listeners.map(|listener| listener.local_addr().unwrap().port())
}

#[expect(
    clippy::disallowed_methods,
    reason = "the environment names the Python that has Sydent"
)]
fn python() -> String {
    std::env::var("TEST_SYDENT_PYTHON").expect(NEEDS_PYTHON)
}
