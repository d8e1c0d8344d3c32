//! Compares a new server with the Sydent that it was imported from: which requests
//! to send, and how to compare the responses. `sydent import verify` sends them.

mod changes;
mod old;
mod report;
mod rules;

pub(crate) use changes::Expected;
pub(crate) use old::{OldDatabase, Row, Subject};
pub(crate) use report::{Comparison, Topic};
pub(crate) use rules::{
    Answer, Verdict, compare_exactly, compare_hash_details, compare_key, compare_rejections,
    compare_signed, compare_users, users_in_bulk, users_in_mappings,
};
