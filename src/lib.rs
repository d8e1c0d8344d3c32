//! A Matrix identity server.

pub mod actor;
pub mod app;
pub mod cli;
pub mod clock;
pub mod config;
pub mod db;
pub mod delivery;
pub mod domain;
pub mod error;
pub mod flow;
pub mod http;
pub mod logging;
pub mod metrics;
pub mod random;
pub mod server;
