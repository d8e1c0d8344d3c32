//! The real binary: its output and exit codes.

use tempfile::TempDir;

use crate::harness::{CommandOutput, TestDatabase, TestProcess, mode};

fn folder() -> TempDir {
    tempfile::tempdir().unwrap()
}

fn run(folder: &TempDir, arguments: &str) -> CommandOutput {
    CommandOutput::run(folder.path(), arguments)
}

#[test]
fn every_command_has_help_and_version() {
    let folder = folder();
    for command in [
        "",
        "serve",
        "demo",
        "config",
        "config generate",
        "config check",
        "key",
        "key generate",
        "key rotate",
        "import",
        "import sydent",
        "accounts",
        "accounts list",
        "accounts show",
        "accounts revoke",
        "accounts block",
        "accounts unblock",
        "pepper",
        "pepper rotate",
        "database",
        "database sign",
        "bind",
        "unbind",
        "lookup",
    ] {
        for flag in ["--help", "-h"] {
            let help = run(&folder, &format!("{command} {flag}"));
            assert_eq!((help.code, help.err.as_str()), (0, ""), "{command}");
            assert!(
                help.out.contains(&format!("Usage: sydent {command}")),
                "{}",
                help.out
            );
        }
        let version = run(&folder, &format!("{command} --version"));
        let number = version.out.trim_end().rsplit(' ').next();
        assert_eq!(
            (version.code, number),
            (0, Some(env!("CARGO_PKG_VERSION"))),
            "{command}"
        );
    }
    for wrong in [
        "",
        "nonsense",
        "serve --nonsense",
        "bind email",
        "demo --port 0",
    ] {
        let output = run(&folder, wrong);
        assert_eq!((output.code, output.out.as_str()), (2, ""), "{wrong}");
        assert!(output.err.contains("--help"), "{}", output.err);
    }
}

#[test]
fn missing_configuration_error_suggests_commands() {
    let folder = folder();
    for command in ["serve", "config check"] {
        let output = run(&folder, command);
        assert_eq!(output.code, 1);
        for named in [
            "--config",
            "SYDENT_CONFIG",
            "`sydent config generate`",
            "`sydent demo`",
        ] {
            assert!(output.err.contains(named), "{command}: {}", output.err);
        }
        let output = run(&folder, &format!("{command} --config missing.toml"));
        assert_eq!(output.code, 1);
        let sentence = "missing.toml: cannot be read: the file does not exist";
        assert!(output.err.contains(sentence), "{}", output.err);
    }
    let output = run(&folder, "lookup email alice@example.org");
    assert_eq!(output.code, 2, "1 would mean that the address is not bound");
    assert!(output.err.contains("--internal"), "{}", output.err);
}

#[test]
fn keys_are_generated_and_never_overwritten() {
    let folder = folder();
    let printed = run(&folder, "key generate --key-version 7");
    assert_eq!(printed.code, 0);
    let key = sydent::domain::signing::KeyRing::parse(&printed.out).unwrap();
    assert_eq!(key.active().id().as_str(), "ed25519:7");
    assert_eq!(run(&folder, "key generate -o a.key").code, 0);
    assert_eq!(mode(&folder.path().join("a.key")), 0o600);
    let read = || std::fs::read_to_string(folder.path().join("a.key")).unwrap();
    let key = read();
    let output = run(&folder, "key generate -o a.key");
    assert_eq!(output.code, 1);
    assert!(
        output.err.contains("a.key already exists"),
        "{}",
        output.err
    );
    assert_eq!(read(), key);
    assert_eq!(run(&folder, "key generate --key-version a:b").code, 2);
}

/// INT-06
#[test]
fn addresses_are_taken_as_people_type_them() {
    let (database, folder) = (TestDatabase::fresh(), folder());
    let server = TestProcess::start(&database, |_| {});
    let at = format!("http://{}", server.internal);
    let call = |arguments: &[&str]| {
        let output = std::process::Command::new(env!("CARGO_BIN_EXE_sydent"))
            .args(arguments)
            .args(["--internal", &at])
            .current_dir(folder.path())
            .env_clear()
            .output();
        CommandOutput::from(output.unwrap())
    };
    for arguments in [
        &[
            "bind",
            "mail",
            " mailto:Alice@Example.ORG ",
            "@alice:example.org",
        ][..],
        &["bind", "phone", "+44 7700", "900001", " @alice:example.org"],
    ] {
        assert_eq!(call(arguments).code, 0, "{arguments:?}");
    }
    for arguments in [
        &["lookup", "email", "mailto:Alice@Example.ORG"][..],
        &["lookup", "email", " alice@example.org "],
        &["lookup", "E-Mail", "ALICE@example.org"],
        &["lookup", "msisdn", "+44", "7700", "900001"],
        &["lookup", "msisdn", "+447700900001"],
        &["lookup", "msisdn", "447700900001"],
        &["lookup", "tel", "tel:+44-7700-900001"],
        &["lookup", "sms", "(+44) 7700 900001"],
    ] {
        let found = call(arguments);
        assert_eq!(found.code, 0, "{arguments:?}: {}", found.err);
        assert!(found.out.contains("@alice:example.org"), "{}", found.out);
    }
    for (arguments, accepted) in [
        (&["lookup", "email", "alice"][..], "alice@example.org"),
        (&["lookup", "msisdn", "07700", "900001"], "+44 7700 900001"),
        (&["lookup", "msisdn", "nobody"], "country code"),
        (
            &["lookup", "address", "alice@example.org"],
            "email (or mail), or msisdn",
        ),
        (
            &["bind", "email", "alice@", "@alice:example.org"],
            "alice@example.org",
        ),
        (
            &["bind", "email", "alice@example.org", "alice"],
            "@alice:example.org",
        ),
        (
            &["unbind", "msisdn", "1 2 x", "@alice:example.org"],
            "country code",
        ),
        (
            &["unbind", "email", "alice@example.org", "@alice"],
            "Matrix user ID",
        ),
    ] {
        let refused = call(arguments);
        assert_eq!(
            (refused.code, refused.out.as_str()),
            (2, ""),
            "{arguments:?}"
        );
        assert!(refused.err.contains(accepted), "{}", refused.err);
        assert!(!refused.err.contains("not bound"), "{}", refused.err);
    }
    assert_eq!(database.count("associations"), 2);
}

#[test]
fn bind_lookup_and_unbind_use_a_running_server() {
    let (database, folder) = (TestDatabase::fresh(), folder());
    let server = TestProcess::start(&database, |_| {});
    let at = format!("--internal http://{}", server.internal);
    let call = |command: &str| run(&folder, &format!("{command} {at}"));
    let unbound = call("lookup email alice@example.com");
    assert_eq!((unbound.code, unbound.out.as_str()), (1, ""));
    let bound = call("bind email Alice@Example.com @alice:example.org");
    assert_eq!(bound.code, 0, "{}", bound.err);
    let found = call("lookup email alice@example.com");
    assert_eq!((found.code, &found.out), (0, &bound.out));
    let found: serde_json::Value = serde_json::from_str(&found.out).unwrap();
    assert_eq!(found["mxid"], "@alice:example.org");
    let nothing = call("unbind email alice@example.com @bob:example.org");
    assert_eq!((nothing.code, nothing.out.as_str()), (1, ""));
    for part in [
        "Nothing was removed: ",
        "bound to @alice:example.org",
        "id.example.test",
    ] {
        assert!(nothing.err.contains(part), "{}", nothing.err);
    }
    assert_eq!(
        call("lookup email alice@example.com").code,
        0,
        "the binding belongs to another user"
    );
    assert_eq!(
        call("unbind email alice@example.com @alice:example.org").code,
        0
    );
    assert_eq!(call("lookup email alice@example.com").code, 1);
    let nothing = call("unbind email alice@example.com @alice:example.org");
    assert_eq!((nothing.code, nothing.out.as_str()), (1, ""));

    // An association that a peer has signed.
    let sql = "INSERT INTO associations (medium, address, origin, mxid, ts, not_before, not_after, \
               lookup_hash, signed) VALUES ('msisdn', '447700900001', 'peer.example', \
               '@carol:example.org', 1, 1, 99999999999999, '', '{\"mxid\":\"@carol:example.org\"}')";
    database.execute(sql);
    let theirs = call("unbind phone +44 7700 900001 @carol:example.org");
    assert_eq!((theirs.code, theirs.out.as_str()), (1, ""));
    let named = "The server peer.example has bound it to @carol:example.org and only that server";
    assert!(theirs.err.contains(named), "{}", theirs.err);
    assert_eq!(call("bind tel +44-7700-900001 @carol:example.org").code, 0);
    let both = call("unbind msisdn 447700900001 @carol:example.org");
    assert_eq!(both.code, 0, "{}", both.err);
    assert!(
        both.out.starts_with("The binding was removed."),
        "{}",
        both.out
    );

    drop(server);
    for (command, code) in [
        ("lookup email a@b.example", 2),
        ("bind email a@b.example @a:b", 1),
        ("unbind email a@b.example @a:b", 2),
    ] {
        let output = call(command);
        assert_eq!(output.code, code, "{}", output.err);
        assert!(
            output.err.contains("Cannot connect to http://"),
            "{}",
            output.err
        );
    }
}

/// The server listens on IPv4 instead where a host has no IPv6.
#[test]
fn configured_ipv6_address_is_tried_as_ipv4_too() {
    let (database, folder) = (TestDatabase::fresh(), folder());
    let server = TestProcess::start(&database, |_| {});
    let port = server.internal.port();
    let file = folder.path().join("sydent.toml");
    for listen in ["[::1]", "[::]"] {
        let text = format!("[internal]\nlisten = [\"{listen}:{port}\"]\n");
        std::fs::write(&file, text).unwrap();
        for (command, code) in [
            ("bind email a@example.com @a:example.org", 0),
            ("lookup email a@example.com", 0),
            ("unbind email a@example.com @a:example.org", 0),
            ("lookup email a@example.com", 1),
        ] {
            let output = run(&folder, &format!("{command} --config sydent.toml"));
            assert_eq!(output.code, code, "{listen}: {}", output.err);
        }
    }
    drop(server);
    let output = run(&folder, "lookup email a@example.com --config sydent.toml");
    assert_eq!(output.code, 2);
    let configured = format!("Cannot connect to http://[::1]:{port}: ");
    assert!(output.err.starts_with(&configured), "{}", output.err);
}
