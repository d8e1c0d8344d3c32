//! Files that are not a database of this server, or not one of this version.

use crate::harness::{TestProcess, repository};
use crate::import_sydent::source::Source;

use super::Setup;

/// OPS-13
#[test]
fn files_of_others_are_refused_unchanged() {
    for (content, reason) in [
        (
            "CREATE TABLE notes (a TEXT)",
            "of another program, with the tables notes",
        ),
        (
            "PRAGMA journal_mode = WAL; CREATE TABLE notes (a TEXT)",
            "give this server a database of its own",
        ),
        (
            "CREATE TABLE applied_schema_deltas (a TEXT); CREATE TABLE events (a TEXT)",
            "of a Synapse",
        ),
        (
            "CREATE TABLE __diesel_schema_migrations (version TEXT); CREATE TABLE users (a TEXT)",
            "of another program",
        ),
        ("CREATE TABLE accounts (user_id TEXT)", "of another program"),
        ("CREATE VIEW associations AS SELECT 1", "of another program"),
    ] {
        let setup = Setup::new();
        setup.database().execute(content);
        let text = setup.refused("database.url", reason);
        assert!(
            text.contains("cannot use the database sydent.db: "),
            "{text}"
        );
        for command in ["peers", "pepper rotate"] {
            let before = setup.files();
            let output = setup.run(command);
            assert_eq!(output.code, 1, "{command}");
            assert!(output.err.contains(reason), "{command}: {}", output.err);
            assert!(setup.files() == before, "{command} changed a file");
        }
    }
}

/// OPS-13
#[test]
fn sydents_database_names_the_import() {
    for schema in [0, 5] {
        let source = Source::of_schema(schema);
        let setup = Setup::new();
        std::fs::copy(source.folder.path().join("old.db"), setup.path("sydent.db")).unwrap();
        super::chmod(&setup.path("sydent.db"), 0o600);
        let text = setup.refused("database.url", "it is the database of a Python Sydent");
        assert!(text.contains("`sydent import sydent"), "{text}");
    }
    // Nor does an import fill a database of another program.
    let source = Source::of_schema(5);
    let setup = Setup::new();
    setup.database().execute("CREATE TABLE notes (a TEXT)");
    let before = setup.files();
    let target = format!("sqlite:{}", setup.path("sydent.db").display());
    let output = source.import_into(&target, "--force");
    assert_eq!(output.code, 1);
    assert!(output.err.contains("of another program"), "{}", output.err);
    assert!(setup.files() == before);
}

/// OPS-13
#[test]
fn what_is_no_database_is_refused() {
    let truncated = |setup: &Setup| {
        setup
            .database()
            .execute("CREATE TABLE a (b TEXT); CREATE TABLE c (d TEXT)");
        let content = std::fs::read(setup.path("sydent.db")).unwrap();
        setup.write("sydent.db", &content[..1000]);
    };
    let mut setups: Vec<(Setup, &str)> = Vec::new();
    for content in ["text\n", "SQLite format 3", &"\0".repeat(4096)] {
        let setup = Setup::new();
        setup.write("sydent.db", content);
        setups.push((setup, "restore it from a backup"));
    }
    let setup = Setup::new();
    setup.write("sydent.db", "PK\x03\x04".repeat(2000));
    setups.push((setup, "it is not an SQLite database"));
    let setup = Setup::new();
    truncated(&setup);
    setups.push((setup, "restore it from a backup"));
    let setup = Setup::new();
    std::fs::create_dir(setup.path("sydent.db")).unwrap();
    setups.push((setup, "must be a file; sydent.db is a folder"));
    let setup = Setup::new();
    std::os::unix::fs::symlink("nowhere", setup.path("sydent.db")).unwrap();
    setups.push((setup, "is a link to a file that does not exist"));
    let mut setup = Setup::new();
    setup.set("database.url = 'sqlite:nowhere/sydent.db'");
    setups.push((setup, "create nowhere first"));
    for (setup, reason) in setups {
        let reason = if reason.starts_with("restore") {
            "sydent.db"
        } else {
            reason
        };
        setup.refused("database.url", reason);
    }
}

/// OPS-13
#[test]
fn empty_file_becomes_a_database() {
    for content in [None, Some("PRAGMA user_version = 1; VACUUM")] {
        let setup = Setup::new();
        match content {
            None => setup.write("sydent.db", ""),
            Some(sql) => setup.database().execute(sql),
        }
        assert_eq!(setup.run("config check").code, 0);
        drop(TestProcess::start_in(setup.folder));
    }
}

/// OPS-13
#[test]
fn newer_schema_is_refused() {
    let setup = Setup::new().used();
    setup.database().execute(
        "INSERT INTO __diesel_schema_migrations (version) VALUES ('9999'); \
         PRAGMA wal_checkpoint(TRUNCATE)",
    );
    let text = setup.refused("database.url", "its schema is newer than this version");
    assert!(text.contains("the migrations 9999"), "{text}");
    assert!(text.contains("restore a backup"), "{text}");
    let output = setup.run("pepper rotate");
    assert_eq!(output.code, 1);
    assert!(
        output.err.contains("newer than this version"),
        "{}",
        output.err
    );
}

/// OPS-13
#[test]
fn missing_table_is_named() {
    let setup = Setup::new().used();
    setup
        .database()
        .execute("DROP TABLE invites; PRAGMA wal_checkpoint(TRUNCATE)");
    setup.refused("database.url", "the table invites is missing");
}

/// OPS-13, OPS-11
#[test]
fn migrations_apply_all_or_none() {
    let setup = Setup::new();
    // The last migration cannot create its table, which exists.
    let mut sql = String::from(
        "CREATE TABLE __diesel_schema_migrations (version VARCHAR(50) PRIMARY KEY NOT NULL, \
         run_on TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP); \
         INSERT INTO __diesel_schema_migrations (version) VALUES ('0001'); \
         CREATE TABLE server_identity (name TEXT); ",
    );
    let file = "migrations/sqlite/0001_validate_bind_lookup/up.sql";
    sql += &std::fs::read_to_string(repository(file)).unwrap();
    setup.database().execute(&sql);
    let output = setup.run("serve");
    assert_eq!(output.code, 1);
    assert!(output.err.contains("migration failed"), "{}", output.err);
    let applied = setup.database().count("__diesel_schema_migrations");
    assert_eq!(applied, 1, "no migration was applied");
    setup.database().execute("DROP TABLE server_identity");
    drop(TestProcess::start_in(setup.folder));
}
