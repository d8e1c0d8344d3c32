//! The lookup pepper in Sydent's database.

use crate::db::DbError;
use crate::db::sydent::{Query, Sydent};
use crate::domain::lookup::Pepper;

pub(super) enum SydentPepper {
    Valid(Pepper),
    /// Not 1 to 255 ASCII letters and digits, which is all that clients can send.
    Invalid,
    Missing,
}

pub(super) fn read_pepper(source: &mut Sydent) -> Result<SydentPepper, DbError> {
    let query = Query {
        table: "hashing_metadata",
        id: "id",
        texts: &["lookup_pepper"],
        numbers: &[],
        clauses: "WHERE lookup_pepper IS NOT NULL ORDER BY id LIMIT 1",
    };
    let peppers = source.load(&query, |row| {
        let [pepper, ..] = row.texts();
        Some(Pepper::parse(pepper.unwrap_or_default()))
    })?;
    Ok(match peppers.into_iter().next() {
        Some(Ok(pepper)) => SydentPepper::Valid(pepper),
        Some(Err(_)) => SydentPepper::Invalid,
        None => SydentPepper::Missing,
    })
}
