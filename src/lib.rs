//! A Matrix identity server.

pub mod actor;
pub mod clock;
pub mod db;
pub mod domain;
pub mod metrics;
pub mod app;
pub mod delivery;
pub mod error;
pub mod flow;
