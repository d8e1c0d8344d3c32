//! Operations that concern several owners. They know no HTTP and begin only
//! what they can finish.

pub mod bind;
pub mod ingest;
pub mod invite;
pub mod lookup;
pub mod register;
mod send_limits;
pub mod unbind;
pub mod validate;
pub mod wait;
