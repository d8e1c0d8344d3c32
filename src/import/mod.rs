//! Migration from a Python Sydent: its configuration, its data, a comparison of the
//! two servers, and the way back.

pub(crate) mod conf;
pub(crate) mod data;
pub(crate) mod export;
mod pepper;
mod records;
mod signed_form;
pub(crate) mod verify;
