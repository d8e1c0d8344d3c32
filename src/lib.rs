//! A Matrix identity server: it proves that somebody owns an e-mail address,
//! binds it to a Matrix ID, signs that, and answers who asks for it.
//!
//! # The map
//!
//! Four kinds of rooms; asks go only downwards.
//!
//! ```text
//! http  (listeners, routes, handlers)        cli  (commands)
//!     \            |                          /
//!      flow  (a sequence over several owners; plain async functions)
//!        \         |
//!         actor  (owners: one state each, one message = one whole operation)
//!           \      |
//!            db · delivery · federation  (how to reach the outside)
//!              \   |
//!               domain  (pure rules)
//! ```
//!
//! - An endpoint: [`http::routes`] is the whole API on one page; the files under
//!   `http/client/` are named after the URL.
//! - A table: the file of its name in [`db`]; `migrations/` makes it.
//! - An operation: the message of its name in [`actor`], such as
//!   [`actor::sessions::BeginSession`].
//! - A rule (folding, hashing, what a session may do): [`domain`].
//! - A setting: its section's file in [`config`], and `config/default.toml`.
//! - How the parts are put together, and stopped: [`server`].
//!
//! # What always holds
//!
//! 1. `domain` imports no actix, diesel, awc or tokio, and reads no clock and
//!    no randomness.
//! 2. Only `actor/pool.rs` names `SyncArbiter`; only `actor/`, `server/` and the
//!    commands that start a System import `actix`.
//! 3. Only `db/` builds queries; one message is one transaction.
//! 4. Only `http/`, `error` and `server/` import `actix_web`; flows do not
//!    know HTTP.
//! 5. Only `delivery/` and `federation/` reach outside the machine, and no address
//!    that a stranger chose is connected to unguarded. (A command that asks a
//!    running server goes where the person who runs it says.)
//! 6. Asks go downwards.
//! 7. Every queue is bounded at the door; full is an answer (503), not a wait
//!    without end.
//! 8. An accepted change is finished or stored.
//! 9. Status codes and errcodes occur in `error` only; a 5xx body tells
//!    nothing, its one log line tells all but secrets.
//! 10. No address, token or secret in logs, errors, metrics or `Debug`.
//! 11. Time and fresh tokens are arguments.
//! 12. The configuration is parsed once, into final types, and passed down;
//!     there are no globals, and the daemon never writes it.
//! 13. A listener serves only its own routes.
//! 14. SQLite and PostgreSQL pass the same tests.

pub mod actor;
pub mod app;
pub mod cli;
pub mod clock;
pub mod config;
pub mod db;
pub mod delivery;
pub mod domain;
pub mod error;
pub mod federation;
pub mod flow;
pub mod http;
pub mod import;
pub mod limiter;
pub mod logging;
pub mod metrics;
pub mod permits;
pub mod random;
pub mod server;
pub mod terms;
