//! `sydent config check` finds what `sydent serve` refuses, and nothing else.

use serde_json::Value;

use crate::harness::{CommandOutput, TestProcess};

use super::{Setup, chmod};

/// The setting that is named, and the settings with the problem, separated by `; `.
const REFUSED: &str = "
internal.listen | http.listen = ['127.0.0.1:8090']; internal.listen = ['127.0.0.1:8090']
operations.listen | http.listen = ['0.0.0.0:8090']; operations.listen = ['127.0.0.1:8090']
operations.listen | http.listen = ['[::]:8090']; operations.listen = ['[::1]:8090']
operations.listen | internal.listen = ['127.0.0.1:1']; operations.listen = ['0.0.0.0:1']
server.public_base_url | server.public_base_url = 'https://id.example.org/_matrix/identity'
server.public_base_url | server.public_base_url = 'https://id.example.org/_matrix/identity/v2'
server.public_base_url | server.public_base_url = 'https://id.example.org/_matrix/identity/api/v1/'
server.public_base_url | server.public_base_url = 'https://id.example.org?a=b'
server.public_base_url | server.public_base_url = 'https://id.example.org/#a'
server.signing_key_file | server.signing_key_file = 'missing.key'
server.signing_key_file | server.signing_key_file = 'text'
federation.allow_homeservers | v1.enabled = false; federation.allow_homeservers = ['a.example']; federation.deny_homeservers = ['A.example']
federation.allow_homeservers | v1.enabled = false; federation.allow_homeservers = ['a.example:8448']; federation.deny_homeservers = ['*.example']
federation.ca_file | federation.ca_file = 'text'
database.url | database.url = 'sqlite:text'
database.url | database.url = 'sqlite:.'
database.url | database.url = 'sqlite:missing/a.db'
email.file.dir | email.transport = 'file'; email.from = 'a@example.org'; email.file.dir = 'text'
email.file.dir | email.transport = 'file'; email.from = 'a@example.org'; email.file.dir = 'text/mail'
sms.providers.x.dir | sms.providers.x.kind = 'file'; sms.providers.x.dir = 'text'
templates.brands_dir | templates.brands_dir = 'brands'
templates.verification_mail | templates.verification_mail = 'broken.eml.j2'
templates.verify_response | templates.verify_response = 'broken.html'
invites.subject_room | invites.subject_room = '{{ room_name'
templates.default_brand | templates.brands_dir = 'empty'; templates.default_brand = 'acme'
terms.file | terms.file = 'text'
";

fn with(lines: &str) -> Setup {
    let mut setup = Setup::new();
    setup.write("text", "some text, long enough to be a header: ".repeat(4));
    setup.write("broken.eml.j2", "Subject: {{ token");
    setup.write("broken.html", "{% if %}");
    for folder in ["empty", "brands", "brands/acme"] {
        std::fs::create_dir(setup.path(folder)).unwrap();
    }
    setup.write("brands/acme/verification_template.eml.j2", "{% for %}");
    setup.set(&lines.replace("; ", "\n"));
    setup
}

/// OPS-08
#[test]
fn check_finds_what_a_start_refuses() {
    for row in REFUSED.trim().lines() {
        let (key, lines) = row.split_once(" | ").unwrap();
        let text = with(lines).refused(key, "");
        assert!(
            text.starts_with("The configuration has 1 problem:\n"),
            "{row}: {text}"
        );
    }
}

/// OPS-08
#[test]
fn check_accepts_what_starts() {
    for lines in [
        "http.listen = ['127.0.0.1:0', '[::1]:0']",
        "server.public_base_url = 'https://id.example.org/matrix/identity/'",
        "v1.enabled = false; federation.allow_homeservers = ['*.example']; \
         federation.deny_homeservers = ['bad.example']",
        "database.url = 'sqlite:new.db'",
        "email.transport = 'file'; email.from = 'a@example.org'; email.file.dir = 'new/mail'",
        "sms.providers.x.kind = 'file'; sms.providers.x.dir = 'new'",
        "templates.brands_dir = 'empty'",
    ] {
        let setup = with(lines);
        let before = setup.files();
        let check = setup.run("config check");
        assert_eq!(check.code, 0, "{lines}: {}", check.err);
        assert!(
            setup.files() == before && !setup.path("new").exists(),
            "{lines}"
        );
        drop(TestProcess::start_in(setup.folder));
    }
}

/// OPS-08
#[test]
fn exposed_passwords_cause_a_warning() {
    const SMTP: &str = "email.transport = 'smtp'; email.from = 'a@example.org'; \
        email.smtp.host = 'mail.example'; email.smtp.username = 'a'";
    let inline = format!("{SMTP}; email.smtp.password = 'hunter2'");
    let in_file = format!("{SMTP}; email.smtp.password_file = 'password'");
    for (lines, file, key) in [
        (&inline, "sydent.toml", Some("email.smtp.password")),
        (&in_file, "password", Some("email.smtp.password_file")),
        (&in_file, "sydent.toml", None),
        (&in_file, "signing.key", Some("server.signing_key_file")),
    ] {
        let setup = with(lines);
        setup.write("password", "hunter2\n");
        let exposed =
            format!("every user of this machine can access {file}; run: chmod 600 {file}");
        for (mode, warned) in [(0o600, false), (0o640, false), (0o644, true), (0o606, true)] {
            chmod(&setup.path(file), mode);
            let check = setup.run("config check");
            assert_eq!(check.code, 0, "{}", check.err);
            let warning = key.map(|key| format!("{key}: {exposed}"));
            let is_warned = warning.is_some_and(|warning| check.err.contains(&warning));
            assert_eq!(
                is_warned,
                warned && key.is_some(),
                "{file} {mode:o}: {}",
                check.err
            );
            assert!(
                key.is_some() || !check.err.contains(&exposed),
                "{}",
                check.err
            );
            assert!(!check.err.contains("hunter2"), "{}", check.err);
        }
    }
    // A variable is not in the file.
    let setup = with(SMTP);
    chmod(&setup.path("sydent.toml"), 0o644);
    let variables = [("SYDENT__EMAIL__SMTP__PASSWORD", "hunter2")];
    let check = CommandOutput::run_with(
        setup.folder.path(),
        "config check -c sydent.toml",
        &variables,
    );
    assert_eq!(check.code, 0, "{}", check.err);
    assert!(
        !check.err.contains("chmod 600 sydent.toml"),
        "{}",
        check.err
    );
}

/// Runs a command as a user who owns none of the files.
fn run_as_nobody(setup: &Setup, command: &str) -> Option<CommandOutput> {
    use std::os::unix::process::CommandExt as _;
    let mut process = std::process::Command::new(env!("CARGO_BIN_EXE_sydent"));
    process
        .args(command.split_whitespace())
        .args(["-c", "sydent.toml"])
        .current_dir(setup.folder.path())
        .env_clear();
    if rustix::process::geteuid().is_root() {
        process.uid(65534).gid(65534);
    }
    // That user may not be allowed to run the binary.
    process.output().ok().map(CommandOutput::from)
}

/// OPS-08, OPS-13
#[test]
fn files_that_cannot_be_written_are_named() {
    for (lines, folder_mode, key, named) in [
        (
            "log.level = 'error'",
            0o555,
            "database.url",
            "cannot write .",
        ),
        (
            "database.url = 'sqlite:used.db'",
            0o777,
            "database.url",
            "cannot write used.db",
        ),
        (
            "database.url = 'sqlite:new.db'",
            0o777,
            "database.url",
            "cannot write new.db-wal",
        ),
        (
            "email.transport = 'file'; email.from = 'a@example.org'; email.file.dir = 'empty/a/b'",
            0o777,
            "email.file.dir",
            "cannot write empty",
        ),
        (
            "sms.providers.x.kind = 'file'; sms.providers.x.dir = 'empty'",
            0o777,
            "sms.providers.x.dir",
            "cannot write empty",
        ),
    ] {
        let setup = with(lines);
        setup.write("used.db", "");
        setup.write("new.db-wal", "");
        chmod(&setup.path("used.db"), 0o444);
        chmod(&setup.path("new.db-wal"), 0o444);
        chmod(&setup.path("empty"), 0o555);
        chmod(&setup.path("signing.key"), 0o644);
        chmod(&setup.path("sydent.toml"), 0o644);
        chmod(setup.folder.path(), folder_mode);
        let Some(serve) = run_as_nobody(&setup, "serve") else {
            return;
        };
        assert_eq!(serve.code, 1);
        assert!(
            serve.err.contains(&format!("{key}: ")),
            "{key}: {}",
            serve.err
        );
        assert!(serve.err.contains(named), "{named}: {}", serve.err);
        assert!(
            serve.err.contains("permission denied for this user"),
            "{}",
            serve.err
        );
        let check = run_as_nobody(&setup, "config check").unwrap();
        assert_eq!((check.code, check.err), (1, serve.err));
        chmod(setup.folder.path(), 0o700);
    }
}

/// OPS-14
#[test]
fn start_errors_follow_the_log_format() {
    let mut used_port = Setup::new();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = listener.local_addr().unwrap();
    used_port.set(&format!("http.listen = ['{taken}']"));
    for (setup, message) in [
        (
            with("database.url = 'sqlite:text'"),
            "database.url: cannot use",
        ),
        (with("lookup.max_addresses = 0"), "lookup.max_addresses: "),
        (
            with("lookup.max_adresses = 0"),
            "did you mean lookup.max_addresses",
        ),
        (with("server.name = 'a\"b"), "TOML syntax error"),
        (used_port, "cannot listen on"),
    ] {
        let mut setup = setup;
        setup.set("log.format = 'json'");
        let output = setup.run_refused();
        assert_eq!((output.code, output.out.as_str()), (1, ""), "{message}");
        let errors: Vec<Value> = output
            .err
            .lines()
            .map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("{line}")))
            .filter(|line: &Value| line["level"] == "ERROR")
            .collect();
        assert_eq!(errors.len(), 1, "{}", output.err);
        let text = errors[0]["message"].as_str().unwrap();
        assert!(text.contains(message), "{message}: {text}");
        assert!(errors[0]["time"].is_string() && errors[0]["target"].is_string());
        setup.set("log.format = 'text'");
        let output = setup.run_refused();
        assert!(output.err.contains(text), "{}", output.err);
    }
    drop(listener);
    let setup = Setup::new();
    let variables = [("SYDENT__LOG__FORMAT", "json")];
    let missing = CommandOutput::run_with(setup.folder.path(), "serve -c missing.toml", &variables);
    let line: Value = serde_json::from_str(&missing.err).unwrap();
    assert!(line["message"].as_str().unwrap().contains("missing.toml"));
}
