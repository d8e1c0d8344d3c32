//! Whether a new server answers as the Sydent did that it came from: what is to
//! be asked, and how two answers compare. Who asks is `cli::import_verify`.

mod changes;
mod old;
mod report;
mod rules;

pub use changes::Expected;
pub use old::{OldDatabase, OwnKey, Row, Subject};
pub use report::{Comparison, Topic, TopicReport};
pub use rules::{
    Answer, Correction, Verdict, hash_details, key_by_id, named, off, same, signed, users_in_bulk,
    users_in_mappings,
};
