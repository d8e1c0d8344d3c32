//! A Matrix identity server: it proves that a user owns an email address or a
//! phone number, binds it to a Matrix ID, signs that, and answers lookups.
//!
//! `docs/architecture.md` is the long form of this page: the layers with a
//! picture, three requests followed through the files, and where to find things.
//! `docs/adr/` has the decisions behind it.
//!
//! # The layers
//!
//! Calls go downwards only.
//!
//! ```text
//! http  (listeners, routes, handlers)        cli  (commands)
//!     \            |                          /
//!      flow  (a sequence of operations on several actors; plain async functions)
//!        \         |
//!         actor  (each owns one state; one message = one whole operation)
//!           \      |
//!            db · delivery · federation  (the database and the network)
//!              \   |     \       /
//!               \  |      outgoing  (the HTTP client)
//!                domain  (pure rules)
//! ```
//!
//! - An endpoint: [`http::routes`] is the whole API on one page; the files under
//!   `http/client/` are named after the URL.
//! - A table: the file of its name in [`db`]; `migrations/` creates it.
//! - An operation: the message of its name in [`actor`], such as
//!   [`actor::sessions::BeginSession`].
//! - A rule (folding, hashing, the states of a session): [`domain`].
//! - A setting: its section's file in [`config`], and `config/default.toml`.
//! - Start and shutdown: [`server`].
//!
//! # Invariants
//!
//! `tests/it/architecture.rs` checks them.
//!
//! 1. `domain` imports no actix, diesel, awc or tokio, and reads no clock and
//!    no randomness.
//! 2. Only `actor/pool.rs` names `SyncArbiter`; only `actor/`, `server/` and the
//!    commands that start a System import `actix`.
//! 3. Only `db/` builds queries; one message is one transaction (on SQLite a savepoint
//!    of one).
//! 4. Only `http/`, `error` and `server/` import `actix_web`; flows do not
//!    know HTTP.
//! 5. Only `outgoing/` (HTTP), `delivery/` (mail) and `db/libpq/` (PostgreSQL) open
//!    connections to other machines, and `federation/` has every address that a client
//!    chose checked by the address guard. (A command that calls a running server goes
//!    where its user says.)
//! 6. Calls go downwards.
//! 7. Every queue is bounded where messages enter it; full is an answer (503),
//!    not a wait without end.
//! 8. An accepted change is completed or stored.
//! 9. Status codes and errcodes occur in `error` only; a 5xx body has no details,
//!    its one log line has all but secrets.
//! 10. No address, token or secret in logs, errors, metrics or `Debug`.
//! 11. Time and fresh tokens are arguments.
//! 12. The configuration is parsed once, into final types, and passed down;
//!     there are no globals, and the daemon never writes it.
//! 13. A listener serves only its own routes.
//! 14. SQLite and PostgreSQL pass the same tests.

// Not for the tests, whose crates export nothing.
#![warn(unreachable_pub)]

pub mod actor;
pub mod app;
pub mod cli;
pub mod clock;
pub mod config;
pub mod db;
pub mod delivery;
pub mod domain;
pub mod error;
pub(crate) mod federation;
pub mod flow;
pub mod http;
pub(crate) mod import;
pub(crate) mod limiter;
#[cfg(test)]
mod linear_tests;
pub(crate) mod logging;
pub(crate) mod metrics;
pub(crate) mod outgoing;
pub(crate) mod permits;
pub(crate) mod priority;
pub(crate) mod pseudonyms;
pub(crate) mod random;
pub mod server;
pub(crate) mod terms;
