//! A Matrix identity server.

pub mod clock;
pub mod db;
pub mod domain;
