//! What the sessions actor does for lookups: it leases parts of their limits to the
//! instances.

use super::pool::{Fault, Operation};
use super::sessions::Sessions;
use crate::db::LockKey;
use crate::db::send_limits;
pub use crate::db::send_limits::{Lease, LeaseRefused};

/// Leases parts of several limits, or of none.
#[derive(Debug)]
pub struct LeaseLookups {
    /// The wishes.
    pub leases: Vec<Lease>,
    /// Now, ms.
    pub now: i64,
}

impl Operation for LeaseLookups {
    type State = Sessions;
    /// How many addresses each may look up. What is owed is charged also if there is no
    /// lease.
    type Output = Result<Vec<u32>, LeaseRefused>;

    fn run(self, state: &mut Sessions) -> Result<Self::Output, Fault> {
        state.store.write(LockKey::Counters, |connection| {
            Ok(send_limits::lease(connection, &self.leases, self.now)?)
        })
    }
}
