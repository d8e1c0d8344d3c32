//! The public listener, a file per part of the API.

pub mod account;
pub mod email;
pub mod hashed_lookup;
pub mod invite;
pub mod lookup;
pub mod ping;
pub mod pubkey;
pub mod terms;
pub mod threepid;
pub mod versions;
