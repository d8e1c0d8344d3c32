//! What a `PostgreSQL` server must be, and may deny, before it is used.

use diesel::prelude::*;
use diesel::sql_types::{Array, Bool, Integer, Nullable, Text};

use super::contents::MIGRATIONS;
use crate::db::{Conn, DbError, import_target};

/// The oldest version with every function that the queries use (`hashtextextended`).
const OLDEST: i32 = 110_000;

/// The state of a server and of the session.
#[derive(Debug, Clone, QueryableByName)]
pub(super) struct Server {
    #[diesel(sql_type = Integer)]
    number: i32,
    #[diesel(sql_type = Text)]
    version: String,
    #[diesel(sql_type = Text)]
    pub(super) database: String,
    #[diesel(sql_type = Text)]
    role: String,
    #[diesel(sql_type = Text)]
    encoding: String,
    #[diesel(sql_type = Bool)]
    standby: bool,
    #[diesel(sql_type = Bool)]
    read_only: bool,
    #[diesel(sql_type = Text)]
    search_path: String,
    /// Where new tables are created; null if no schema of the search path exists.
    #[diesel(sql_type = Nullable<Text>)]
    schema: Option<String>,
    #[diesel(sql_type = Bool)]
    may_create: bool,
    /// Where the tables that queries find are.
    #[diesel(sql_type = Nullable<Text>)]
    tables_in: Option<String>,
}

const STATE: &str = "SELECT current_setting('server_version_num')::int4 AS number, \
    current_setting('server_version') AS version, current_database()::text AS database, \
    current_user::text AS role, current_setting('server_encoding') AS encoding, \
    pg_is_in_recovery() AS standby, current_setting('transaction_read_only') = 'on' AS read_only, \
    current_setting('search_path') AS search_path, current_schema()::text AS schema, \
    coalesce(has_schema_privilege(current_schema(), 'CREATE'), false) AS may_create, \
    (SELECT n.nspname::text FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace \
    WHERE c.oid = to_regclass('associations')) AS tables_in";

impl Server {
    pub(super) fn read(connection: &mut Conn) -> Result<Self, DbError> {
        match connection {
            Conn::Postgres(postgres) => Ok(diesel::sql_query(STATE).get_result(postgres)?),
            Conn::Sqlite(_) => Err(DbError::Open("it is not a PostgreSQL server".to_owned())),
        }
    }

    /// # Errors
    /// Why the server must not be used, and what to do.
    pub(super) fn check(&self) -> Result<(), String> {
        if self.number < OLDEST {
            return Err(format!(
                "the server is PostgreSQL {}; version 11 or newer is needed",
                self.version
            ));
        }
        if self.encoding != "UTF8" {
            return Err(format!(
                "its encoding is {}, but addresses can have any character of Unicode; create \
                 another one with: CREATE DATABASE {} ENCODING 'UTF8' TEMPLATE template0",
                self.encoding,
                quoted(&format!("{}_utf8", self.database))
            ));
        }
        if self.standby {
            return Err(
                "the server is a standby, which only reads; connect to the primary \
                        server (target_session_attrs=read-write in the URL)"
                    .to_owned(),
            );
        }
        if self.read_only {
            return Err(format!(
                "its sessions are read-only (default_transaction_read_only); run: ALTER DATABASE \
                 {} RESET default_transaction_read_only, and the same for the role {}",
                quoted(&self.database),
                quoted(&self.role)
            ));
        }
        let Some(schema) = &self.schema else {
            return Err(format!(
                "no schema in its search_path ({}) exists for the role {}; create one, or run: \
                 ALTER ROLE {} SET search_path = public",
                self.search_path,
                self.role,
                quoted(&self.role)
            ));
        };
        match &self.tables_in {
            Some(tables_in) if tables_in != schema => Err(format!(
                "the tables of the server are in the schema {tables_in}, but new ones would be \
                 created in {schema}; run: ALTER ROLE {} SET search_path = {}",
                quoted(&self.role),
                quoted(tables_in)
            )),
            _ => Ok(()),
        }
    }
}

/// Why a migration would be denied, and what to do.
pub(super) fn cannot_migrate(
    connection: &mut Conn,
    server: &Server,
) -> Result<Option<String>, DbError> {
    let role = quoted(&server.role);
    if !server.may_create {
        let schema = server.schema.as_deref().unwrap_or_default();
        return Ok(Some(format!(
            "the role {} may not create tables in the schema {schema}; run: GRANT CREATE ON \
             SCHEMA {} TO {role}",
            server.role,
            quoted(schema)
        )));
    }
    let table = find_table(connection, "NOT pg_has_role(c.relowner, 'USAGE')")?;
    Ok(table.map(|table| owned_by_another(&table, &server.role)))
}

/// Why the tables cannot be read and written, and what to do.
pub(super) fn forbidden_table(
    connection: &mut Conn,
    server: &Server,
) -> Result<Option<String>, DbError> {
    let denied = "NOT (has_table_privilege(c.oid, 'SELECT') AND has_table_privilege(c.oid, \
                  'INSERT') AND has_table_privilege(c.oid, 'UPDATE') AND \
                  has_table_privilege(c.oid, 'DELETE'))";
    let table = find_table(connection, denied)?;
    Ok(table.map(|table| owned_by_another(&table, &server.role)))
}

fn owned_by_another(table: &str, role: &str) -> String {
    format!(
        "the role {role} may not change the table {table}, which another role owns; run for each \
         table of the server: ALTER TABLE {table} OWNER TO {}",
        quoted(role)
    )
}

/// The first of our tables that a condition is true of.
fn find_table(connection: &mut Conn, condition: &str) -> Result<Option<String>, DbError> {
    #[derive(QueryableByName)]
    struct Name {
        #[diesel(sql_type = Text)]
        name: String,
    }
    let Conn::Postgres(postgres) = connection else {
        return Ok(None);
    };
    let names: Vec<&str> = import_target::TABLES
        .into_iter()
        .chain([MIGRATIONS])
        .collect();
    let sql = format!(
        "SELECT c.relname::text AS name FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = \
         c.relnamespace WHERE n.nspname = current_schema() AND c.relkind IN ('r', 'p') AND \
         c.relname = ANY($1) AND {condition} ORDER BY c.relname LIMIT 1"
    );
    let found: Option<Name> = diesel::sql_query(sql)
        .bind::<Array<Text>, _>(names)
        .get_result(postgres)
        .optional()?;
    Ok(found.map(|row| row.name))
}

fn quoted(identifier: &str) -> String {
    format!("\"{}\"", identifier.replace('"', "\"\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn server() -> Server {
        Server {
            number: 150_000,
            version: "15.4".to_owned(),
            database: "identity".to_owned(),
            role: "sydent".to_owned(),
            encoding: "UTF8".to_owned(),
            standby: false,
            read_only: false,
            search_path: "\"$user\", public".to_owned(),
            schema: Some("public".to_owned()),
            may_create: true,
            tables_in: None,
        }
    }

    /// OPS-13
    #[test]
    fn unsuitable_servers_are_refused() {
        assert_eq!(server().check(), Ok(()));
        let used = Server {
            tables_in: Some("public".to_owned()),
            ..server()
        };
        assert_eq!(used.check(), Ok(()));
        let old = Server {
            number: 100_023,
            ..server()
        };
        let ascii = Server {
            encoding: "SQL_ASCII".to_owned(),
            ..server()
        };
        let standby = Server {
            standby: true,
            ..server()
        };
        let read_only = Server {
            read_only: true,
            ..server()
        };
        let nowhere = Server {
            schema: None,
            ..server()
        };
        let elsewhere = Server {
            schema: Some("sydent".to_owned()),
            ..used
        };
        for (server, reason) in [
            (old, "version 11 or newer"),
            (ascii, "encoding is SQL_ASCII"),
            (standby, "is a standby"),
            (read_only, "RESET default_transaction_read_only"),
            (nowhere, "no schema in its search_path"),
            (elsewhere, "SET search_path = \"public\""),
        ] {
            let refusal = server.check().unwrap_err();
            assert!(refusal.contains(reason), "{refusal}");
        }
    }
}
