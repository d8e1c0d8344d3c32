//! Reads the database of a Python Sydent, of schema version 0 to 5, without
//! changing it. Tables and columns that an older schema lacks read as empty.

use std::collections::BTreeMap;
use std::path::Path;

use diesel::connection::{DefaultLoadingMode, SimpleConnection as _};
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Nullable, Text};

use super::DbError;
use super::connection::open_error;
use super::private_copy::PrivateCopy;

/// An open database of Sydent. One read transaction lasts from [`Sydent::open`]
/// until [`Sydent::end_transaction`], so that all queries see the same state.
pub struct Sydent {
    connection: SqliteConnection,
    tables: BTreeMap<String, Vec<String>>,
}

/// One row of any table. The [`Query`] says which columns the texts and numbers
/// are.
#[derive(QueryableByName)]
pub struct Record {
    /// The column [`Query::id`].
    #[diesel(sql_type = Nullable<BigInt>)]
    pub id: Option<i64>,
    #[diesel(sql_type = Nullable<Text>)]
    a: Option<String>,
    #[diesel(sql_type = Nullable<Text>)]
    b: Option<String>,
    #[diesel(sql_type = Nullable<Text>)]
    c: Option<String>,
    #[diesel(sql_type = Nullable<Text>)]
    d: Option<String>,
    #[diesel(sql_type = Nullable<Text>)]
    e: Option<String>,
    #[diesel(sql_type = Nullable<BigInt>)]
    n: Option<i64>,
    #[diesel(sql_type = Nullable<BigInt>)]
    o: Option<i64>,
    #[diesel(sql_type = Nullable<BigInt>)]
    p: Option<i64>,
}

impl Record {
    /// The columns [`Query::texts`], in that order.
    #[must_use]
    pub fn texts(&self) -> [Option<&str>; 5] {
        [&self.a, &self.b, &self.c, &self.d, &self.e].map(|text| text.as_deref())
    }

    /// The columns [`Query::numbers`], in that order.
    #[must_use]
    pub fn numbers(&self) -> [Option<i64>; 3] {
        [self.n, self.o, self.p]
    }
}

/// A query on one table, which has the alias `t`.
#[derive(Debug, Clone, Copy)]
pub struct Query<'a> {
    /// The table.
    pub table: &'a str,
    /// The column of [`Record::id`].
    pub id: &'a str,
    /// The columns of [`Record::texts`], at most five.
    pub texts: &'a [&'a str],
    /// The columns of [`Record::numbers`], at most three.
    pub numbers: &'a [&'a str],
    /// The clauses after the table: joins, conditions and order.
    pub clauses: &'a str,
}

/// How many rows are in memory at a time.
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
        let name = path
            .to_str()
            .ok_or_else(|| open_error(path, "the path is not valid UTF-8"))?;
        let mut connection = connect_read_only(name).map_err(|error| open_error(path, error))?;
        connection
            .batch_execute("PRAGMA busy_timeout = 10000; PRAGMA query_only = ON; BEGIN")
            .map_err(|error| open_error(path, error))?;
        let tables = read_schema(&mut connection).map_err(|error| open_error(path, error))?;
        if !tables.contains_key("local_threepid_associations") {
            return Err(open_error(path, "not a Sydent database"));
        }
        Ok(Self { connection, tables })
    }

    /// Opens a private copy of the file, which is deleted as soon as it is open.
    /// Without WAL, SQLite blocks writers while a transaction reads; so the running
    /// Sydent is blocked only while the file is copied, and not during the whole
    /// import. If the file cannot be copied, this opens it in place.
    ///
    /// # Errors
    /// When the file does not exist or is not a database of Sydent.
    pub fn open_copy(path: &Path) -> Result<Self, DbError> {
        let copy = create_copy(path).and_then(|copy| {
            let sydent = Self::open(&copy.path()).map_err(|error| error.to_string())?;
            copy.unlink().map_err(|error| error.to_string())?;
            Ok(sydent)
        });
        copy.or_else(|error| {
            // Before the warning, which is wrong if the file cannot be read at all.
            let original = Self::open(path)?;
            log::warn!(
                "reading {} in place, because it cannot be copied to {}: {error}",
                path.display(),
                std::env::temp_dir().display()
            );
            Ok(original)
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

    /// The maximum of a column; 0 if there are no rows.
    pub fn max(&mut self, table: &str, column: &str) -> Result<i64, DbError> {
        if !self.tables.contains_key(table) {
            return Ok(0);
        }
        self.query_number(&format!(
            "SELECT COALESCE(MAX(CAST({} AS INTEGER)), 0) AS n FROM {table} AS t",
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

    /// Passes the rows to `process` in pages of up to 2000. A table that does not
    /// exist has no rows.
    ///
    /// # Errors
    /// When the file cannot be read, and the errors of `process`.
    pub fn for_each_page<E: From<DbError>>(
        &mut self,
        query: &Query<'_>,
        mut process: impl FnMut(&[Record]) -> Result<(), E>,
    ) -> Result<(), E> {
        if !self.tables.contains_key(query.table) {
            return Ok(());
        }
        let sql = self.to_sql(query);
        let rows = diesel::sql_query(sql)
            .load_iter::<Record, DefaultLoadingMode>(&mut self.connection)
            .map_err(DbError::Query)?;
        let mut page = Vec::new();
        for row in rows {
            page.push(row.map_err(DbError::Query)?);
            if page.len() == PAGE {
                process(&page)?;
                page.clear();
            }
        }
        if page.is_empty() {
            return Ok(());
        }
        process(&page)
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

    fn to_sql(&self, query: &Query<'_>) -> String {
        let mut columns = vec![self.cast(query.table, query.id, "INTEGER", "id")];
        let texts = query.texts.iter().copied().chain(std::iter::repeat("NULL"));
        for (name, column) in ["a", "b", "c", "d", "e"].into_iter().zip(texts) {
            columns.push(self.cast(query.table, column, "TEXT", name));
        }
        let numbers = query
            .numbers
            .iter()
            .copied()
            .chain(std::iter::repeat("NULL"));
        for (name, column) in ["n", "o", "p"].into_iter().zip(numbers) {
            columns.push(self.cast(query.table, column, "INTEGER", name));
        }
        format!(
            "SELECT {} FROM {} AS t {}",
            columns.join(", "),
            query.table,
            query.clauses
        )
    }

    /// SQLite stores values of any type in any column.
    fn cast(&self, table: &str, column: &str, sql_type: &str, name: &str) -> String {
        format!(
            "CAST({} AS {sql_type}) AS {name}",
            self.column(table, column)
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

fn create_copy(path: &Path) -> Result<PrivateCopy, String> {
    let name = path.to_str().ok_or("the path is not valid UTF-8")?;
    let copy = PrivateCopy::create().map_err(|error| error.to_string())?;
    let target = copy.path();
    let target = target
        .to_str()
        .ok_or("the path of the temporary folder is not valid UTF-8")?;
    let mut connection = connect_read_only(name).map_err(|error| error.to_string())?;
    connection
        .batch_execute("PRAGMA busy_timeout = 10000")
        .and_then(|()| {
            diesel::sql_query("VACUUM INTO ?")
                .bind::<Text, _>(target)
                .execute(&mut connection)
        })
        .map_err(|error| error.to_string())?;
    Ok(copy)
}

/// Only a URI can ask for a read-only connection, so the path must be escaped.
fn connect_read_only(name: &str) -> ConnectionResult<SqliteConnection> {
    let mut uri = String::from("file:");
    for c in name.chars() {
        match c {
            '%' => uri.push_str("%25"),
            '?' => uri.push_str("%3f"),
            '#' => uri.push_str("%23"),
            c => uri.push(c),
        }
    }
    uri.push_str("?mode=ro");
    SqliteConnection::establish(&uri)
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
