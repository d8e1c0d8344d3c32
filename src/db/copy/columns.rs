//! The columns of the tables, read from the database itself, so that none is forgotten.

use diesel::prelude::*;
use diesel::sql_types::{BigInt, Text};

use crate::db::{Conn, DbError, with_backend};

/// What a column holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Text,
    Number,
    Flag,
}

/// A column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Column {
    pub(super) name: String,
    pub(super) kind: Kind,
}

/// A table: its columns by name, and which of them are the primary key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Table {
    pub(super) name: &'static str,
    pub(super) columns: Vec<Column>,
    /// Places in `columns`, in the order of the key.
    pub(super) key: Vec<usize>,
}

#[derive(QueryableByName)]
struct Row {
    #[diesel(sql_type = Text)]
    name: String,
    #[diesel(sql_type = Text)]
    kind: String,
    /// The place in the primary key from 1 on, or 0.
    #[diesel(sql_type = BigInt)]
    place: i64,
}

const SQLITE: &str = "SELECT name, lower(type) AS kind, pk AS place FROM pragma_table_info(?) \
    ORDER BY name";

const POSTGRES: &str = "SELECT a.attname::text AS name, format_type(a.atttypid, NULL) AS kind, \
    COALESCE(array_position(i.indkey::int2[], a.attnum) + 1, 0)::int8 AS place \
    FROM pg_attribute AS a LEFT JOIN pg_index AS i ON i.indrelid = a.attrelid AND i.indisprimary \
    WHERE a.attrelid = to_regclass($1) AND a.attnum > 0 AND NOT a.attisdropped \
    ORDER BY a.attname COLLATE \"C\"";

/// Reads the columns of a table.
pub(super) fn read(connection: &mut Conn, name: &'static str) -> Result<Table, DbError> {
    let sql = match connection {
        Conn::Postgres(_) => POSTGRES,
        Conn::Sqlite(_) => SQLITE,
    };
    let rows: Vec<Row> = with_backend!(connection, inner => diesel::sql_query(sql)
        .bind::<Text, _>(name)
        .load(inner)?);
    let mut key: Vec<(i64, usize)> = rows
        .iter()
        .enumerate()
        .filter(|(_, row)| row.place > 0)
        .map(|(index, row)| (row.place, index))
        .collect();
    key.sort_unstable();
    if key.is_empty() {
        return Err(DbError::Open(format!(
            "the table {name} has no primary key"
        )));
    }
    let columns = rows.into_iter().map(|row| {
        let kind = match row.kind.as_str() {
            "text" => Kind::Text,
            "bigint" | "integer" => Kind::Number,
            "boolean" => Kind::Flag,
            other => {
                let column = &row.name;
                return Err(DbError::Open(format!(
                    "the column {name}.{column} has the unknown type {other}"
                )));
            }
        };
        Ok(Column {
            name: row.name,
            kind,
        })
    });
    Ok(Table {
        name,
        columns: columns.collect::<Result<_, _>>()?,
        key: key.into_iter().map(|(_, index)| index).collect(),
    })
}

impl Table {
    /// Whether the database numbers the rows itself.
    pub(super) fn is_numbered(&self) -> bool {
        let mut key = self.key.iter().filter_map(|index| self.columns.get(*index));
        let only = key.next().filter(|_| key.next().is_none());
        only.is_some_and(|column| column.kind == Kind::Number && column.name == "id")
    }

    /// The names of the columns.
    pub(super) fn column_list(&self) -> String {
        let names: Vec<&str> = self
            .columns
            .iter()
            .map(|column| column.name.as_str())
            .collect();
        names.join(", ")
    }

    /// The names of the columns of the key.
    pub(super) fn key_list(&self) -> String {
        let key = self.key.iter().filter_map(|index| self.columns.get(*index));
        let names: Vec<&str> = key.map(|column| column.name.as_str()).collect();
        names.join(", ")
    }
}
