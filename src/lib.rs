//! A Matrix identity server.

pub mod clock;
pub mod domain;
