//! The public listener, a file per part of the API.

pub mod account;
pub mod email;
pub mod hashed_lookup;
pub mod invite;
pub mod lookup;
pub mod msisdn;
pub mod ping;
pub mod pubkey;
mod submit;
pub mod terms;
pub mod threepid;
pub mod unbind;
pub mod versions;
