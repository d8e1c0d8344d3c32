//! Domain rules: no actix, diesel, awc or tokio, no clock and no randomness.
//!
//! Each type has one constructor that validates (`parse`, `TryFrom`), and each
//! function depends on its arguments only, so every rule is unit-tested beside
//! its code.

/// Implements `TryFrom<String>` with the `parse` of a type, for
/// `#[serde(try_from = "String")]`. The sentence of [`Invalid`] becomes the error of
/// serde.
macro_rules! parse_from_string {
    ($($name:ident),*) => {$(
        impl TryFrom<String> for $name {
            type Error = $crate::domain::Invalid;

            fn try_from(text: String) -> Result<Self, Self::Error> {
                Self::parse(&text)
            }
        }
    )*};
}

pub mod account_scope;
pub mod arrival;
pub mod association;
pub mod base64;
pub mod blocklist;
pub mod calling_code;
pub mod canonical_json;
pub mod change;
pub mod counter;
pub mod database_key;
pub mod email;
pub mod freshness;
pub mod homeservers;
pub mod ids;
pub mod invite;
pub mod invite_key;
pub mod key_file;
pub mod lookup;
pub mod merge;
pub mod message;
pub mod msisdn;
pub mod next_link;
pub mod onbind;
pub mod originator;
pub mod own_names;
pub mod person;
pub mod person_access;
pub mod person_address;
pub mod person_content;
pub mod person_search;
pub mod phone;
pub mod placeholders;
pub mod public_key;
pub mod rate;
pub mod redact;
pub mod registrant;
pub mod replication;
pub mod request_auth;
pub mod secret;
pub mod session;
pub mod session_secrets;
pub mod shown_text;
pub mod signing;
pub mod stored_link;
pub mod subject_key;
pub mod terms;
pub mod threepid;
pub mod time;
pub mod typed_code;
pub mod x_matrix;

/// Why a value is invalid: a sentence for the client that sent it.
///
/// The sentence never contains the value, which may be a secret or a personal
/// address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Invalid(pub &'static str);
