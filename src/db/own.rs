//! Associations that this server's key has signed under another name, because the
//! server was renamed: they are its own.

use diesel::prelude::*;

use super::schema::associations::dsl;
use super::{Conn, DbError, journal};
use crate::domain::ids::ServerName;
use crate::domain::public_key::PublicKey;
use crate::domain::signing::is_signed_by_any;
use crate::domain::threepid::ThreePid;

/// Makes the newest association of a 3PID that one of these keys has signed, under
/// any name, the one of `origin`, and deletes the others. Otherwise such an
/// association could be neither replaced nor removed, and would come to light when
/// a newer one ends.
pub fn adopt(
    connection: &mut Conn,
    threepid: &ThreePid,
    origin: &ServerName,
    keys: &[PublicKey],
) -> Result<(), DbError> {
    let rows: Vec<(i64, String, String)> = dsl::associations
        .filter(dsl::address.eq(threepid.address()))
        .filter(dsl::medium.eq(threepid.medium().as_str()))
        .order((dsl::ts.desc(), dsl::id.desc()))
        .select((dsl::id, dsl::origin, dsl::signed))
        .load(connection)?;
    let mut own = rows.into_iter().filter(|(_, name, signed)| {
        name == origin.as_str() || is_signed_by_any(signed, name, keys)
    });
    let Some((newest, name, _)) = own.next() else {
        return Ok(());
    };
    let older: Vec<i64> = own.map(|(id, _, _)| id).collect();
    if !older.is_empty() {
        diesel::delete(dsl::associations.filter(dsl::id.eq_any(older))).execute(connection)?;
    }
    if name != origin.as_str() {
        diesel::update(dsl::associations.find(newest))
            .set((dsl::origin.eq(origin.as_str()), dsl::number.eq(0)))
            .execute(connection)?;
        // Peers are to hear of it under this name, and an export starts from the journal.
        let restates = false;
        journal::record_change(connection, threepid, None, restates)?;
    }
    Ok(())
}
