//! A configuration file of the Python Sydent, and its import.

use std::fs;
use std::path::Path;

use serde_json::Value;
use tempfile::TempDir;

use super::{CommandOutput, KEY_FILE, SERVER_NAME};

/// Lets the system choose the ports of the listeners.
pub const PORTS: &str = "clientapi.http.bind_address = 127.0.0.1\nclientapi.http.port = 0\n\
    internalapi.http.bind_address = 127.0.0.1\ninternalapi.http.port = 0\n";
pub const METRICS: &str = "prometheus_addr = 127.0.0.1\nprometheus_port = 0\n";

/// Imports the configuration in that folder, which must succeed.
pub fn import(folder: &Path, flags: &str, variables: &[(&str, &str)]) -> CommandOutput {
    let output = CommandOutput::run_with(folder, &format!("import sydent {flags}"), variables);
    assert_eq!(output.code, 0, "{}", output.err);
    let check = CommandOutput::run(folder, "config check --config sydent.toml");
    assert_eq!(check.code, 0, "{}", check.err);
    output
}

/// A setting in the written configuration, such as `email/smtp/port`.
pub fn setting(folder: &Path, key: &str) -> Value {
    let text = fs::read_to_string(folder.join("sydent.toml")).unwrap();
    let mut value = &toml::Value::Table(text.parse().unwrap());
    for name in key.split('/') {
        let Some(inner) = value.get(name) else {
            return Value::Null;
        };
        value = inner;
    }
    serde_json::to_value(value).unwrap()
}

/// A folder with a small `sydent.conf`, with `more` in its section `[http]`.
pub fn small(more: &str) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let text = format!(
        "[general]\nserver.name = {SERVER_NAME}\n[http]\nclient_http_base = https://old.example.test\n\
         {more}\n[crypto]\ned25519.signingkey = {KEY_FILE}"
    );
    fs::write(folder.path().join("sydent.conf"), text).unwrap();
    folder
}
