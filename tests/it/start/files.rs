//! SQLite files as a killed command or an administrator leaves them.

use diesel::connection::SimpleConnection as _;

use crate::harness::TestProcess;
use crate::harness::database::sqlite;

use super::Setup;

/// OPS-13, OPS-11
#[test]
fn journal_of_a_killed_command_is_rolled_back() {
    let setup = Setup::new().used();
    let path = setup.path("sydent.db");
    let mut database = sqlite(path.to_str().unwrap());
    // As an import or `database sign` does, with more than fits into memory.
    database
        .batch_execute(
            "PRAGMA journal_mode = DELETE; PRAGMA cache_size = 5; BEGIN IMMEDIATE; \
             UPDATE server_identity SET name = 'torn.example'; \
             WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 3000) \
             INSERT INTO accounts (user_id, created_at) \
             SELECT '@' || i || ':example.org', 1 FROM n",
        )
        .unwrap();
    // The files that remain if the process is killed now.
    let files = ["sydent.db", "sydent.db-journal"];
    let torn = files.map(|name| (name, std::fs::read(setup.path(name)).unwrap()));
    database.batch_execute("ROLLBACK").unwrap();
    drop(database);
    let is_torn = |content: &[u8]| content.windows(12).any(|part| part == b"torn.example");
    assert!(is_torn(&torn[0].1));
    for command in ["config check", "peers", "serve"] {
        for (name, content) in &torn {
            setup.write(name, content);
        }
        if command == "serve" {
            let server = TestProcess::start_in(setup.folder);
            assert_eq!(server.command("peers -c sydent.toml").code, 0);
            break;
        }
        let output = setup.run(command);
        assert_eq!(output.code, 0, "{command}: {}", output.err);
        assert_eq!(setup.database().count("accounts"), 0);
    }
}

/// OPS-13
#[test]
fn linked_database_is_read_where_it_is() {
    let setup = Setup::new();
    std::fs::create_dir(setup.path("data")).unwrap();
    setup.write("data/real.db", "");
    std::os::unix::fs::symlink("data/real.db", setup.path("sydent.db")).unwrap();
    let settings = std::fs::read_to_string(setup.path("sydent.toml")).unwrap();
    let other = settings.replace("'example.org'", "'new.example'");
    setup.write("other.toml", other);
    let log = setup.path("data/real.db-wal");
    let mut server = setup.bind();
    // All is in the write-ahead log, which is beside the target of the link.
    assert!(log.metadata().unwrap().len() > 0);
    for _ in ["running", "killed"] {
        let check = server.command("config check -c other.toml");
        let reason = "belongs to the server example.org";
        assert!(check.err.contains(reason), "{}", check.err);
        assert_eq!(server.command("config check -c sydent.toml").code, 0);
        server.kill();
    }
}
