//! The rows of a table in the order of its key, some hundred at a time.

use diesel::prelude::*;
use diesel::sql_types::{BigInt, Bool, Nullable, Text};
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use super::columns::{Kind, Table};
use crate::db::import_target::{BATCH, SqlValue, bind_rows};
use crate::db::{Conn, DbError, with_backend};

/// A place in a table: the key of the last row that was read.
#[derive(Default)]
pub(super) struct Cursor(Option<Vec<Value>>);

/// A row as JSON, since the columns are known only at run time.
#[derive(QueryableByName)]
struct Row {
    #[diesel(sql_type = Text)]
    row: String,
}

impl Cursor {
    /// The next rows; none at the end.
    pub(super) fn next(
        &mut self,
        connection: &mut Conn,
        table: &Table,
    ) -> Result<Vec<Vec<Value>>, DbError> {
        let sql = query(connection, table, self.0.is_some());
        let key = self.0.take().unwrap_or_default();
        let kinds = table
            .key
            .iter()
            .filter_map(|index| table.columns.get(*index));
        let key = kinds
            .zip(key)
            .map(|(column, value)| to_sql(column.kind, value));
        let key = vec![key.collect::<Result<Vec<SqlValue>, DbError>>()?];
        let rows: Vec<Row> = with_backend!(connection, inner => bind_rows!(sql, key).load(inner)?);
        let rows: Vec<Vec<Value>> = rows
            .into_iter()
            .map(|row| parse(table, &row.row))
            .collect::<Result<_, _>>()?;
        if let Some(last) = rows.last() {
            let key = table
                .key
                .iter()
                .filter_map(|index| last.get(*index).cloned());
            self.0 = Some(key.collect());
        }
        Ok(rows)
    }
}

fn query(connection: &Conn, table: &Table, goes_on: bool) -> String {
    let (array, placeholder): (&str, fn(usize) -> String) = match connection {
        Conn::Postgres(_) => ("json_build_array", |number| format!("${number}")),
        Conn::Sqlite(_) => ("json_array", |_number| "?".to_owned()),
    };
    let text = match connection {
        Conn::Postgres(_) => "::text",
        Conn::Sqlite(_) => "",
    };
    let after = if goes_on {
        let places: Vec<String> = (1..=table.key.len()).map(placeholder).collect();
        format!("WHERE ({}) > ({})", table.key_list(), places.join(", "))
    } else {
        String::new()
    };
    format!(
        "SELECT {array}({}){text} AS row FROM {} {after} ORDER BY {} LIMIT {BATCH}",
        table.column_list(),
        table.name,
        table.key_list()
    )
}

/// Parses a row. SQLite has numbers for flags.
fn parse(table: &Table, row: &str) -> Result<Vec<Value>, DbError> {
    let values: Vec<Value> =
        serde_json::from_str(row).map_err(|_unreadable| DbError::Corrupt("row"))?;
    if values.len() != table.columns.len() {
        return Err(DbError::Corrupt("row"));
    }
    let typed = table.columns.iter().zip(values);
    let typed = typed.map(|(column, value)| match (column.kind, value.as_i64()) {
        (Kind::Flag, Some(number)) => Value::Bool(number != 0),
        _ => value,
    });
    Ok(typed.collect())
}

/// The values of a row for an insertion.
pub(super) fn values(table: &Table, row: Vec<Value>) -> Result<Vec<SqlValue>, DbError> {
    let typed = table.columns.iter().zip(row);
    typed
        .map(|(column, value)| to_sql(column.kind, value))
        .collect()
}

fn to_sql(kind: Kind, value: Value) -> Result<SqlValue, DbError> {
    Ok(match (kind, value) {
        (Kind::Text, Value::Null) => SqlValue::Text(None),
        (Kind::Text, Value::String(text)) => SqlValue::Text(Some(text)),
        (Kind::Number, Value::Null) => SqlValue::Number(None),
        (Kind::Number, value) => {
            SqlValue::Number(Some(value.as_i64().ok_or(DbError::Corrupt("number"))?))
        }
        (Kind::Flag, Value::Null) => SqlValue::Flag(None),
        (Kind::Flag, Value::Bool(flag)) => SqlValue::Flag(Some(flag)),
        (Kind::Text | Kind::Flag, _) => return Err(DbError::Corrupt("value")),
    })
}

/// The number of rows of a table and a hash of all of them, whatever their order is: two
/// databases may sort texts differently.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct Checksum {
    pub(super) rows: u64,
    digest: [u8; 32],
}

impl Checksum {
    /// Counts a row.
    pub(super) fn add(&mut self, row: &[Value]) {
        let text = Value::from(row.to_vec()).to_string();
        let hash: [u8; 32] = Sha256::digest(text).into();
        for (sum, byte) in self.digest.iter_mut().zip(hash) {
            *sum ^= byte;
        }
        self.rows += 1;
    }

    /// Reads a whole table.
    pub(super) fn of(
        connection: &mut Conn,
        table: &Table,
        mut progress: impl FnMut(u64),
    ) -> Result<Self, DbError> {
        let (mut checksum, mut cursor) = (Self::default(), Cursor::default());
        loop {
            let rows = cursor.next(connection, table)?;
            if rows.is_empty() {
                return Ok(checksum);
            }
            for row in &rows {
                checksum.add(row);
            }
            progress(rows.len() as u64);
        }
    }
}
