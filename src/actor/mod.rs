//! The owners: one state each, one message = one whole operation.

pub mod accounts;
pub mod associations;
pub mod courier;
pub mod detached;
pub mod dispatcher;
pub mod federation;
pub mod ingest;
pub mod invites;
pub mod janitor;
pub mod lookups;
pub mod mail_carrier;
pub mod notices;
pub mod notifier;
pub mod outbox;
pub mod peers;
pub mod pool;
pub mod pusher;
pub mod replicator;
pub mod rotation;
pub mod sessions;
pub mod signer;
pub mod text_carrier;
