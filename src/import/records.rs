//! Parses the columns of Sydent's association tables.

use crate::db::sydent::Record;
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
    let [ts, not_before, not_after] = row.numbers();
    let threepid = parse_threepid(medium, address)?;
    let ts = ts.unwrap_or(0);
    let association = match mxid {
        None => None,
        Some(mxid) => Some(Association {
            threepid: threepid.clone(),
            mxid: Mxid::parse(mxid).map_err(|_invalid| INVALID_MXID)?,
            ts,
            not_before: not_before.unwrap_or(ts),
            not_after: not_after.ok_or("no end of validity (notAfter)")?,
        }),
    };
    Ok(AssociationRecord {
        threepid,
        ts,
        association,
    })
}

/// The 3PID in its canonical form.
pub(super) fn parse_threepid(
    medium: Option<&str>,
    address: Option<&str>,
) -> Result<ThreePid, &'static str> {
    let (medium, address) = medium.zip(address).ok_or("no medium or no address")?;
    ThreePid::parse(medium, address).map_err(|_invalid| "invalid medium or address")
}
