//! Where the old database lies, and who uses the new one.

use std::fs;

use diesel::connection::SimpleConnection as _;

use super::source::{Source, now};
use crate::harness::{CommandOutput, TestDatabase, TestServer};

/// OPS-07
#[actix_web::test]
async fn database_of_a_running_server_is_not_replaced() {
    let source = Source::of_schema(5);
    source.bind(1, "alice@example.com", "@alice:example.org", now());
    let mut server = TestServer::start(|_| {});
    let internal = server.internal();
    internal
        .internal_bind("email", "zoe@example.com", "@zoe:example.org")
        .await
        .ok();
    let zoe = "associations WHERE address = 'zoe@example.com'";
    for flags in ["--force", "--force --dry-run", ""] {
        let output = source.import(&server.database, flags);
        assert_eq!(output.code, 1, "{}", output.out);
        assert!(output.err.contains("is in use"), "{}", output.err);
    }
    assert_eq!(server.database.count(zoe), 1);
    server.stop();
    let output = source.import(&server.database, "--force");
    assert_eq!(output.code, 0, "{}", output.err);
    assert_eq!(server.database.count(zoe), 0);
}

/// OPS-07
#[test]
fn database_is_read_in_place_without_temp_space() {
    let source = Source::of_schema(5);
    source.bind(1, "alice@example.com", "@alice:example.org", now());
    let database = TestDatabase::fresh();
    let command = format!(
        "import sydent --conf old.conf --out new.toml --database {}",
        database.url
    );
    let variables = [("TMPDIR", "/proc/none")];
    let output = CommandOutput::run_with(source.folder.path(), &command, &variables);
    assert_eq!(output.code, 0, "{}", output.err);
    assert!(output.err.contains("/proc/none"), "{}", output.err);
    assert_eq!(database.count("associations"), 1);
}

/// OPS-07
#[cfg(unix)]
#[test]
fn database_in_a_read_only_folder_is_read() {
    use std::os::unix::fs::PermissionsExt as _;
    let set_mode = |path: &std::path::Path, mode| {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    };
    for keeps_log in [false, true] {
        let source = Source::of_schema(5);
        source.run("PRAGMA journal_mode = WAL");
        source.bind(1, "alice@example.com", "@alice:example.org", now());
        let folder = source.folder.path().join("old");
        fs::create_dir(&folder).unwrap();
        let file = source.folder.path().join("old.db");
        let mut open = source.connect();
        open.batch_execute("SELECT * FROM peers").unwrap();
        if keeps_log {
            source.bind(2, "bob@example.com", "@bob:example.org", now());
            fs::copy(file.with_extension("db-wal"), folder.join("old.db-wal")).unwrap();
        }
        fs::copy(&file, folder.join("old.db")).unwrap();
        drop(open);
        set_mode(&folder, 0o555);
        let database = TestDatabase::fresh();
        let output = source.import(&database, "--db old/old.db");
        set_mode(&folder, 0o755);
        assert_eq!(output.code, 0, "{}", output.err);
        let expected = if keeps_log { 2 } else { 1 };
        assert_eq!(database.count("associations"), expected);
    }
}
