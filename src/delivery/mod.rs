//! What leaves the house: how a message is written, handed over, and tried
//! again.

pub mod failure;
pub mod invitation;
pub mod mail;
pub mod onbind;
pub mod pending_replies;
pub mod retry;
pub mod sms;
pub mod templates;
pub mod verification;
pub mod writer;
