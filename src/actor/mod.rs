//! The actors: each owns one state; a message is one whole operation.

pub mod accounts;
pub mod associations;
pub mod delivery_queue;
pub mod detached;
pub mod federation;
pub mod ingest;
pub mod invites;
pub mod janitor;
pub mod lookup_leases;
pub mod lookups;
pub mod mail_delivery;
pub mod message_worker;
pub mod onbind;
pub mod onbind_worker;
pub mod outbox;
pub mod peers;
pub mod pool;
pub mod replicator;
pub mod rotation;
pub mod sessions;
pub mod sign_again;
pub mod signer;
pub mod sms_delivery;
pub mod worker_loop;
