//! What the sessions actor does for requests that make this server call a homeserver: it
//! charges their limits.

use super::pool::{Fault, Operation};
use super::sessions::Sessions;
use crate::db::LockKey;
use crate::db::send_limits;
use crate::domain::counter::{Limit, Refusal};

/// Charges a request to all these limits or, if one of them is reached, to none.
#[derive(Debug)]
pub struct ChargeRequest {
    /// The limits.
    pub limits: Vec<Limit>,
    /// Now, ms.
    pub now: i64,
}

impl Operation for ChargeRequest {
    type State = Sessions;
    type Output = Result<(), Refusal>;

    fn run(self, state: &mut Sessions) -> Result<Self::Output, Fault> {
        state.store.write(LockKey::Counters, |connection| {
            let charged = send_limits::charge_all(connection, &self.limits, self.now)?;
            Ok(charged.map(|_charges| ()))
        })
    }
}
