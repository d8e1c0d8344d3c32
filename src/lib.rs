//! A Matrix identity server.

pub mod cli;
pub mod clock;
pub mod config;
pub mod domain;
pub mod random;
