//! Migration from a Python Sydent: its configuration, its data, and a comparison
//! of the two servers.

pub mod conf;
pub mod data;
mod pepper;
mod records;
pub mod verify;
