//! Whose tables a database has, and which version of ours.

use std::collections::BTreeSet;

use diesel::prelude::*;
use diesel::sql_types::Text;

use crate::db::{Conn, DbError, import_target, migrations, with_backend};

/// The table in which diesel records the applied migrations.
pub(super) const MIGRATIONS: &str = "__diesel_schema_migrations";

/// A table that every version of the schema has.
const OURS: &str = "associations";

/// Tables that only a Python Sydent has, in any of its versions.
const SYDENT: [&str; 3] = [
    "local_threepid_associations",
    "global_threepid_associations",
    "threepid_validation_sessions",
];

/// A table that only a Synapse has.
const SYNAPSE: &str = "applied_schema_deltas";

/// The tables of a database, without those of extensions, and the applied migrations.
#[derive(Debug, Default)]
pub(in crate::db) struct Contents {
    pub(in crate::db) tables: BTreeSet<String>,
    pub(in crate::db) versions: Vec<String>,
}

/// The schema of a database that may be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::db) enum Schema {
    /// There are no tables yet.
    Empty,
    /// An older version of the server made it.
    Outdated,
    /// It is the one of this version.
    Current,
    /// It is that of a later version, which says that this one can use it.
    Newer,
}

impl Schema {
    /// Whether migrations are missing.
    pub(in crate::db) fn needs_migration(self) -> bool {
        matches!(self, Self::Empty | Self::Outdated)
    }
}

pub(in crate::db) fn read(connection: &mut Conn) -> Result<Contents, DbError> {
    #[derive(QueryableByName)]
    struct Name {
        #[diesel(sql_type = Text)]
        name: String,
    }
    let tables = match connection {
        Conn::Sqlite(_) => {
            "SELECT name FROM sqlite_master WHERE type IN ('table', 'view') \
             AND substr(name, 1, 7) <> 'sqlite_'"
        }
        Conn::Postgres(_) => {
            "SELECT c.relname::text AS name FROM pg_class AS c \
             JOIN pg_namespace AS n ON n.oid = c.relnamespace \
             WHERE n.nspname = current_schema() AND c.relkind IN ('r', 'p', 'v', 'm', 'f') \
             AND NOT EXISTS (SELECT FROM pg_depend AS d WHERE d.classid = 'pg_class'::regclass \
             AND d.objid = c.oid AND d.deptype = 'e')"
        }
    };
    let mut load = |sql: &str| -> Result<Vec<Name>, DbError> {
        Ok(with_backend!(connection, inner => diesel::sql_query(sql).load(inner)?))
    };
    let tables: BTreeSet<String> = load(tables)?.into_iter().map(|row| row.name).collect();
    let versions = if tables.contains(MIGRATIONS) && tables.contains(OURS) {
        load(&format!("SELECT version AS name FROM {MIGRATIONS}"))?
    } else {
        Vec::new()
    };
    Ok(Contents {
        tables,
        versions: versions.into_iter().map(|row| row.name).collect(),
    })
}

impl Contents {
    /// Compares the applied migrations with those that this version has.
    ///
    /// # Errors
    /// Why the database must not be used, and what to do.
    pub(super) fn schema(&self, known: &[String]) -> Result<Schema, String> {
        let others = self.tables.iter().any(|table| table != MIGRATIONS);
        if !others {
            return Ok(Schema::Empty);
        }
        if !self.tables.contains(OURS) || self.versions.is_empty() {
            return Err(self.foreign());
        }
        let newer = self.newer(known);
        let is_complete = known.iter().all(|version| self.versions.contains(version));
        if newer.is_empty() && !is_complete {
            return Ok(Schema::Outdated);
        }
        let newest = known.last().map_or("none", String::as_str);
        let is_usable = |version: &&str| {
            migrations::usable_since(version)
                .is_some_and(|since| since <= migrations::number(newest))
        };
        if !is_complete || !newer.iter().all(is_usable) {
            return Err(format!(
                "its schema is newer than this version of the server: it has the migrations {}, \
                 and this version knows those up to {newest}; start the version that the database \
                 was used with last, or restore a backup from before the upgrade",
                newer.join(", ")
            ));
        }
        if !newer.is_empty() {
            // They may have dropped a table that this version does not use any more.
            return Ok(Schema::Newer);
        }
        self.check_complete()?;
        Ok(Schema::Current)
    }

    /// The applied migrations that this version does not know.
    fn newer(&self, known: &[String]) -> Vec<&str> {
        let newer = self.versions.iter();
        newer
            .filter(|version| !known.contains(version))
            .map(String::as_str)
            .collect()
    }

    /// What the administrator should know of a schema that is newer than this version.
    pub(super) fn warning(&self, known: &[String]) -> Option<String> {
        let newer = self.newer(known);
        (!newer.is_empty()).then(|| {
            format!(
                "has the schema of a newer version of the server, with the migrations {}; this \
                 version can use it, until all instances are upgraded",
                newer.join(", ")
            )
        })
    }

    fn check_complete(&self) -> Result<(), String> {
        let is_missing = |table: &&&str| !self.tables.contains(**table);
        match import_target::TABLES.iter().find(is_missing) {
            Some(table) => Err(format!(
                "the table {table} is missing, although its schema is complete by its record; \
                 restore the database from a backup"
            )),
            None => Ok(()),
        }
    }

    fn foreign(&self) -> String {
        let has = |table: &&str| self.tables.contains(*table);
        if SYDENT.iter().any(has) {
            return "it is the database of a Python Sydent; import it into a new database with \
                    `sydent import sydent --conf sydent.conf`"
                .to_owned();
        }
        let program = if has(&SYNAPSE) {
            "of a Synapse"
        } else {
            "of another program"
        };
        let some: Vec<&str> = self.tables.iter().take(3).map(String::as_str).collect();
        let more = match self.tables.len() - some.len() {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        format!(
            "it is the database {program}, with the tables {}{more}; give this server a database \
             of its own",
            some.join(", ")
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn schema(tables: &str, versions: &str) -> Result<Schema, String> {
        let words =
            |text: &str| -> Vec<String> { text.split_whitespace().map(str::to_owned).collect() };
        let tables = tables
            .replace("OURS", &import_target::TABLES.join(" "))
            .replace("DIESEL", MIGRATIONS);
        let contents = Contents {
            tables: words(&tables).into_iter().collect(),
            versions: words(versions),
        };
        contents.schema(&words("0001 0002 0003"))
    }

    /// OPS-13
    #[test]
    fn schema_is_known_by_tables_and_migrations() {
        for (tables, versions, expected) in [
            ("", "", Schema::Empty),
            ("DIESEL", "", Schema::Empty),
            ("DIESEL OURS", "0001 0002 0003", Schema::Current),
            ("DIESEL OURS notes", "0001 0002 0003", Schema::Current),
            (
                "DIESEL associations accounts",
                "0001 0002",
                Schema::Outdated,
            ),
            (
                "DIESEL OURS later",
                "0001 0002 0003 0004since0003 0005since0002",
                Schema::Newer,
            ),
            // Without a table that version 3 did not use any more.
            (
                "DIESEL associations accounts",
                "0001 0002 0003 0004since0003",
                Schema::Newer,
            ),
        ] {
            assert_eq!(schema(tables, versions), Ok(expected), "{tables}");
        }
    }

    /// OPS-13
    #[test]
    fn foreign_and_newer_schemas_are_refused() {
        for (tables, versions, reason) in [
            (
                "DIESEL OURS",
                "0001 0002 0003 0099",
                "newer than this version",
            ),
            (
                "DIESEL OURS",
                "0001 0002 0003 0004since0003 0005since0004",
                "the migrations 0004since0003, 0005since0004, and this version knows those up to \
                 0003",
            ),
            (
                "DIESEL OURS",
                "0001 0002 0004since0002",
                "newer than this version",
            ),
            (
                "DIESEL OURS",
                "0001 0002 0003 0004since3",
                "newer than this version",
            ),
            ("DIESEL associations", "0001 0002 0003", "is missing"),
            ("OURS", "", "of another program"),
            (
                "DIESEL users ciphers",
                "",
                "of another program, with the tables",
            ),
            ("notes", "", "tables notes; give"),
            ("a b c d e", "", "tables a, b, c and 2 more; give"),
            ("events rooms applied_schema_deltas", "", "of a Synapse"),
            (
                "threepid_validation_sessions threepid_token_auths",
                "",
                "`sydent import sydent",
            ),
            ("local_threepid_associations peers", "", "Python Sydent"),
        ] {
            let refusal = schema(tables, versions).unwrap_err();
            assert!(refusal.contains(reason), "{tables}: {refusal}");
        }
    }
}
