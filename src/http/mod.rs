//! The listeners: what comes in over HTTP, and what goes back.
//!
//! A handler extracts, parses, asks and answers. Each listener serves only its
//! own routes: see [`routes`], the whole API on one page.

pub mod args;
mod body;
pub mod call;
mod captured_mail;
pub mod client;
mod client_ip;
mod cors;
mod envelope;
mod internal;
mod next_link;
mod operations;
mod page;
mod query;
mod replicate;
pub mod routes;
mod same_origin;
mod send_attempt;
pub mod token;

pub use cors::open_to_every_page;
pub use envelope::{envelope, survive};
pub use replicate::PeerName;
pub use same_origin::only_own_pages;
