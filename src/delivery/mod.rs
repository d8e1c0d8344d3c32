//! Outgoing messages: how mails and SMS are rendered, sent and retried.

pub mod breaker;
pub mod failure;
pub mod handover;
pub mod invitation;
pub mod mail;
pub mod masking;
pub mod onbind;
pub mod pending_replies;
mod percent;
pub mod retry;
pub mod sms;
pub mod templates;
pub mod verification;
pub mod writer;
