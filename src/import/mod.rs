//! An existing Sydent, and how it becomes one of this program.

pub mod conf;
pub mod data;
pub mod verify;
