//! Migration from a Python Sydent: its configuration, its data, and a comparison
//! of the two servers.

pub(crate) mod conf;
pub(crate) mod data;
mod pepper;
mod records;
mod signed_form;
pub(crate) mod verify;
