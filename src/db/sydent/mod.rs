//! Reads the database of a Python Sydent, of schema version 0 to 5, without
//! changing it. Tables and columns that an older schema lacks read as empty.

mod open;
mod read_ahead;
mod record;
mod write;

use std::collections::{BTreeMap, HashMap};
use std::ops::ControlFlow;
use std::path::Path;

use diesel::connection::{DefaultLoadingMode, SimpleConnection as _};
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Text};

use super::DbError;
use super::connection::open_error;
use read_ahead::{OnPage, read_ahead};
use record::{NUMBERS, Raw, TEXTS};

pub use record::Record;
pub use write::{IS_NO_MARK, NewSydent, SydentTable, replay_mark};

/// An open database of Sydent. One read transaction lasts from [`Sydent::open`]
/// until [`Sydent::end_transaction`], so that all queries see the same state.
pub struct Sydent {
    connection: SqliteConnection,
    tables: BTreeMap<String, Vec<String>>,
}

/// The newest schema version of Sydent, which has not changed since 2021.
const NEWEST_SCHEMA: i64 = 5;

/// A query on one table, which has the alias `t`.
#[derive(Debug, Clone, Copy)]
pub struct Query<'a> {
    /// The table.
    pub table: &'a str,
    /// The column of [`Record::id`].
    pub id: &'a str,
    /// The columns of [`Record::texts`], at most five.
    pub texts: &'a [&'a str],
    /// The columns of [`Record::numbers`], at most four.
    pub numbers: &'a [&'a str],
    /// The clauses after the table: joins, conditions and order.
    pub clauses: &'a str,
}

/// The greatest id and time that every JSON parser represents exactly.
pub const MAX_ID: i64 = (1 << 53) - 1;

/// So many rows are processed at a time, while some such pages are read ahead.
const PAGE: usize = 2000;

impl Sydent {
    /// Opens the file read-only.
    ///
    /// # Errors
    /// When the file does not exist or is not a database of Sydent.
    pub fn open(path: &Path) -> Result<Self, DbError> {
        if !path.is_file() {
            return Err(open_error(path, "no such file"));
        }
        let mut connection = open::open(path).map_err(|error| open_error(path, error))?;
        let tables = read_schema(&mut connection).map_err(|error| open_error(path, error))?;
        if !tables.contains_key("local_threepid_associations") {
            return Err(open_error(path, "not a Sydent database"));
        }
        let mut sydent = Self { connection, tables };
        let version = sydent.schema_version()?;
        if !(0..=NEWEST_SCHEMA).contains(&version) {
            return Err(open_error(
                path,
                format!(
                    "its schema version is {version}, but the newest that this version of the \
                     command knows is {NEWEST_SCHEMA}"
                ),
            ));
        }
        Ok(sydent)
    }

    /// Opens a private copy of the file, which is deleted as soon as it is open.
    /// Without WAL, SQLite blocks writers while a transaction reads; so the running
    /// Sydent is blocked only while the file is copied, and not during the whole
    /// import. If the file cannot be copied, this opens it in place, and returns a
    /// sentence that says so.
    ///
    /// # Errors
    /// When the file does not exist or is not a database of Sydent.
    pub fn open_copy(path: &Path) -> Result<(Self, Option<String>), DbError> {
        let copy = open::copy(path).and_then(|copy| {
            let sydent = Self::open(&copy.path()).map_err(|error| error.to_string())?;
            copy.unlink().map_err(|error| error.to_string())?;
            Ok(sydent)
        });
        copy.map(|copy| (copy, None)).or_else(|error| {
            // An error of its own comes first: the file may not be readable at all.
            let original = Self::open(path)?;
            let warning = format!(
                "{} is read in place, during which the commits of a running Sydent wait. A copy \
                 needs about {} MB in {}: {error}. Set TMPDIR to a folder with more room.",
                path.display(),
                open::size_mb(path),
                std::env::temp_dir().display(),
            );
            Ok((original, Some(warning)))
        })
    }

    /// Ends the read transaction. From now on each query sees the state at its own
    /// time, and writers can commit between two queries.
    pub fn end_transaction(&mut self) -> Result<(), DbError> {
        Ok(self.connection.batch_execute("COMMIT")?)
    }

    /// The schema version: 0 to 5 in all releases of Sydent.
    pub fn schema_version(&mut self) -> Result<i64, DbError> {
        self.query_number("SELECT user_version AS n FROM pragma_user_version")
    }

    /// The number of rows of a table; 0 if it does not exist.
    pub fn count(&mut self, table: &str) -> Result<u64, DbError> {
        if !self.tables.contains_key(table) {
            return Ok(0);
        }
        let count = self.query_number(&format!("SELECT COUNT(*) AS n FROM {table}"))?;
        Ok(u64::try_from(count).unwrap_or(0))
    }

    /// The maximum of a column, of the ids that JSON can represent; 0 if there are
    /// none.
    pub fn max_id(&mut self, table: &str, column: &str) -> Result<i64, DbError> {
        if !self.tables.contains_key(table) {
            return Ok(0);
        }
        self.query_number(&format!(
            "SELECT COALESCE(MAX({0}), 0) AS n FROM {table} AS t \
             WHERE typeof({0}) = 'integer' AND {0} BETWEEN 0 AND {MAX_ID}",
            self.column(table, column)
        ))
    }

    fn query_number(&mut self, sql: &str) -> Result<i64, DbError> {
        #[derive(QueryableByName)]
        struct Number {
            #[diesel(sql_type = BigInt)]
            n: i64,
        }
        let row: Number = diesel::sql_query(sql).get_result(&mut self.connection)?;
        Ok(row.n)
    }

    /// Passes the rows to `process` in pages of up to 2000, while a thread reads the next
    /// ones. A table that does not exist has no rows.
    ///
    /// # Errors
    /// When the file cannot be read, and the errors of `process`.
    pub fn for_each_page<E: From<DbError>>(
        &mut self,
        query: &Query<'_>,
        process: impl FnMut(&[Record]) -> Result<(), E>,
    ) -> Result<(), E> {
        read_ahead(|on_page| self.read(query, on_page), process)
    }

    /// Passes the rows with these row numbers to `process`, in pages and in the order
    /// of the numbers. To sort only numbers needs much less memory than to let
    /// SQLite sort whole rows.
    ///
    /// # Errors
    /// When the file cannot be read, and the errors of `process`.
    pub fn for_each_page_of<E: From<DbError>>(
        &mut self,
        query: &Query<'_>,
        rows: &[i64],
        process: impl FnMut(&[Record]) -> Result<(), E>,
    ) -> Result<(), E> {
        let read = |on_page: &mut OnPage<'_>| {
            for rows in rows.chunks(PAGE) {
                let numbers: Vec<String> = rows.iter().map(i64::to_string).collect();
                let clauses = format!("WHERE t.rowid IN ({})", numbers.join(", "));
                let query = Query {
                    clauses: &clauses,
                    ..*query
                };
                let positions: HashMap<i64, usize> = rows.iter().copied().zip(0..).collect();
                let mut page = Vec::with_capacity(rows.len());
                self.read(&query, &mut |mut part| {
                    page.append(&mut part);
                    ControlFlow::Continue(())
                })?;
                page.sort_by_key(|record: &Record| positions.get(&record.row).copied());
                if !page.is_empty() && on_page(page).is_break() {
                    break;
                }
            }
            Ok(())
        };
        read_ahead(read, process)
    }

    /// Passes the rows on in pages, until it is told to stop.
    fn read(&mut self, query: &Query<'_>, on_page: &mut OnPage<'_>) -> Result<(), DbError> {
        if !self.tables.contains_key(query.table) {
            return Ok(());
        }
        let sql = self.to_sql(query);
        let rows =
            diesel::sql_query(sql).load_iter::<Raw, DefaultLoadingMode>(&mut self.connection)?;
        let mut page = Vec::with_capacity(PAGE);
        for row in rows {
            page.push(Record::from(row?));
            if page.len() == PAGE {
                let full = std::mem::replace(&mut page, Vec::with_capacity(PAGE));
                if on_page(full).is_break() {
                    return Ok(());
                }
            }
        }
        if !page.is_empty() {
            // It was the last one.
            let _ = on_page(page);
        }
        Ok(())
    }

    /// The row numbers that these clauses select.
    pub fn ids(&mut self, table: &str, clauses: &str) -> Result<Vec<i64>, DbError> {
        let query = Query {
            table,
            id: "NULL",
            texts: &[],
            numbers: &[],
            clauses,
        };
        self.load(&query, |row| Some(row.row))
    }

    /// Whether rows of a table may have been deleted: it has fewer than were ever
    /// inserted. False for a table that does not count them.
    pub fn has_lost_rows(&mut self, table: &str) -> Result<bool, DbError> {
        if !self.tables.contains_key("sqlite_sequence") {
            return Ok(false);
        }
        let lost = self.query_number(&format!(
            "SELECT COALESCE((SELECT MAX(seq) FROM sqlite_sequence WHERE name = '{table}'), 0) > \
             (SELECT COUNT(*) FROM {table}) AS n"
        ))?;
        Ok(lost != 0)
    }

    /// All rows that `decode` returns a value for.
    pub fn load<T>(
        &mut self,
        query: &Query<'_>,
        mut decode: impl FnMut(&Record) -> Option<T>,
    ) -> Result<Vec<T>, DbError> {
        let mut values = Vec::new();
        self.for_each_page(query, |rows| {
            values.extend(rows.iter().filter_map(&mut decode));
            Ok::<(), DbError>(())
        })?;
        Ok(values)
    }

    /// SQLite stores values of any type in any column, so texts are read as bytes,
    /// and numbers only if they are some.
    fn to_sql(&self, query: &Query<'_>) -> String {
        let mut columns = vec![
            "t.rowid AS row_number".to_owned(),
            format!(
                "CAST({} AS INTEGER) AS id",
                self.column(query.table, query.id)
            ),
        ];
        let texts = query.texts.iter().copied().chain(std::iter::repeat("NULL"));
        for (name, column) in TEXTS.into_iter().zip(texts) {
            let column = self.column(query.table, column);
            columns.push(format!("CAST(CAST({column} AS TEXT) AS BLOB) AS {name}"));
        }
        let numbers = query
            .numbers
            .iter()
            .copied()
            .chain(std::iter::repeat("NULL"));
        let mut others = Vec::new();
        for (name, column) in NUMBERS.into_iter().zip(numbers) {
            let column = self.column(query.table, column);
            columns.push(format!("CAST({column} AS INTEGER) AS {name}"));
            others.push(format!("typeof({column}) IN ('text', 'blob')"));
        }
        format!(
            "SELECT {}, ({}) AS has_non_number FROM {} AS t {}",
            columns.join(", "),
            others.join(" OR "),
            query.table,
            query.clauses
        )
    }

    /// The column, or NULL if this schema has none of that name. A column with the
    /// alias of a joined table must exist.
    fn column(&self, table: &str, column: &str) -> String {
        let name = column.strip_prefix("t.").unwrap_or(column);
        if name.contains('.') {
            return name.to_owned();
        }
        let mut columns = self.tables.get(table).into_iter().flatten();
        if columns.any(|existing| existing.eq_ignore_ascii_case(name)) {
            format!("t.{name}")
        } else {
            "NULL".to_owned()
        }
    }
}

/// The columns of each table.
fn read_schema(connection: &mut SqliteConnection) -> QueryResult<BTreeMap<String, Vec<String>>> {
    #[derive(QueryableByName)]
    struct Column {
        #[diesel(sql_type = Text)]
        table_name: String,
        #[diesel(sql_type = Text)]
        name: String,
    }
    let columns: Vec<Column> = diesel::sql_query(
        "SELECT m.name AS table_name, c.name AS name \
         FROM sqlite_master AS m JOIN pragma_table_info(m.name) AS c WHERE m.type = 'table'",
    )
    .load(connection)?;
    let mut tables: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for column in columns {
        tables
            .entry(column.table_name)
            .or_default()
            .push(column.name);
    }
    Ok(tables)
}
