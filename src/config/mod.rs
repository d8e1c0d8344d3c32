//! Configuration: loaded once, checked once, passed down.
//!
//! [`Settings`] are the values of the TOML file and the environment, and the defaults of
//! all other settings. [`Config`] is what the server uses: the same sections in their
//! final types, after [`Settings::into_config`] has checked them. All problems are
//! reported at once, each with its line or variable.
//!
//! `config/default.toml` documents every setting; a test compares it with these types.
//! A new setting needs a field in the file of its section, a default, a check, and an
//! entry in `config/default.toml`.

mod accounts;
mod base_url;
mod budget;
mod certificates;
mod check;
mod checker;
mod database;
mod decode;
mod delivery;
mod display_name;
mod duration;
mod email;
mod encryption;
mod env;
mod federation;
mod files;
mod host;
mod http;
mod inline_secrets;
mod invites;
mod limits;
mod listen;
mod load;
mod log;
mod lookup;
pub(crate) mod network;
mod origins;
mod peer;
mod postgres_url;
mod problem;
mod reference;
mod replication;
mod retention;
mod secret;
mod sender;
mod serde_message;
mod server;
mod sms;
mod smtp;
mod sqlite_file;
mod templates;
mod terms;
#[cfg(test)]
mod tests;
mod toml_file;
pub(crate) mod toml_text;
mod url_mask;
mod v1;
mod validation;

use serde::{Deserialize, Serialize};

pub use self::accounts::AccountSettings;
pub use self::log::{LogFormat, LogLevel, LogSettings, PersonalData};
pub use base_url::BaseUrl;
pub use budget::BudgetSettings;
pub use database::{Database, DatabaseSettings, DatabaseUrl, Replica};
pub use delivery::DeliverySettings;
pub(crate) use email::mailbox;
pub use email::{
    Email, EmailSettings, MailFolderSettings, MailTransport, SendmailSettings, TransportKind,
};
pub use encryption::Encryption;
pub use env::environment;
pub(crate) use env::{CONFIG_FILE, is_setting, mistaken};
pub use federation::{Federation, FederationSettings, Proxy};
pub(crate) use host::is_loopback;
pub use http::{HttpSettings, InternalSettings, OperationsSettings};
pub use invites::InviteSettings;
pub use limits::{LimitSettings, RateSettings};
pub use listen::ipv4_instead;
pub use lookup::LookupSettings;
pub use origins::Origins;
pub use peer::{Peer, PeerSettings};
pub use postgres_url::{
    PostgresConnection, PostgresHost, PostgresTls, PostgresUrl, SslMode, TlsFiles, TlsVersions,
    TrustedAuthorities,
};
pub use problem::{Problem, Problems, Source};
pub use replication::{Replication, ReplicationSettings, SYDENT_KEY_ID, TlsIdentity};
pub use retention::RetentionSettings;
pub use secret::{Credentials, Secret, SecretUrl};
pub use server::{Server, ServerSettings};
pub use sms::{
    Access, BodyForm, Gateway, Method, Provider, ProviderKind, ProviderSettings, Rule, Sms,
    SmsSettings, StatusRange,
};
pub use smtp::{Smtp, SmtpSettings};
pub use templates::TemplateSettings;
pub use terms::TermSettings;
pub(crate) use url_mask::is_secret_option;
pub use v1::V1Settings;
pub use validation::ValidationSettings;

/// The settings of the file and the environment. `Default` gives the documented
/// defaults; serialising masks secrets.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Settings {
    /// `[server]`: name, URL and signing key.
    pub server: ServerSettings,
    /// `[database]`.
    pub database: DatabaseSettings,
    /// `[http]`: the public listener.
    pub http: HttpSettings,
    /// `[v1]`: the deprecated API.
    pub v1: V1Settings,
    /// `[internal]`: the internal listener.
    pub internal: InternalSettings,
    /// `[operations]`: health and metrics.
    pub operations: OperationsSettings,
    /// `[accounts]`: access to v2.
    pub accounts: AccountSettings,
    /// `[validation]`: limits of validation sessions.
    pub validation: ValidationSettings,
    /// `[lookup]`: limits of lookups, and their pepper.
    pub lookup: LookupSettings,
    /// `[retention]`: how long rows are kept.
    pub retention: RetentionSettings,
    /// `[invites]`: invitations to rooms by address.
    pub invites: InviteSettings,
    /// `[limits]`: rate limits.
    pub limits: LimitSettings,
    /// `[templates]`: brands.
    pub templates: TemplateSettings,
    /// `[terms]`: the policies that users must accept.
    pub terms: TermSettings,
    /// `[email]`: sender and transport.
    pub email: EmailSettings,
    /// `[sms]`: content and providers.
    pub sms: SmsSettings,
    /// `[delivery]`: the queue of outgoing messages.
    pub delivery: DeliverySettings,
    /// `[federation]`: requests to homeservers.
    pub federation: FederationSettings,
    /// `[replication]`: the peers of a mesh.
    pub replication: ReplicationSettings,
    /// `[log]`: level, format and pseudonyms.
    pub log: LogSettings,
    /// Where each setting was set; not a setting itself.
    #[serde(skip)]
    pub origins: Origins,
}

/// The checked configuration: final types, resolved paths.
#[derive(Debug, Clone)]
pub struct Config {
    /// Name, URL and signing key.
    pub server: Server,
    /// The database.
    pub database: Database,
    /// The public listener.
    pub http: HttpSettings,
    /// The deprecated API.
    pub v1: V1Settings,
    /// The internal listener.
    pub internal: InternalSettings,
    /// Health and metrics.
    pub operations: OperationsSettings,
    /// Access to v2.
    pub accounts: AccountSettings,
    /// Limits of validation sessions.
    pub validation: ValidationSettings,
    /// Limits of lookups, and their pepper.
    pub lookup: LookupSettings,
    /// How long rows are kept.
    pub retention: RetentionSettings,
    /// Invitations to rooms by address.
    pub invites: InviteSettings,
    /// Rate limits.
    pub limits: LimitSettings,
    /// Brands.
    pub templates: TemplateSettings,
    /// The policies that users must accept.
    pub terms: TermSettings,
    /// Sender and transport of email.
    pub email: Email,
    /// SMS content and providers.
    pub sms: Sms,
    /// The queue of outgoing messages.
    pub delivery: DeliverySettings,
    /// Requests to homeservers.
    pub federation: Federation,
    /// The peers of a mesh.
    pub replication: Replication,
    /// Level and format of the log.
    pub log: LogSettings,
    /// Where each setting was set, for problems that are found later.
    pub origins: Origins,
    /// Warnings, which the server logs at start.
    pub warnings: Vec<Problem>,
}

impl Config {
    /// A problem with a setting that is found after the configuration was checked, with
    /// its location. The message is the predicate of a sentence whose subject is the
    /// setting.
    pub(crate) fn problem(&self, key: &str, message: impl Into<String>) -> Problem {
        self.origins.problem(key, message)
    }
}
