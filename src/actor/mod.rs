//! The owners: one state each, one message = one whole operation.

pub mod associations;
pub mod courier;
pub mod detached;
pub mod janitor;
pub mod lookups;
pub mod mailer;
pub mod outbox;
pub mod pool;
pub mod rotation;
pub mod sessions;
pub mod signer;
