//! The black-box tests: a file per part of the API, and a file per hard day.
//!
//! Each test starts what `main` starts, with a database of its own, and a real
//! SMTP server. `tests/run` runs them on SQLite and on PostgreSQL; without it,
//! `TEST_PYTHON` must name a Python that has aiosmtpd.

#[cfg(test)]
mod harness;

#[cfg(test)]
mod flow;
