//! A PostgreSQL server of its own, with TLS.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};

use diesel::connection::SimpleConnection as _;
use diesel::prelude::*;
use tempfile::TempDir;

use super::database::connect;
use super::{TestCa, TestDatabase, repository};

/// A server on 127.0.0.1 whose certificate is for that address and for `localhost`. It
/// ends with this value.
pub struct TlsPostgres {
    pub ca: TestCa,
    url: url::Url,
    server: Child,
    _folder: TempDir,
}

impl TlsPostgres {
    /// `None` if the tests do not use PostgreSQL.
    pub fn start() -> Option<Self> {
        if !TestDatabase::fresh().is_postgres() {
            return None;
        }
        let ca = TestCa::new();
        let folder = tempfile::tempdir().unwrap();
        let (certificate, key) = ca.certify_at("postgres", &["127.0.0.1", "localhost"]);
        for (file, name) in [
            (certificate, "server.crt"),
            (key, "server.key"),
            (ca.file(), "ca.pem"),
        ] {
            std::fs::copy(file, folder.path().join(name)).unwrap();
        }
        // It ends when its input does.
        let mut server = Command::new(repository("tests/tools/with-postgres"))
            .arg("--tls")
            .arg(folder.path())
            .args(["sh", "-c", "echo $TEST_DATABASE_URL; cat"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(server.stdout.take().unwrap()).lines();
        let mut lines = lines.by_ref().map(Result::unwrap);
        let url = lines.find(|line| line.starts_with("postgres://")).unwrap();
        let mut url = url::Url::parse(&url).unwrap();
        url.set_query(None);
        Some(Self {
            ca,
            url,
            server,
            _folder: folder,
        })
    }

    /// The URL with this host and these parameters, in which `{ca}` is the authority.
    pub fn url(&self, host: &str, parameters: &str) -> String {
        let mut url = self.url.clone();
        url.set_host(Some(host)).unwrap();
        let ca = self.ca.file();
        url.set_query(Some(&parameters.replace("{ca}", ca.to_str().unwrap())));
        url.to_string()
    }

    /// Its port.
    pub fn port(&self) -> u16 {
        self.url.port().unwrap()
    }

    /// Sets who may connect, and how (`pg_hba.conf`).
    pub fn allow(&self, lines: &str) {
        let mut connection = connect(self.url.as_str());
        let file = text(&mut connection, "current_setting('hba_file')");
        connection
            .batch_execute(&format!(
                "COPY (SELECT unnest(string_to_array('{lines}', E'\\n'))) TO '{file}'"
            ))
            .unwrap();
        // The server tells its sessions of a reload shortly before it reads this file. When
        // they know of the next one, it has read it.
        for _ in 0..2 {
            let before = text(&mut connection, "pg_conf_load_time()::text");
            text(&mut connection, "pg_reload_conf()::text");
            while text(&mut connection, "pg_conf_load_time()::text") == before {}
        }
    }
}

fn text(connection: &mut PgConnection, expression: &str) -> String {
    #[derive(QueryableByName)]
    struct Row {
        #[diesel(sql_type = diesel::sql_types::Text)]
        text: String,
    }
    let row: Row = diesel::sql_query(format!("SELECT {expression} AS text"))
        .get_result(connection)
        .unwrap();
    row.text
}

impl Drop for TlsPostgres {
    fn drop(&mut self) {
        drop(self.server.stdin.take());
        let _ = self.server.wait();
    }
}
