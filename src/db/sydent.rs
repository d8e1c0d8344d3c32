//! The database of a Python Sydent, of schema 0 to 5, as it is at one moment.
//! Nothing in it is changed, and what an older schema lacks is empty.

use std::collections::BTreeMap;
use std::path::Path;

use super::DbError;
use super::private_copy::PrivateCopy;
use diesel::connection::{DefaultLoadingMode, SimpleConnection as _};
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Nullable, Text};

/// An open database of Sydent, in one read transaction until it is dropped or
/// let go.
pub struct Sydent {
    connection: SqliteConnection,
    tables: BTreeMap<String, Vec<String>>,
}

/// One row of something: what is read of every table fits into it. What the
/// texts and numbers mean is said where they are asked for.
#[derive(QueryableByName)]
pub struct Record {
    /// Its number.
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
    /// Its texts, in the order in which they were asked for.
    #[must_use]
    pub fn texts(&self) -> [Option<&str>; 5] {
        [&self.a, &self.b, &self.c, &self.d, &self.e].map(|text| text.as_deref())
    }

    /// Its numbers, in the order in which they were asked for.
    #[must_use]
    pub fn numbers(&self) -> [Option<i64>; 3] {
        [self.n, self.o, self.p]
    }
}

/// What to read: a table, its columns and how its rows are chosen.
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
    /// What follows the table's name.
    pub rest: &'a str,
}

/// So many rows are in memory at a time.
const PAGE: usize = 2000;

impl Sydent {
    /// Opens the file for reading.
    ///
    /// # Errors
    /// When there is no such file or it is no such database.
    pub fn open(path: &Path) -> Result<Self, DbError> {
        let unusable = |error: String| DbError::Open(format!("{}: {error}", path.display()));
        if !path.is_file() {
            return Err(unusable("there is no such file".to_owned()));
        }
        let name = path
            .to_str()
            .ok_or_else(|| unusable("its path is not UTF-8".to_owned()))?;
        let mut connection = read_only(name).map_err(|error| unusable(error.to_string()))?;
        connection
            .batch_execute("PRAGMA busy_timeout = 10000; PRAGMA query_only = ON; BEGIN")
            .map_err(|error| unusable(error.to_string()))?;
        let tables = tables(&mut connection).map_err(|error| unusable(error.to_string()))?;
        if !tables.contains_key("local_threepid_associations") {
            return Err(unusable("it is not a database of Sydent".to_owned()));
        }
        Ok(Self { connection, tables })
    }

    /// Opens a copy of the file as it is now, which only this user can read and
    /// which is unlinked as soon as it is open. The server that the file belongs to then waits
    /// for the copying at most, and not for a reader that takes its time. When
    /// there is no room for a copy, this is [`Sydent::open`].
    ///
    /// # Errors
    /// When there is no such file or it is no such database.
    pub fn open_copy(path: &Path) -> Result<Self, DbError> {
        let copied = copy(path).and_then(|copy| {
            let opened = Self::open(&copy.path()).map_err(|error| error.to_string())?;
            copy.unlink().map_err(|error| error.to_string())?;
            Ok(opened)
        });
        copied.or_else(|error| {
            // Without a warning when it cannot be read at all, which then fails.
            let original = Self::open(path)?;
            log::warn!(
                "reading {} in place; it cannot be copied to {} first: {error}",
                path.display(),
                std::env::temp_dir().display()
            );
            Ok(original)
        })
    }

    /// Ends the read transaction: from now on each answer is of its own moment,
    /// and between two of them nobody has to wait for this reader.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn let_go(&mut self) -> Result<(), DbError> {
        Ok(self.connection.batch_execute("COMMIT")?)
    }

    /// Its schema: 0 to 5 in the versions that exist.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn schema(&mut self) -> Result<i64, DbError> {
        self.number("SELECT user_version AS n FROM pragma_user_version")
    }

    /// How many rows a table has.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn count(&mut self, table: &str) -> Result<u64, DbError> {
        if !self.tables.contains_key(table) {
            return Ok(0);
        }
        let count = self.number(&format!("SELECT COUNT(*) AS n FROM {table}"))?;
        Ok(u64::try_from(count).unwrap_or(0))
    }

    /// The greatest number in a column; 0 when there is none.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn greatest(&mut self, table: &str, column: &str) -> Result<i64, DbError> {
        if !self.tables.contains_key(table) {
            return Ok(0);
        }
        self.number(&format!(
            "SELECT COALESCE(MAX(CAST({} AS INTEGER)), 0) AS n FROM {table} AS t",
            self.column(table, column)
        ))
    }

    fn number(&mut self, sql: &str) -> Result<i64, DbError> {
        #[derive(QueryableByName)]
        struct Number {
            #[diesel(sql_type = BigInt)]
            n: i64,
        }
        let found: Number = diesel::sql_query(sql).get_result(&mut self.connection)?;
        Ok(found.n)
    }

    /// Hands the rows over in pages; there are none of a table that is missing.
    ///
    /// # Errors
    /// When the file cannot be read, and what `take` returned.
    pub fn each<E: From<DbError>>(
        &mut self,
        query: &Query<'_>,
        mut take: impl FnMut(Vec<Record>) -> Result<(), E>,
    ) -> Result<(), E> {
        if !self.tables.contains_key(query.table) {
            return Ok(());
        }
        let sql = self.written(query);
        let query = |error| E::from(DbError::Query(error));
        let rows = diesel::sql_query(sql)
            .load_iter::<Record, DefaultLoadingMode>(&mut self.connection)
            .map_err(query)?;
        let mut page = Vec::new();
        for row in rows {
            page.push(row.map_err(query)?);
            if page.len() == PAGE {
                take(std::mem::take(&mut page))?;
            }
        }
        if page.is_empty() {
            return Ok(());
        }
        take(page)
    }

    fn written(&self, query: &Query<'_>) -> String {
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
            query.rest
        )
    }

    /// SQLite keeps what it was given, of whatever type the column is.
    fn cast(&self, table: &str, column: &str, kind: &str, name: &str) -> String {
        format!("CAST({} AS {kind}) AS {name}", self.column(table, column))
    }

    /// The column, or NULL where this schema has none of that name. A column of a
    /// joined table has its table's name before it, and is there.
    fn column(&self, table: &str, column: &str) -> String {
        let bare = column.strip_prefix("t.").unwrap_or(column);
        if bare.contains('.') {
            return bare.to_owned();
        }
        let columns = self.tables.get(table).into_iter().flatten();
        let mut columns = columns.filter(|known| known.eq_ignore_ascii_case(bare));
        match columns.next() {
            Some(_) => format!("t.{bare}"),
            None => "NULL".to_owned(),
        }
    }
}

fn copy(path: &Path) -> Result<PrivateCopy, String> {
    let name = path.to_str().ok_or("its path is not UTF-8")?;
    let copy = PrivateCopy::create().map_err(|error| error.to_string())?;
    let target = copy.path();
    let target = target.to_str().ok_or("the path of a copy is not UTF-8")?;
    let mut connection = read_only(name).map_err(|error| error.to_string())?;
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

fn read_only(name: &str) -> ConnectionResult<SqliteConnection> {
    let mut coded = String::from("file:");
    for c in name.chars() {
        match c {
            '%' => coded.push_str("%25"),
            '?' => coded.push_str("%3f"),
            '#' => coded.push_str("%23"),
            c => coded.push(c),
        }
    }
    coded.push_str("?mode=ro");
    SqliteConnection::establish(&coded)
}

fn tables(connection: &mut SqliteConnection) -> QueryResult<BTreeMap<String, Vec<String>>> {
    #[derive(QueryableByName)]
    struct Column {
        #[diesel(sql_type = Text)]
        belongs_to: String,
        #[diesel(sql_type = Text)]
        name: String,
    }
    let columns: Vec<Column> = diesel::sql_query(
        "SELECT m.name AS belongs_to, c.name AS name \
         FROM sqlite_master AS m JOIN pragma_table_info(m.name) AS c WHERE m.type = 'table'",
    )
    .load(connection)?;
    let mut tables: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for column in columns {
        tables
            .entry(column.belongs_to)
            .or_default()
            .push(column.name);
    }
    Ok(tables)
}
