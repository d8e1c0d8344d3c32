//! Parses the columns of Sydent's association tables.

use crate::db::sydent::{MAX_ID, Record};
use crate::domain::association::Association;
use crate::domain::ids::Mxid;
use crate::domain::threepid::ThreePid;

pub(super) const INVALID_MXID: &str = "bound to an invalid Matrix ID";

/// The last change of a 3PID: the association, or `None` if it was removed.
pub(super) struct AssociationRecord {
    pub(super) threepid: ThreePid,
    /// When the 3PID was bound or removed, ms.
    pub(super) ts: i64,
    pub(super) association: Option<Association>,
}

/// Parses a row whose texts begin with medium, address and mxid, and whose numbers
/// are ts, notBefore and notAfter. The error says why it cannot be imported.
pub(super) fn parse_association(row: &Record) -> Result<AssociationRecord, &'static str> {
    let [medium, address, mxid, ..] = row.texts();
    let [ts, not_before, not_after, _] = row.numbers();
    if let Some(problem) = row.problem {
        return Err(problem);
    }
    let threepid = parse_threepid(medium, address)?;
    let Some(mxid) = mxid else {
        return Ok(AssociationRecord {
            threepid,
            // A removal counts, whatever time it has.
            ts: ts.unwrap_or(0).clamp(0, MAX_ID),
            association: None,
        });
    };
    let ts = parse_time(ts.ok_or("no time (ts)")?)?;
    let association = Association {
        threepid: threepid.clone(),
        mxid: Mxid::parse(mxid).map_err(|_invalid| INVALID_MXID)?,
        ts,
        not_before: parse_time(not_before.unwrap_or(ts))?,
        not_after: parse_time(not_after.ok_or("no end of validity (notAfter)")?)?,
    };
    Ok(AssociationRecord {
        threepid,
        ts,
        association: Some(association),
    })
}

/// A time that JSON can represent; others cannot be signed.
fn parse_time(time: i64) -> Result<i64, &'static str> {
    let is_valid = (0..=MAX_ID).contains(&time);
    is_valid
        .then_some(time)
        .ok_or("a time that is negative or 2^53 or more")
}

/// The 3PID in its canonical form.
pub(super) fn parse_threepid(
    medium: Option<&str>,
    address: Option<&str>,
) -> Result<ThreePid, &'static str> {
    let (medium, address) = medium.zip(address).ok_or("no medium or no address")?;
    ThreePid::parse(medium, address).map_err(|_invalid| "invalid medium or address")
}
