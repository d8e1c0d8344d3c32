//! Sequences of operations on several actors. They do not know HTTP, and start
//! nothing that they cannot complete.

pub mod bind;
mod charges;
mod error;
pub mod ingest;
pub mod invite;
pub mod lookup;
pub mod register;
pub mod sms_budget;
pub mod unbind;
pub mod validate;
mod wait;

pub use error::{FlowError, HomeserverProblem, NotSent};
