//! Everything that a server needs from outside its configuration: opened before its
//! start and by `sydent config check`, with the same result, and without changing
//! anything.

use std::sync::Arc;

use rustls::ServerConfig;

use super::{ServerError, client_certificates, delivery, replication};
use crate::config::{Config, Problem, Problems, TemplateSettings};
use crate::db::{Database, DbError, Owner};
use crate::delivery::templates::{TemplateError, Templates};
use crate::domain::signing::KeyRing;
use crate::federation::{self, PeerClient};
use crate::metrics::Metrics;

/// What the actors and the listeners are made of.
pub(super) struct Resources {
    pub(super) templates: Templates,
    pub(super) keys: Arc<KeyRing>,
    pub(super) homeservers: federation::Client,
    /// The peers to push to.
    pub(super) peers: Vec<(String, PeerClient)>,
    /// TLS of the replication listener.
    pub(super) replication_tls: Option<ServerConfig>,
    /// Counted from the start on.
    pub(super) metrics: Arc<Metrics>,
    pub(super) database: Database,
    /// What the administrator should know.
    pub(super) warnings: Vec<Problem>,
}

/// Checks everything that a start with this configuration needs, except that its ports
/// are free. Returns warnings. A `PostgreSQL` server that cannot be reached causes one.
///
/// # Errors
/// Every problem with which the server would not start.
pub fn check(config: &Config) -> Result<Vec<Problem>, Problems> {
    match open(config) {
        Ok(resources) => Ok(resources.warnings),
        Err(OpenError::Problems(problems)) => Err(problems),
        Err(OpenError::Database(error)) => {
            let message = format!("could not be checked, because it did not answer: {error}");
            Ok(vec![config.problem(config.database.key, message)])
        }
    }
}

/// Why a server cannot start.
pub(super) enum OpenError {
    Problems(Problems),
    /// The database did not answer; apart from that there were no problems.
    Database(DbError),
}

impl From<OpenError> for ServerError {
    fn from(error: OpenError) -> Self {
        match error {
            OpenError::Problems(problems) => Self::Configuration(problems),
            OpenError::Database(error) => Self::Database(error),
        }
    }
}

/// A warning if this server alone needs more connections than `PostgreSQL` accepts of all.
fn too_few_connections(config: &Config, database: &Database) -> Option<String> {
    // If it does not answer now, the start finds out.
    let accepted = database.max_connections().ok()??;
    let needed = config.database.postgres_connections();
    (i64::try_from(needed).unwrap_or(i64::MAX) > accepted).then(|| {
        format!(
            "the server keeps up to {needed} connections to PostgreSQL, which accepts {accepted} of \
             all its clients: lower database.writers or database.readers, or raise max_connections"
        )
    })
}

pub(super) fn open(config: &Config) -> Result<Resources, OpenError> {
    let mut opener = Opener {
        config,
        problems: Vec::new(),
    };
    let metrics: Arc<Metrics> = Arc::default();
    let templates = opener.templates();
    opener.accept("email", delivery::check_mail(config));
    opener.accept("sms", delivery::check_sms(config));
    let homeservers = opener.accept(
        "federation",
        federation::Client::open(&config.federation).map_err(ServerError::from),
    );
    let peers = opener.accept("replication.peers", replication::open_peers(config));
    let replication_tls = opener.accept(
        "replication",
        client_certificates::tls(&config.replication, &metrics),
    );
    let keys = opener.accept("server.signing_key_file", read_keys(config));
    let database = Database::new(config.database.url.clone(), config.database.busy_timeout);
    let mut warnings = Vec::new();
    let (mut unreachable, mut replica_warning) = (None, None);
    if let Some(keys) = &keys {
        let name = &config.server.name;
        match database.check(Owner { name, keys }) {
            Ok(found) => {
                warnings = found;
                warnings.extend(too_few_connections(config, &database));
                replica_warning = opener.replica(&database);
            }
            Err(DbError::Refused(reason)) => {
                opener.refuse(config.database.key, format!("cannot use {reason}"));
            }
            Err(error) => unreachable = Some(error),
        }
    }
    let warning = |text| config.problem(config.database.key, text);
    match (templates, keys, homeservers, peers, replication_tls) {
        (Some(templates), Some(keys), Some(homeservers), Some(peers), Some(replication_tls))
            if opener.problems.is_empty() =>
        {
            if let Some(error) = unreachable {
                return Err(OpenError::Database(error));
            }
            Ok(Resources {
                templates,
                keys: Arc::new(keys),
                homeservers,
                peers,
                replication_tls,
                metrics,
                database,
                warnings: warnings
                    .into_iter()
                    .map(warning)
                    .chain(replica_warning)
                    .collect(),
            })
        }
        _ => Err(OpenError::Problems(Problems::new(opener.problems))),
    }
}

/// The signing keys of a configuration.
pub(super) fn read_keys(config: &Config) -> Result<KeyRing, ServerError> {
    let file = &config.server.signing_key_file;
    let text = std::fs::read_to_string(file)
        .map_err(|error| ServerError::File(file.display().to_string(), error))?;
    Ok(KeyRing::parse(&text)?)
}

/// Opens one thing after the other, and collects what fails.
struct Opener<'a> {
    config: &'a Config,
    problems: Vec<Problem>,
}

impl Opener<'_> {
    fn refuse(&mut self, key: &str, message: impl Into<String>) {
        self.problems.push(self.config.problem(key, message));
    }

    fn accept<T>(&mut self, key: &str, opened: Result<T, ServerError>) -> Option<T> {
        opened
            .map_err(|error| self.refuse(key, error.to_string()))
            .ok()
    }

    /// Refuses a standby of another database. Without any, lookups work as well: one that does
    /// not answer, or was promoted, is a reason for a warning.
    fn replica(&mut self, database: &Database) -> Option<Problem> {
        let replica = self.config.database.replica.as_ref()?;
        let standby = super::replica::standby(self.config, replica);
        match standby.check_standby_of(database) {
            Ok(None) => None,
            Ok(Some(warning)) => Some(self.config.problem(replica.key, warning)),
            Err(refused) => {
                self.refuse(replica.key, refused);
                None
            }
        }
    }

    fn templates(&mut self) -> Option<Templates> {
        let invites = &self.config.invites;
        let loaded = Templates::load(&self.config.templates).and_then(|templates| {
            templates.with_subjects(&invites.subject_room, &invites.subject_space)
        });
        loaded
            .map_err(|error| {
                let key = template_setting(&self.config.templates, &error);
                let sentence = error.to_string();
                self.refuse(&key, sentence.trim_end_matches('.'));
            })
            .ok()
    }
}

/// The setting that names a broken template.
fn template_setting(settings: &TemplateSettings, error: &TemplateError) -> String {
    if let Some(key) = error.setting() {
        return key.to_owned();
    }
    let shown = error.to_string();
    let single = [
        ("templates.verification_mail", &settings.verification_mail),
        ("templates.invitation_mail", &settings.invitation_mail),
        ("templates.verify_response", &settings.verify_response),
    ];
    let names = |file: &Option<_>| {
        let file: Option<&std::path::PathBuf> = file.as_ref();
        file.is_some_and(|file| shown.contains(&*file.to_string_lossy()))
    };
    let single = single.into_iter().find(|(_, file)| names(file));
    single
        .map_or("templates.brands_dir", |(key, _)| key)
        .to_owned()
}
