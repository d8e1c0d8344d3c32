//! A database that belongs to a server of another name or with another key.

use crate::harness::{KEY_FILE, TestDatabase, TestProcess};

use super::Setup;

const OTHER_KEY: &str = "ed25519 a_new 9Ssr+2MFTHCdfYhdmrWV0YVxPDE+xBhyQDLjgkXUhsM\n";
const SAME_ID: &str = "ed25519 0 9Ssr+2MFTHCdfYhdmrWV0YVxPDE+xBhyQDLjgkXUhsM\n";

/// OPS-13, CRY-08
#[test]
fn another_server_name_is_refused() {
    let database = TestDatabase::fresh();
    let mut setup = Setup::with_database(&database).used();
    setup.set("server.name = 'new.example'");
    let text = setup.refused(
        "database.url",
        "belongs to the server example.org, but server.name is new.example",
    );
    assert!(text.contains("server.name = \"example.org\""), "{text}");
    assert!(
        text.contains("`sydent database sign --former-name example.org`"),
        "{text}"
    );
    for command in ["peers", "pepper rotate"] {
        let output = setup.run(command);
        assert_eq!(output.code, 1, "{command}");
        assert!(
            output.err.contains("belongs to the server"),
            "{}",
            output.err
        );
    }
    setup.set("server.name = 'example.org'");
    assert_eq!(setup.run("peers").code, 0);
    drop(TestProcess::start_in(setup.folder));
}

/// OPS-13
#[test]
fn new_database_remembers_its_server() {
    let database = TestDatabase::fresh();
    let setup = Setup::with_database(&database);
    let mut lines = setup.lines.clone();
    let folder = TestProcess::start_in(setup.folder).stop();
    lines.remove("server.name");
    let mut setup = Setup { folder, lines };
    setup.set("server.name = 'new.example'");
    setup.refused("database.url", "belongs to the server example.org");
}

/// OPS-13
#[test]
fn upgraded_database_is_known_by_its_bindings() {
    let database = TestDatabase::fresh();
    let mut setup = Setup::with_database(&database).used();
    database.execute(
        "DROP TABLE server_identity; \
         DELETE FROM __diesel_schema_migrations WHERE version = '0008'",
    );
    let output = setup.run("peers");
    assert_eq!(output.code, 1);
    assert!(
        output
            .err
            .contains("the schema is not the one of this version")
    );
    setup.set("server.name = 'new.example'");
    setup.refused("database.url", "belongs to the server example.org");
    assert_eq!(
        database.count("__diesel_schema_migrations WHERE version = '0008'"),
        0
    );
    setup.set("server.name = 'example.org'");
    drop(TestProcess::start_in(setup.folder));
    assert_eq!(
        database.count("server_identity WHERE name = 'example.org'"),
        1
    );
}

/// OPS-13, CRY-10
#[test]
fn key_that_signed_nothing_is_refused() {
    let database = TestDatabase::fresh();
    let setup = Setup::with_database(&database).used();
    setup.write("signing.key", OTHER_KEY);
    let text = setup.refused(
        "database.url",
        "server.signing_key_file is not the key file",
    );
    for id in ["of the key ed25519:0", "the file has ed25519:a_new"] {
        assert!(text.contains(id), "{id}: {text}");
    }
    assert!(!text.contains("9Ssr"), "{text}");
    setup.write("signing.key", SAME_ID);
    setup.refused("database.url", "another key of that ID");
    assert_eq!(setup.run("pepper rotate").code, 1);

    setup.write("signing.key", format!("{OTHER_KEY}{KEY_FILE}"));
    assert_eq!(setup.run("config check").code, 0);
    let server = TestProcess::start_in(setup.folder);
    let at = format!("--internal http://{}", server.internal);
    let bound = server.command(&format!("bind email bob@example.org @bob:example.org {at}"));
    assert!(
        bound.out.contains("ed25519:a_new"),
        "{} {}",
        bound.out,
        bound.err
    );
    let setup = Setup {
        folder: server.stop(),
        lines: setup.lines,
    };
    // The old key may go; the bindings that it signed are named.
    setup.write("signing.key", OTHER_KEY);
    let check = setup.run("config check");
    assert_eq!(check.code, 0, "{}", check.err);
    let warning = "signatures of a key that is not in server.signing_key_file: ed25519:0";
    assert!(check.err.contains(warning), "{}", check.err);
}

/// OPS-13
#[test]
fn pending_invitations_need_their_key() {
    let database = TestDatabase::fresh();
    let setup = Setup::with_database(&database);
    let lines = setup.lines.clone();
    let folder = TestProcess::start_in(setup.folder).stop();
    let setup = Setup { folder, lines };
    setup.write("signing.key", OTHER_KEY);
    assert_eq!(setup.run("config check").code, 0, "nothing was signed yet");
    database.execute(
        "INSERT INTO invites (token, medium, address, room_id, sender, key_id, ephemeral_key, \
         created_at) VALUES ('t', 'email', 'a@example.org', '!a:b', '@a:b', 'ed25519:0', 'k', 1)",
    );
    setup.refused("database.url", "the key ed25519:0");
}

/// OPS-13, CRY-08
#[test]
fn sign_command_renames_the_server() {
    let database = TestDatabase::fresh();
    let mut setup = Setup::with_database(&database).used();
    let unchanged = setup.run("database sign");
    assert_eq!((unchanged.code, unchanged.out.as_str()), (1, ""));
    assert!(
        unchanged.err.starts_with("Nothing was changed: "),
        "{}",
        unchanged.err
    );

    setup.set("server.name = 'new.example'");
    for flags in ["", " --former-name other.example"] {
        let refused = setup.run(&format!("database sign{flags}"));
        assert_eq!((refused.code, refused.out.as_str()), (1, ""));
        let hint = "use --former-name example.org";
        assert!(refused.err.contains(hint), "{}", refused.err);
    }
    // As from a time when the server had run under both names.
    database.execute(
        "INSERT INTO associations (medium, address, origin, mxid, ts, not_before, not_after, \
         lookup_hash, signed) SELECT medium, address, 'new.example', '@old:example.org', ts - 1, \
         not_before, not_after, lookup_hash, signed FROM associations",
    );
    database.execute(
        "INSERT INTO association_removals (medium, address, origin, number, ts) VALUES \
         ('email', 'gone@example.org', 'example.org', 0, 5), \
         ('email', 'both@example.org', 'example.org', 0, 5), \
         ('email', 'both@example.org', 'new.example', 0, 7), \
         ('email', 'same@example.org', 'example.org', 0, 5), \
         ('email', 'same@example.org', 'new.example', 0, 5), \
         ('email', 'late@example.org', 'example.org', 0, 9), \
         ('email', 'late@example.org', 'new.example', 0, 8), \
         ('email', 'late@example.org', 'peer.example', 3, 6)",
    );
    let signed = setup.run("database sign --former-name example.org");
    assert_eq!(signed.code, 0, "{}", signed.err);
    for (removals, expected) in [
        ("origin = 'new.example'", 4),
        ("origin = 'new.example' AND ts IN (7, 9)", 2),
        ("origin = 'peer.example'", 1),
        ("TRUE", 5),
    ] {
        let count = database.count(&format!("association_removals WHERE {removals}"));
        assert_eq!(count, expected, "{removals}");
    }
    let said = "belongs to the server new.example. Associations signed again: 1.";
    assert!(signed.out.contains(said), "{}", signed.out);
    assert_eq!(database.count("associations"), 1);
    let again = setup.run("database sign --former-name example.org");
    assert_eq!(again.code, 1, "{}", again.out);

    let server = TestProcess::start_in(setup.folder);
    let at = format!("--internal http://{}", server.internal);
    let found = server.command(&format!("lookup email alice@example.org {at}"));
    let found: serde_json::Value = serde_json::from_str(&found.out).unwrap();
    assert_eq!(found["mxid"], "@alice:example.org");
    let keys = sydent::domain::signing::KeyRing::parse(KEY_FILE).unwrap();
    let (key, object) = (keys.active(), found.as_object().unwrap());
    let is_signed = sydent::domain::signing::verify(object, "new.example", key.id(), &key.public());
    assert!(
        is_signed && found["signatures"].get("example.org").is_none(),
        "{found}"
    );
    let unbound = server.command(&format!(
        "unbind email alice@example.org @alice:example.org {at}"
    ));
    assert_eq!(unbound.code, 0, "{}", unbound.err);
}

/// OPS-13, CRY-10
#[test]
fn sign_command_replaces_a_lost_key() {
    let database = TestDatabase::fresh();
    let setup = Setup::with_database(&database).used();
    setup.write("signing.key", OTHER_KEY);
    let signed = setup.run("database sign");
    assert_eq!(signed.code, 0, "{}", signed.err);
    assert!(signed.out.contains("signed again: 1."), "{}", signed.out);
    assert_eq!(setup.run("config check").code, 0);
    drop(TestProcess::start_in(setup.folder));
    let new = Setup::new();
    let missing = new.run("database sign");
    assert_eq!(missing.code, 1);
    assert!(
        missing.err.contains("does not exist yet"),
        "{}",
        missing.err
    );
    assert!(!new.path("sydent.db").exists());
}

/// OPS-13, CRY-08
#[test]
fn sign_command_leaves_bindings_of_peers() {
    let database = TestDatabase::fresh();
    let mut setup = Setup::with_database(&database).used();
    database.execute(
        "INSERT INTO associations (medium, address, origin, mxid, ts, not_before, not_after, \
         lookup_hash, signed) SELECT medium, address, 'peer.example', '@peer:example.org', ts - 1, \
         not_before, not_after, lookup_hash, '{}' FROM associations",
    );
    // As from a version that did not store its name.
    database.execute("DELETE FROM server_identity");
    setup.set("server.name = 'new.example'");
    for flags in ["", " --former-name other.example"] {
        let refused = setup.run(&format!("database sign{flags}"));
        let hint = "use --former-name example.org";
        assert!(refused.err.contains(hint), "{}", refused.err);
        assert_eq!(refused.code, 1);
    }
    let signed = setup.run("database sign --former-name example.org");
    assert_eq!(signed.code, 0, "{}", signed.err);
    assert!(signed.out.contains("signed again: 1."), "{}", signed.out);
    // The associations are those of the new name already.
    for _ in ["named", "not named"] {
        let again = setup.run("database sign --former-name peer.example");
        assert!(!again.out.contains("again: 1."), "{}", again.out);
        for name in ["new.example", "peer.example"] {
            let of_name = format!("associations WHERE origin = '{name}'");
            assert_eq!(database.count(&of_name), 1, "{name}");
        }
        database.execute("DELETE FROM server_identity");
    }
}
