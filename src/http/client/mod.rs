//! The public listener, a file per part of the API.

pub mod email;
pub mod lookup;
pub mod msisdn;
pub mod ping;
pub mod pubkey;
mod submit;
pub mod threepid;
pub mod versions;
