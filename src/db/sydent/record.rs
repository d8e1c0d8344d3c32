//! The rows of a Python Sydent's tables, in which any column may have any content.

use diesel::prelude::*;
use diesel::sql_types::{BigInt, Binary, Bool, Nullable};

/// The columns of the text and number fields of [`Raw`].
pub(super) const TEXTS: [&str; 5] = ["a", "b", "c", "d", "e"];
pub(super) const NUMBERS: [&str; 4] = ["n", "o", "p", "q"];

/// A row as SQLite returns it.
#[derive(QueryableByName)]
pub(super) struct Raw {
    #[diesel(sql_type = BigInt)]
    row_number: i64,
    #[diesel(sql_type = Nullable<BigInt>)]
    id: Option<i64>,
    #[diesel(sql_type = Nullable<Binary>)]
    a: Option<Vec<u8>>,
    #[diesel(sql_type = Nullable<Binary>)]
    b: Option<Vec<u8>>,
    #[diesel(sql_type = Nullable<Binary>)]
    c: Option<Vec<u8>>,
    #[diesel(sql_type = Nullable<Binary>)]
    d: Option<Vec<u8>>,
    #[diesel(sql_type = Nullable<Binary>)]
    e: Option<Vec<u8>>,
    #[diesel(sql_type = Nullable<BigInt>)]
    n: Option<i64>,
    #[diesel(sql_type = Nullable<BigInt>)]
    o: Option<i64>,
    #[diesel(sql_type = Nullable<BigInt>)]
    p: Option<i64>,
    #[diesel(sql_type = Nullable<BigInt>)]
    q: Option<i64>,
    /// Whether a number column contains something else.
    #[diesel(sql_type = Bool)]
    has_non_number: bool,
}

/// One row of any table. The [`Query`](super::Query) says which columns the texts
/// and numbers are.
#[derive(Clone)]
pub struct Record {
    /// The row number (`rowid`), by which reports name the row.
    pub row: i64,
    /// The column [`Query::id`](super::Query::id).
    pub id: Option<i64>,
    /// Why the row cannot be read, if so. Its texts and numbers are then incomplete.
    pub problem: Option<&'static str>,
    texts: [Option<String>; 5],
    numbers: [Option<i64>; 4],
}

impl Record {
    #[cfg(test)]
    pub(super) fn numbered(row: i64) -> Self {
        Self {
            row,
            id: None,
            problem: None,
            texts: Default::default(),
            numbers: Default::default(),
        }
    }

    /// The columns [`Query::texts`](super::Query::texts), in that order.
    #[must_use]
    pub fn texts(&self) -> [Option<&str>; 5] {
        self.texts.each_ref().map(|text| text.as_deref())
    }

    /// The columns [`Query::numbers`](super::Query::numbers), in that order.
    #[must_use]
    pub fn numbers(&self) -> [Option<i64>; 4] {
        self.numbers
    }
}

impl From<Raw> for Record {
    fn from(raw: Raw) -> Self {
        let mut problem = raw
            .has_non_number
            .then_some("text in the place of a time or a number");
        let texts = [raw.a, raw.b, raw.c, raw.d, raw.e].map(|bytes| {
            let text = String::from_utf8(bytes?);
            match text {
                // PostgreSQL cannot store it, and no valid value contains it.
                Ok(text) if text.contains('\0') => problem = Some("text with a NUL character"),
                Ok(text) => return Some(text),
                Err(_invalid) => problem = Some("text that is not valid UTF-8"),
            }
            None
        });
        Self {
            row: raw.row_number,
            id: raw.id,
            problem,
            texts,
            numbers: [raw.n, raw.o, raw.p, raw.q],
        }
    }
}
