//! The listeners: HTTP requests and their responses.
//!
//! A handler reads a typed request, calls a flow or an actor, and returns a typed
//! response. Each listener serves only its own routes: see [`routes`], the whole
//! API on one page.

pub mod access;
pub mod args;
mod body;
pub mod call;
mod captured_mail;
pub mod client;
mod client_ip;
mod client_share;
mod connection;
mod cors;
mod describe;
mod deserialize;
mod empty;
mod envelope;
pub mod fields;
mod internal;
mod logged_person;
mod merge_slashes;
mod next_link;
mod off_thread;
pub mod openapi;
mod operations;
mod page;
mod prefetch;
mod query;
mod replicate;
mod resource;
pub mod routes;
mod same_origin;
mod schemas;
mod send_attempt;
mod signed;
pub mod token;
mod upgrade;
mod v1_gate;

pub use client_share::share_per_client;
pub use connection::{Connection, InWork, Phase};
pub use cors::allow_all_origins;
pub use envelope::{catch_panic, envelope};
pub use merge_slashes::merge_slashes;
pub use replicate::PeerName;
pub use same_origin::same_origin_only;
pub use upgrade::without_upgrade;
