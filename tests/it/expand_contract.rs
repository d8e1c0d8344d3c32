//! Migrations: a server of the last release can use the schema of the next one.

use std::collections::BTreeSet;

use crate::harness::repository;

/// The newest migration of the last release. There is none yet: from this schema on,
/// instances can be upgraded one after the other. A release changes it.
const LAST_RELEASE: &str = "0014";

/// A line of a migration that says why no running server needs what it changes.
const REASON: &str = "-- Contracts: ";

/// OPS-11
#[test]
fn last_release_can_use_the_next_schema() {
    for database in ["sqlite", "postgres"] {
        let folder = repository("migrations").join(database);
        for entry in std::fs::read_dir(folder).unwrap() {
            let entry = entry.unwrap();
            let name = entry.file_name().into_string().unwrap();
            let sql = std::fs::read_to_string(entry.path().join("up.sql")).unwrap();
            let problem = problem(&name, &sql, LAST_RELEASE);
            assert_eq!(problem, None, "{database}/{name}");
        }
    }
}

/// OPS-11
#[test]
fn migration_says_who_can_use_its_schema() {
    let expands = "ALTER TABLE old ADD COLUMN b TEXT;";
    let contracts = "-- Contracts: 0014 does not read it.\nALTER TABLE old DROP COLUMN a;";
    for (name, sql) in [
        ("0003_mesh", "DROP TABLE old;"),
        ("0014_last", "DROP TABLE old;"),
        ("0015-since-0014_next", expands),
        ("0016-since-0013_next", expands),
        ("0015-since-0014_next", contracts),
    ] {
        assert_eq!(problem(name, sql, "0014"), None, "{name}");
    }
    for (name, sql, found) in [
        ("0015_next", expands, "is not named"),
        ("0015-since-14_next", expands, "is not named"),
        ("0015-since-last_next", expands, "is not named"),
        ("0016-since-0015_next", expands, "excludes the last release"),
        ("0015-since-0014_next", "DROP TABLE old;", "DROP TABLE old"),
        (
            "0015-since-0014_next",
            "-- Contracts, but does not say why.\nDROP TABLE old;",
            "DROP TABLE old",
        ),
    ] {
        let problem = problem(name, sql, "0014").expect(name);
        assert!(problem.contains(found), "{problem}");
    }
}

/// OPS-11
#[test]
fn contractions_are_recognized() {
    for expanding in [
        "-- DROP nothing.\nCREATE TABLE new (a TEXT NOT NULL);\nCREATE INDEX new_a ON new (a);",
        "CREATE TABLE new (a TEXT, UNIQUE (a), CHECK (a <> ''))",
        "CREATE TABLE new (a TEXT); CREATE UNIQUE INDEX new_a ON new (a)",
        "CREATE TABLE new (a TEXT); INSERT INTO new (a) SELECT a FROM old",
        "ALTER TABLE old ADD COLUMN b TEXT; UPDATE old SET b = a",
        "ALTER TABLE old ADD COLUMN b TEXT; UPDATE old SET b = coalesce(a, '')",
        "ALTER TABLE old ADD COLUMN b BIGINT NOT NULL DEFAULT 0",
        "ALTER TABLE old ADD COLUMN b DECIMAL(5, 2)",
    ] {
        assert_eq!(contraction(expanding), None);
    }
    for contracting in [
        "DROP TABLE old",
        "drop table old",
        "DROP INDEX old_a",
        "ALTER TABLE old DROP COLUMN a",
        "ALTER TABLE old RENAME COLUMN a TO b",
        "ALTER TABLE old RENAME TO new",
        "ALTER TABLE old ADD COLUMN b TEXT NOT NULL",
        "ALTER TABLE old ADD COLUMN b TEXT UNIQUE",
        "ALTER TABLE old ADD COLUMN b TEXT PRIMARY KEY",
        "ALTER TABLE old ADD COLUMN b TEXT CHECK (b <> '')",
        "ALTER TABLE old ADD COLUMN b TEXT CHECK(b <> '')",
        "ALTER TABLE old ADD COLUMN b TEXT REFERENCES other(a)",
        "ALTER TABLE old ADD COLUMN b TEXT, DROP COLUMN a",
        "ALTER TABLE old ADD CONSTRAINT some UNIQUE (a)",
        "CREATE TABLE new (a TEXT REFERENCES old(a))",
        "CREATE UNIQUE INDEX old_a ON old (a)",
        "CREATE TRIGGER old_a BEFORE INSERT ON old EXECUTE FUNCTION stop()",
        "UPDATE old SET a = 1",
        "INSERT INTO old (a) VALUES (1)",
        "DELETE FROM old",
    ] {
        assert_eq!(contraction(contracting).as_deref(), Some(contracting));
    }
    for more in [
        "UPDATE old SET b = 1, a = 2",
        "UPDATE old SET (b, a) = (1, 2)",
        "UPDATE old SET b = '--', a = 2",
        "UPDATE old SET b = ';', a = 2",
    ] {
        let sql = format!("ALTER TABLE old ADD COLUMN b TEXT; {more}");
        assert!(contraction(&sql).is_some(), "{sql}");
    }
    let never_null = "ALTER TABLE old ADD COLUMN b TEXT NOT NULL DEFAULT NULL";
    assert!(contraction(never_null).is_some());
}

/// What keeps the last release from using the schema that a migration makes.
fn problem(name: &str, sql: &str, last_release: &str) -> Option<String> {
    let version = name.split('_').next()?;
    if version <= last_release {
        return None;
    }
    let since = version.split_once("-since-").map(|(_number, since)| since);
    let Some(since) = since.filter(|since| is_number(since)) else {
        return Some(format!("{name} is not named NNNN-since-NNNN_what_it_adds"));
    };
    if since > last_release {
        return Some(format!("{name} excludes the last release, {last_release}"));
    }
    let statement = contraction(sql)?;
    if sql.lines().any(|line| line.starts_with(REASON)) {
        return None;
    }
    Some(format!(
        "{name}: \"{statement}\" may take something from the last release; if it does not, say \
         why in a line that begins with \"{REASON}\""
    ))
}

fn is_number(text: &str) -> bool {
    text.len() == 4 && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// The first statement that may take something from servers that do not know the
/// migration. What it does not understand may.
fn contraction(sql: &str) -> Option<String> {
    let is_code = |line: &&str| !line.trim_start().starts_with("--");
    let sql = sql.lines().filter(is_code).collect::<Vec<_>>().join("\n");
    // The parts with odd numbers are in quotes.
    let mut quoted = sql.split('\'').skip(1).step_by(2);
    if let Some(text) = quoted.find(|text| text.contains("--") || text.contains(';')) {
        return Some(text.to_owned());
    }
    let code: Vec<&str> = sql
        .lines()
        .filter_map(|line| line.split("--").next())
        .flat_map(str::split_whitespace)
        .collect();
    let code = code.join(" ");
    let statements = code.split(';').map(str::trim);
    let (mut tables, mut columns) = (BTreeSet::new(), BTreeSet::new());
    for statement in statements.filter(|statement| !statement.is_empty()) {
        let upper = statement.to_ascii_uppercase();
        let words: Vec<&str> = upper
            .split([' ', '(', ')', ','])
            .filter(|word| !word.is_empty())
            .collect();
        let has = |word: &str| words.contains(&word);
        let owned = str::to_owned;
        let only_expands = match *words.as_slice() {
            // A row of a new table must not keep one of an old table.
            ["CREATE", "TABLE", table, ..] => tables.insert(owned(table)) && !has("REFERENCES"),
            ["CREATE", "INDEX", ..] => true,
            ["CREATE", "UNIQUE", "INDEX", _, "ON", table, ..] | ["INSERT", "INTO", table, ..] => {
                tables.contains(table)
            }
            ["ALTER", "TABLE", table, "ADD", "COLUMN", column, ..] => {
                columns.insert((owned(table), owned(column)));
                is_single(statement)
                    && !["UNIQUE", "PRIMARY", "CHECK", "REFERENCES", "GENERATED"]
                        .into_iter()
                        .any(has)
                    && (!upper.contains("NOT NULL")
                        || (has("DEFAULT") && !upper.contains("DEFAULT NULL")))
            }
            ["UPDATE", table, "SET", column, ..] => {
                is_single(statement)
                    && !upper.contains("SET (")
                    && columns.contains(&(owned(table), owned(column)))
            }
            _ => false,
        };
        if !only_expands {
            return Some(statement.to_owned());
        }
    }
    None
}

/// Whether a statement changes one thing: it has no comma outside of parentheses.
fn is_single(statement: &str) -> bool {
    let mut depth = 0;
    statement.chars().all(|char| {
        match char {
            '(' => depth += 1,
            ')' => depth -= 1,
            _ => {}
        }
        char != ',' || depth > 0
    })
}
