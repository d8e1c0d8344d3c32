//! Two actors that find out how far the database and its standby are in the log, each on a
//! connection of its own.

use super::pool::{Fault, Kind, Operation, State};
use crate::db::{Store, log_position};
use crate::domain::freshness::{FromPrimary, FromStandby};

/// The connection to the database.
pub struct PrimaryPosition {
    /// The connection.
    pub store: Store,
}

impl State for PrimaryPosition {
    const NAME: &'static str = "position of the primary";
}

/// The connection to its standby.
pub struct StandbyPosition {
    /// The connection.
    pub store: Store,
}

impl State for StandbyPosition {
    const NAME: &'static str = "position of the standby";
}

/// Finds out where the database is.
#[derive(Debug)]
pub struct LocatePrimary;

impl Operation for LocatePrimary {
    type State = PrimaryPosition;
    type Output = FromPrimary;
    const KIND: Kind = Kind::Read;

    fn run(self, state: &mut PrimaryPosition) -> Result<FromPrimary, Fault> {
        Ok(log_position::of_primary(&mut state.store.read())?)
    }
}

/// Finds out where the standby is.
#[derive(Debug)]
pub struct LocateStandby;

impl Operation for LocateStandby {
    type State = StandbyPosition;
    type Output = FromStandby;
    const KIND: Kind = Kind::Read;

    fn run(self, state: &mut StandbyPosition) -> Result<FromStandby, Fault> {
        Ok(log_position::of_standby(&mut state.store.read())?)
    }
}
