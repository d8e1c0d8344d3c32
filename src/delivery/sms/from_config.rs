//! From the settings of `[sms]` to ways out.

use std::collections::BTreeMap;
use std::sync::Arc;

use rustls::ClientConfig;

use super::Provider;
use super::file::Folder;
use super::gateway::Gateway;
use super::http::{self, HttpClient};
use super::openmarket::OpenMarket;
use super::router::Router;
use super::twilio::Twilio;
use crate::config::{self, Access, Sms};
use crate::delivery::mail::{FileTransport, TransportError};

/// Why texts cannot be sent: a sentence for the administrator.
#[derive(Debug, thiserror::Error)]
pub enum SmsError {
    /// Nothing to verify a certificate with.
    #[error(
        "this system has no certificate authorities, so no certificate of an SMS provider can be \
         verified; install them (ca-certificates) or set a ca_file"
    )]
    NoAuthorities,
    /// The TLS library refused its settings.
    #[error("TLS cannot be set up: {0}")]
    Tls(#[source] rustls::Error),
    /// The folder for texts cannot be made or written.
    #[error(transparent)]
    Folder(#[from] TransportError),
}

/// What can go wrong at the start is done: what is left must stay on the thread
/// that sends.
pub struct PreparedProviders {
    sms: Sms,
    ways: BTreeMap<String, PreparedProvider>,
}

enum PreparedProvider {
    Http(Arc<ClientConfig>),
    Folder(FileTransport),
}

impl PreparedProviders {
    /// Reads the certificate authorities and makes the folders; `None` where the
    /// settings name no provider. It connects nowhere.
    ///
    /// # Errors
    /// A sentence for the administrator.
    pub fn new(sms: &Sms) -> Result<Option<Self>, SmsError> {
        if sms.providers.is_empty() {
            return Ok(None);
        }
        let mut ways = BTreeMap::new();
        for (name, provider) in &sms.providers {
            let way = match provider {
                config::Provider::File { dir } => {
                    PreparedProvider::Folder(FileTransport::new(dir.clone())?)
                }
                config::Provider::OpenMarket { access }
                | config::Provider::Twilio { access, .. } => PreparedProvider::over(access)?,
                config::Provider::Gateway(gateway) => PreparedProvider::over(&gateway.access)?,
            };
            ways.insert(name.clone(), way);
        }
        Ok(Some(Self {
            sms: sms.clone(),
            ways,
        }))
    }

    /// The way out, which cannot leave this thread any more.
    #[must_use]
    pub fn open(self) -> Router {
        let Self { mut sms, ways } = self;
        let mut providers: BTreeMap<String, Box<dyn Provider>> = BTreeMap::new();
        for (name, way) in ways {
            if let Some(settings) = sms.providers.remove(&name)
                && let Some(provider) = way.open(settings)
            {
                providers.insert(name, provider);
            }
        }
        Router {
            providers,
            routes: sms.routes,
            originators: sms.originators,
        }
    }
}

impl PreparedProvider {
    fn over(access: &Access) -> Result<Self, SmsError> {
        http::tls(&access.extra_authorities).map(Self::Http)
    }

    /// `None` never happens: a way is made for its settings.
    fn open(self, settings: config::Provider) -> Option<Box<dyn Provider>> {
        Some(match (settings, self) {
            (config::Provider::File { .. }, Self::Folder(folder)) => Box::new(Folder(folder)),
            (config::Provider::OpenMarket { access }, Self::Http(tls)) => Box::new(OpenMarket {
                client: HttpClient::new(&access, tls),
                url: access.url.clone(),
            }),
            (
                config::Provider::Twilio {
                    access,
                    messaging_service,
                },
                Self::Http(tls),
            ) => Box::new(Twilio {
                client: HttpClient::new(&access, tls),
                url: messages_of(&access),
                messaging_service,
            }),
            (config::Provider::Gateway(settings), Self::Http(tls)) => Box::new(Gateway {
                client: HttpClient::new(&settings.access, tls),
                settings: *settings,
            }),
            _ => return None,
        })
    }
}

/// Twilio's address of the messages of an account.
fn messages_of(access: &Access) -> String {
    let account = access.login.as_ref().map_or("", |login| &login.username);
    let url = &access.url;
    format!("{url}/2010-04-01/Accounts/{account}/Messages.json")
}
