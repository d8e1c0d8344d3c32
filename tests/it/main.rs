//! Black-box tests: a file for each part of the API, and a file for each failure
//! scenario.
//!
//! Each test starts what `main` starts, with its own database. The SMTP server, the
//! homeservers, name servers and SMS providers are part of the harness, so that
//! `cargo test` needs nothing but Rust and a C compiler. It uses SQLite, or the
//! PostgreSQL server in `TEST_DATABASE_URL`; `tests/run` runs both.

#[cfg(test)]
mod harness;

#[cfg(test)]
mod account_admin;
#[cfg(test)]
mod accounts;
#[cfg(test)]
mod architecture;
#[cfg(test)]
mod bind;
#[cfg(test)]
mod bind_limits;
#[cfg(test)]
mod brands;
#[cfg(test)]
mod captured_mail;
#[cfg(test)]
mod command_line;
#[cfg(test)]
mod commits;
#[cfg(test)]
mod config_command;
#[cfg(test)]
mod conformance_map;
#[cfg(test)]
mod connections;
#[cfg(test)]
mod cors;
#[cfg(test)]
mod crash;
#[cfg(test)]
mod database_command;
#[cfg(test)]
mod debug_texts;
#[cfg(test)]
mod demo;
#[cfg(test)]
mod drain;
#[cfg(test)]
mod drops;
#[cfg(test)]
mod email;
#[cfg(test)]
mod expand_contract;
#[cfg(test)]
mod fair_limits;
#[cfg(test)]
mod federation;
#[cfg(test)]
mod flow;
#[cfg(test)]
mod front;
#[cfg(test)]
mod fuzz;
#[cfg(test)]
mod general;
#[cfg(test)]
mod get_validated;
#[cfg(test)]
mod hangup;
#[cfg(test)]
mod harvesting;
#[cfg(test)]
mod hashed_lookup;
#[cfg(test)]
mod import_conf;
#[cfg(test)]
mod import_sydent;
#[cfg(test)]
mod instances;
#[cfg(test)]
mod internal;
#[cfg(test)]
mod key_rotation;
#[cfg(test)]
mod log_hygiene;
#[cfg(test)]
mod lookup_v1;
#[cfg(test)]
mod mail_content;
#[cfg(test)]
mod mesh;
#[cfg(test)]
mod mesh_push;
#[cfg(test)]
mod mesh_receive;
#[cfg(test)]
mod migrations;
#[cfg(test)]
mod msisdn;
#[cfg(test)]
mod next_step;
#[cfg(test)]
mod onbind;
#[cfg(test)]
mod openapi;
#[cfg(test)]
mod operations;
#[cfg(test)]
mod outage;
#[cfg(test)]
mod overload;
#[cfg(test)]
mod pauses;
#[cfg(test)]
mod pepper;
#[cfg(test)]
mod person;
#[cfg(test)]
mod ping_versions;
#[cfg(test)]
mod promised_messages;
#[cfg(test)]
mod pubkey;
#[cfg(test)]
mod races;
#[cfg(test)]
mod readme;
#[cfg(test)]
mod register;
#[cfg(test)]
mod relay;
mod relay_names;
#[cfg(test)]
mod relay_protection;
#[cfg(test)]
mod relay_stalls;
mod relay_troubles;
#[cfg(test)]
mod replica;
#[cfg(test)]
mod rolling;
#[cfg(test)]
mod same_origin;
#[cfg(test)]
mod send_attempts;
#[cfg(test)]
mod send_limits;
#[cfg(test)]
mod session_ends;
#[cfg(test)]
mod session_secrets;
#[cfg(test)]
mod sessions;
#[cfg(test)]
mod shared_limits;
#[cfg(test)]
mod shared_waits;
#[cfg(test)]
mod shutdown;
#[cfg(test)]
mod sign_ed25519;
#[cfg(test)]
mod sms_delivery;
#[cfg(test)]
mod sms_limits;
#[cfg(test)]
mod sms_providers;
#[cfg(test)]
mod smtp_server;
#[cfg(test)]
mod start;
#[cfg(test)]
mod store_invite;
#[cfg(test)]
mod submit_page;
#[cfg(test)]
mod templates_command;
#[cfg(test)]
mod terms;
#[cfg(test)]
mod transports;
#[cfg(test)]
mod unbind;
#[cfg(test)]
mod upgrade;
#[cfg(test)]
mod v1_switches;
#[cfg(test)]
mod v2;
#[cfg(test)]
mod worker_loops;
