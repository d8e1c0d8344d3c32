//! `sydent config`: generating a configuration, and reporting every problem of
//! one.

use tempfile::TempDir;

use crate::harness::{CommandOutput, mode};

fn folder() -> TempDir {
    tempfile::tempdir().unwrap()
}

fn write(folder: &TempDir, name: &str, text: &str) {
    std::fs::write(folder.path().join(name), text).unwrap();
}

fn read(folder: &TempDir, name: &str) -> String {
    std::fs::read_to_string(folder.path().join(name)).unwrap()
}

fn run(folder: &TempDir, arguments: &str) -> CommandOutput {
    CommandOutput::run(folder.path(), arguments)
}

const GENERATE: &str =
    "config generate --server-name example.org --base-url https://id.example.org";
/// The minimal configuration. The test writes the files that it names.
const MINIMAL: &str = "server.name = 'example.org'
server.public_base_url = 'https://id.example.org'
server.signing_key_file = 'signing.key'
database.url = 'sqlite:sydent.db'
";

/// A folder with a key and the minimal configuration, overridden by these lines.
fn with_lines(lines: &str) -> TempDir {
    let folder = folder();
    assert_eq!(run(&folder, "key generate --out signing.key").code, 0);
    let is_kept = |line: &&str| {
        let key = line.split(" = ").next().unwrap();
        !lines.lines().any(|other| other.starts_with(key))
    };
    let minimal: Vec<&str> = MINIMAL.lines().filter(is_kept).collect();
    write(
        &folder,
        "sydent.toml",
        &format!("{}\n{lines}\n", minimal.join("\n")),
    );
    folder
}

#[test]
fn generated_config_passes_check_and_is_kept() {
    let folder = folder();
    let output = run(&folder, GENERATE);
    assert_eq!(output.code, 0, "{}", output.err);
    assert!(
        output
            .err
            .contains("sydent config check --config sydent.toml"),
        "{}",
        output.err
    );
    assert_eq!(mode(&folder.path().join("signing.key")), 0o600);
    let (text, key) = (read(&folder, "sydent.toml"), read(&folder, "signing.key"));
    assert!(key.starts_with("ed25519 a_"));

    let checked = run(&folder, "config check --config sydent.toml");
    assert_eq!(checked.code, 0, "{}", checked.err);
    let warning = "email.transport: is \"none\": the server sends no email";
    assert!(checked.err.contains(warning), "{}", checked.err);
    assert!(
        checked.out.contains("name = \"example.org\""),
        "{}",
        checked.out
    );
    // The output is itself a configuration, with every setting in it.
    write(&folder, "shown.toml", &checked.out);
    let again = run(&folder, "config check --config shown.toml");
    assert_eq!((again.code, again.out), (0, checked.out));

    for name in ["sydent.toml", "other.toml"] {
        let output = run(&folder, &format!("{GENERATE} --out {name}"));
        assert_eq!(output.code, 1);
        assert!(
            output.err.contains("already exists; nothing was written"),
            "{}",
            output.err
        );
    }
    assert_eq!(
        (read(&folder, "sydent.toml"), read(&folder, "signing.key")),
        (text, key)
    );
    assert!(!folder.path().join("other.toml").exists());
}

#[test]
fn generate_sets_relay_sender_and_database() {
    let folder = folder();
    let flags = "--smtp mail.example.org:465 --from id@example.org \
                 --database postgres://id:hunter2@db.example/sydent";
    let output = run(&folder, &format!("{GENERATE} {flags}"));
    assert_eq!(output.code, 0, "{}", output.err);
    // It contains the password of the database.
    assert_eq!(mode(&folder.path().join("sydent.toml")), 0o600);
    let checked = run(&folder, "config check -c sydent.toml");
    assert_eq!(checked.code, 0, "{}", checked.err);
    for line in [
        "url = \"postgres://id:[secret]@db.example/sydent\"",
        "from = \"id@example.org\"",
        "transport = \"smtp\"",
        "host = \"mail.example.org\"",
        "port = 465",
        "encryption = \"tls\"",
    ] {
        assert!(checked.out.contains(line), "{line}\n{}", checked.out);
    }
    assert!(!checked.out.contains("hunter2"));
    for wrong in [
        "--smtp a:b",
        "--from nobody",
        "--database sydent.db",
        "--base-url id.example",
    ] {
        let output = run(&self::folder(), &format!("{GENERATE} {wrong}"));
        assert_ne!(output.code, 0, "{wrong}");
    }
}

#[test]
fn all_errors_are_reported_with_their_line() {
    let folder = folder();
    let text = "[server]
name = 'a b'
public_base_url = 'http://id.example.org'
signing_key_file = 'missing.key'
[database]
url = 'postgres://id:hunter2@db/x'
busy_timout = '5s'
readers = 0
[htpp]
listen = 1
[email.smtp]
port = 'hunter2'
";
    write(&folder, "bad.toml", text);
    let named = [
        "bad.toml:2: server.name: ",
        "bad.toml:3: server.public_base_url: must start with https://",
        "bad.toml:4: server.signing_key_file: cannot read missing.key: ",
        "bad.toml:7: database.busy_timout: is not a setting; did you mean database.busy_timeout?",
        "bad.toml:8: database.readers: must be a whole number from 1 to 64",
        "bad.toml:9: htpp: is not a setting; did you mean http?",
        "bad.toml:12: email.smtp.port: must be a whole number",
        "SYDENT__LOOKUP__MAX: is not a setting",
    ];
    for command in ["config check", "serve"] {
        let variables = [("SYDENT__LOOKUP__MAX", "hunter2")];
        let output = CommandOutput::run_with(
            folder.path(),
            &format!("{command} --config bad.toml"),
            &variables,
        );
        assert_eq!((output.code, output.out.as_str()), (1, ""));
        let mut lines = output.err.lines();
        assert_eq!(lines.next(), Some("The configuration has 8 problems:"));
        for named in named {
            assert!(
                lines.clone().any(|line| line.starts_with(named)),
                "{named}: {}",
                output.err
            );
        }
        assert_eq!(lines.count(), named.len(), "{}", output.err);
        assert!(!output.err.contains("hunter2"), "{}", output.err);
    }
}

/// OPS-08
#[test]
fn config_check_rejects_invalid_configuration() {
    for (lines, named) in [
        ("server.name = ''", "server.name: "),
        (
            "server.public_base_url = 'http://a.example'",
            "server.public_base_url: must start",
        ),
        (
            "server.signing_key_file = 'bad.key'",
            "server.signing_key_file: ",
        ),
        (
            "email.transport = 'smtp'\nemail.from = 'nobody'",
            "email.from: ",
        ),
        ("email.transport = 'smtp'", "email.from: "),
        (
            "database.url = 'sqlite:missing/a.db'",
            "database.url: must be a file in an existing folder",
        ),
        (
            "internal.listen = ['0.0.0.0:1']",
            "internal.listen: must contain only loopback",
        ),
    ] {
        let folder = with_lines(lines);
        write(&folder, "bad.key", "ed25519 0 hunter2\n");
        let output = run(&folder, "serve --config sydent.toml");
        assert_eq!(output.code, 1, "{lines}");
        let first = output.err.lines().next().unwrap();
        assert!(
            first.starts_with("The configuration has 1 problem"),
            "{}",
            output.err
        );
        assert!(output.err.contains(named), "{lines}: {}", output.err);
        assert!(!output.err.contains("hunter2"), "{}", output.err);
        assert!(
            !folder.path().join("sydent.db").exists(),
            "nothing was created"
        );
    }
    // Plain HTTP can be allowed for development.
    let folder = with_lines("server.public_base_url = 'http://a.example'");
    let allowed = [("SYDENT__SERVER__ALLOW_PLAIN_HTTP", "true")];
    let output = CommandOutput::run_with(folder.path(), "config check -c sydent.toml", &allowed);
    assert_eq!(output.code, 0, "{}", output.err);
    assert!(output.err.starts_with("warning: "), "{}", output.err);
}

#[test]
fn variables_override_and_secrets_are_masked() {
    let folder = with_lines("lookup.max_addresses = 5\nemail.smtp.password = 'hunter2'");
    let variables = [
        ("SYDENT_CONFIG", "sydent.toml"),
        ("SYDENT__LOOKUP__MAX_ADDRESSES", "7"),
        ("SYDENT__HTTP__LISTEN", "[\"127.0.0.1:0\", \"[::1]:0\"]"),
        ("SYDENT__EMAIL__SMTP__USERNAME", "id"),
        (
            "SYDENT__DATABASE__URL",
            "postgres://id:hunter2@db.example/x",
        ),
    ];
    let output = CommandOutput::run_with(folder.path(), "config check", &variables);
    assert_eq!(output.code, 0, "{}", output.err);
    for line in [
        "max_addresses = 7",
        "listen = [\"127.0.0.1:0\", \"[::1]:0\"]",
        "url = \"postgres://id:[secret]@db.example/x\"",
        "password = \"[secret]\"",
    ] {
        assert!(output.out.contains(line), "{line}\n{}", output.out);
    }
    assert!(!output.out.contains("hunter2") && !output.err.contains("hunter2"));
    // The file is optional: without it only the variables count.
    let output = CommandOutput::run_with(folder.path(), "config check", &variables[1..]);
    assert_eq!(output.code, 1);
    assert!(
        output.err.contains("server.name: is missing"),
        "{}",
        output.err
    );
}
