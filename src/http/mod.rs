//! The listeners: what comes in over HTTP, and what goes back.
//!
//! A handler extracts, parses, asks and answers. Each listener serves only its
//! own routes: see [`routes`], the whole API on one page.

pub mod args;
mod body;
pub mod client;
mod client_ip;
mod envelope;
mod internal;
mod operations;
mod page;
mod query;
pub mod routes;
mod send_attempt;

pub use envelope::envelope;
