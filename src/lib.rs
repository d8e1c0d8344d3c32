//! A Matrix identity server.

pub mod clock;
pub mod delivery;
pub mod domain;
