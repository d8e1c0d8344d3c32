//! Configuration: read once, checked once, passed down.
//!
//! [`Settings`] is what a TOML file and the environment said: every setting,
//! with its default where nothing was said. [`Config`] is what the server runs
//! on: the same sections in their final types, after [`Settings::into_config`]
//! found nothing wrong. All that is wrong is named at once, with the line or
//! the variable that it stands in.
//!
//! The manual is `config/default.toml`; a test keeps it and these types equal.
//! A new setting is a field in its section's file, a default, a check, and its
//! lines in the manual.

mod accounts;
mod base_url;
mod check;
mod checker;
mod database;
mod decode;
mod delivery;
mod email;
mod env;
mod federation;
mod file;
mod file_access;
mod http;
mod invites;
mod limits;
mod load;
mod log;
mod lookup;
mod manual;
mod origins;
mod peer;
mod period;
mod postgres_url;
mod problem;
mod replication;
mod secret;
mod sentence;
mod server;
mod sms;
mod smtp;
mod templates;
mod terms;
#[cfg(test)]
mod tests;
mod validation;

use serde::{Deserialize, Serialize};

pub use self::accounts::AccountSettings;
pub use self::log::{LogFormat, LogLevel, LogSettings};
pub use base_url::BaseUrl;
pub use database::{Database, DatabaseSettings, DatabaseUrl};
pub use delivery::DeliverySettings;
pub(crate) use email::mailbox;
pub use email::{
    Email, EmailSettings, MailFolderSettings, MailTransport, SendmailSettings, TransportKind,
};
pub use env::environment;
pub(crate) use env::is_setting;
pub use federation::{Federation, FederationSettings, Proxy};
pub use http::{HttpSettings, InternalSettings, OperationsSettings, V1Settings};
pub use invites::InviteSettings;
pub use limits::{LimitSettings, RateSettings};
pub use lookup::LookupSettings;
pub use manual::MANUAL;
pub use origins::Origins;
pub use peer::{Peer, PeerSettings};
pub use problem::{Problem, Problems, Source};
pub use replication::{Replication, ReplicationSettings, TlsIdentity};
pub use secret::{Secret, SecretUrl};
pub use server::{Server, ServerSettings};
pub use sms::{
    Access, BodyForm, Gateway, Method, Provider, ProviderKind, ProviderSettings, Rule, Sms,
    SmsSettings, StatusRange,
};
use smtp::authorities;
pub(crate) use smtp::is_loopback;
pub use smtp::{Credentials, Encryption, Smtp, SmtpSettings};
pub use templates::TemplateSettings;
pub use terms::TermSettings;
pub use validation::ValidationSettings;

/// What a configuration file and the environment said. `Default` is the
/// documented defaults; serialising it masks secrets.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Settings {
    /// `[server]`: who this server is.
    pub server: ServerSettings,
    /// `[database]`: where the data lives.
    pub database: DatabaseSettings,
    /// `[http]`: the public listener.
    pub http: HttpSettings,
    /// `[v1]`: the deprecated API.
    pub v1: V1Settings,
    /// `[internal]`: the internal listener.
    pub internal: InternalSettings,
    /// `[operations]`: health and metrics.
    pub operations: OperationsSettings,
    /// `[accounts]`: who may use v2.
    pub accounts: AccountSettings,
    /// `[validation]`: limits of validation sessions.
    pub validation: ValidationSettings,
    /// `[lookup]`: limits of look-ups, and their pepper.
    pub lookup: LookupSettings,
    /// `[invites]`: invitations of addresses to rooms.
    pub invites: InviteSettings,
    /// `[limits]`: how often messages are sent.
    pub limits: LimitSettings,
    /// `[templates]`: brands.
    pub templates: TemplateSettings,
    /// `[terms]`: what people agree to first.
    pub terms: TermSettings,
    /// `[email]`: sender and transport.
    pub email: EmailSettings,
    /// `[sms]`: what texts say, and by whom they leave.
    pub sms: SmsSettings,
    /// `[delivery]`: the durable queue.
    pub delivery: DeliverySettings,
    /// `[federation]`: how homeservers are reached.
    pub federation: FederationSettings,
    /// `[replication]`: the other servers of a mesh.
    pub replication: ReplicationSettings,
    /// `[log]`: level and form.
    pub log: LogSettings,
    /// Where each setting was written; not a setting itself.
    #[serde(skip)]
    pub origins: Origins,
}

/// What the server runs on: everything checked, in final types, paths resolved.
#[derive(Debug, Clone)]
pub struct Config {
    /// Who this server is.
    pub server: Server,
    /// Where the data lives.
    pub database: Database,
    /// The public listener.
    pub http: HttpSettings,
    /// The deprecated API.
    pub v1: V1Settings,
    /// The internal listener.
    pub internal: InternalSettings,
    /// Health and metrics.
    pub operations: OperationsSettings,
    /// Who may use v2.
    pub accounts: AccountSettings,
    /// Limits of validation sessions.
    pub validation: ValidationSettings,
    /// Limits of look-ups, and their pepper.
    pub lookup: LookupSettings,
    /// Invitations of addresses to rooms.
    pub invites: InviteSettings,
    /// How often messages are sent.
    pub limits: LimitSettings,
    /// Brands.
    pub templates: TemplateSettings,
    /// What people agree to first.
    pub terms: TermSettings,
    /// Sender and transport.
    pub email: Email,
    /// What texts say, and by whom they leave.
    pub sms: Sms,
    /// The durable queue.
    pub delivery: DeliverySettings,
    /// How homeservers are reached.
    pub federation: Federation,
    /// The other servers of a mesh.
    pub replication: Replication,
    /// Level and form of the log.
    pub log: LogSettings,
    /// What is allowed but should be known: to be written to the log at start.
    pub warnings: Vec<Problem>,
}
