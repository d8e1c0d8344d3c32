//! PostgreSQL databases that cannot be used.

use diesel::connection::SimpleConnection as _;

use crate::harness::database::connect;
use crate::harness::{TestDatabase, TestProcess};

use super::Setup;

/// A database in the server of `database`, created with these options.
fn sibling(database: &TestDatabase, suffix: &str, options: &str) -> TestDatabase {
    let mut url = url::Url::parse(&database.url).unwrap();
    let name = format!("{}_{suffix}", url.path().trim_matches('/'));
    database.execute(&format!("CREATE DATABASE {name} {options}"));
    url.set_path(&name);
    TestDatabase::existing(url.as_str())
}

fn name(database: &TestDatabase) -> String {
    let url = url::Url::parse(&database.url).unwrap();
    url.path().trim_matches('/').to_owned()
}

/// A role that may log in, and the database's URL with it.
fn role(database: &TestDatabase, suffix: &str) -> (String, TestDatabase) {
    let role = format!("{}_{suffix}", name(database));
    database.execute(&format!("CREATE ROLE {role} LOGIN PASSWORD 'hunter2'"));
    let mut url = url::Url::parse(&database.url).unwrap();
    let is_set = url.set_username(&role).is_ok() && url.set_password(Some("hunter2")).is_ok();
    let url = if is_set {
        url.to_string()
    } else {
        format!("{}&user={role}&password=hunter2", url.as_str())
    };
    (role, TestDatabase::existing(&url))
}

fn refused(database: &TestDatabase, reason: &str) -> String {
    let text = Setup::with_database(database).refused("database.url", reason);
    assert!(
        text.contains(&format!("cannot use the database \"{}", name(database))),
        "{text}"
    );
    assert!(!text.contains("hunter2"), "{text}");
    text
}

/// OPS-13
#[test]
fn other_encodings_are_refused() {
    let database = TestDatabase::fresh();
    if !database.is_postgres() {
        return;
    }
    for encoding in ["SQL_ASCII", "LATIN1"] {
        let options =
            format!("ENCODING '{encoding}' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0");
        let other = sibling(&database, &encoding.to_lowercase(), &options);
        let text = refused(&other, &format!("its encoding is {encoding}"));
        assert!(
            text.contains("ENCODING 'UTF8' TEMPLATE template0"),
            "{text}"
        );
        assert_eq!(other.count("pg_tables WHERE schemaname = 'public'"), 0);
    }
}

/// OPS-13
#[test]
fn tables_of_others_are_refused() {
    let database = TestDatabase::fresh();
    if !database.is_postgres() {
        return;
    }
    database.execute("CREATE TABLE access_tokens (id INT)");
    refused(
        &database,
        "of another program, with the tables access_tokens; give",
    );
    database.execute("CREATE TABLE applied_schema_deltas (a TEXT); CREATE TABLE events (a TEXT)");
    refused(&database, "of a Synapse");
    assert_eq!(database.count("pg_tables WHERE schemaname = 'public'"), 3);
}

/// OPS-13
#[test]
fn missing_rights_name_the_grant() {
    let database = TestDatabase::fresh();
    if !database.is_postgres() {
        return;
    }
    let (role, as_role) = role(&database, "role");
    database.execute("REVOKE CREATE ON SCHEMA public FROM public");
    let text = refused(&as_role, "may not create tables in the schema public");
    let grant = format!("GRANT CREATE ON SCHEMA \"public\" TO \"{role}\"");
    assert!(text.contains(&grant), "{text}");
    database.execute(&grant);
    let setup = Setup::with_database(&as_role).used();
    // As after a restore by another role.
    database.execute("ALTER TABLE associations OWNER TO CURRENT_USER");
    let text = setup.refused("database.url", "may not change the table associations");
    let owner = format!("ALTER TABLE associations OWNER TO \"{role}\"");
    assert!(text.contains(&owner), "{text}");
    database.execute(&owner);
    // With the current schema, no table is created any more.
    database.execute("REVOKE CREATE ON SCHEMA public FROM public");
    database.execute(&format!("REVOKE CREATE ON SCHEMA public FROM \"{role}\""));
    drop(TestProcess::start_in(setup.folder));
    database.execute(&format!("DROP OWNED BY \"{role}\"; DROP ROLE \"{role}\""));
}

/// OPS-13
#[test]
fn odd_search_paths_are_refused() {
    let database = TestDatabase::fresh();
    if !database.is_postgres() {
        return;
    }
    let setup = Setup::with_database(&database).used();
    let mut connection = connect(&database.url);
    let database_name = name(&database);
    let mut set = |sql: &str| connection.batch_execute(sql).unwrap();
    set(&format!(
        "ALTER DATABASE {database_name} SET search_path = nowhere"
    ));
    setup.refused(
        "database.url",
        "no schema in its search_path (nowhere) exists",
    );
    set("CREATE SCHEMA other");
    set(&format!(
        "ALTER DATABASE {database_name} SET search_path = other, public"
    ));
    let text = setup.refused("database.url", "are in the schema public, but new ones");
    assert!(text.contains("SET search_path = \"public\""), "{text}");
    set(&format!("ALTER DATABASE {database_name} RESET search_path"));
    set(&format!(
        "ALTER DATABASE {database_name} SET default_transaction_read_only = on"
    ));
    setup.refused("database.url", "its sessions are read-only");
}

/// OPS-13
#[test]
fn extensions_and_other_schemas_are_allowed() {
    let database = TestDatabase::fresh();
    if !database.is_postgres() {
        return;
    }
    database.execute("CREATE SCHEMA synapse; CREATE TABLE synapse.access_tokens (id INT)");
    drop(Setup::with_database(&database).bind());
    assert_eq!(database.count("associations"), 1);
}

/// OPS-08
#[test]
fn too_few_connections_are_a_warning() {
    let database = TestDatabase::fresh();
    let mut setup = Setup::with_database(&database);
    let check = setup.run("config check");
    assert!(!check.err.contains("connections"), "{}", check.err);
    setup.set("database.writers = 64");
    setup.set("database.readers = 64");
    let check = setup.run("config check");
    assert_eq!(check.code, 0, "{}", check.err);
    let warning = "the server keeps up to 321 connections to PostgreSQL, which accepts 297";
    assert_eq!(
        check.err.contains(warning),
        database.is_postgres(),
        "{}",
        check.err
    );
}

/// OPS-08
#[test]
fn unreachable_server_is_a_warning_of_the_check() {
    let mut setup = Setup::new();
    setup.set("database.url = 'postgres://id:hunter2@127.0.0.1:1/x'");
    let check = setup.run("config check");
    assert_eq!(check.code, 0, "{}", check.err);
    let warning = "database.url: could not be checked, because it did not answer: ";
    assert!(check.err.contains(warning), "{}", check.err);
    let serve = setup.run("serve");
    assert_eq!(serve.code, 1);
    assert!(
        serve.err.contains("cannot open the database: "),
        "{}",
        serve.err
    );
    assert!(!format!("{}{}", check.err, serve.err).contains("hunter2"));
}
