//! Creates the SMS providers that `[sms]` configures.

use std::cell::RefCell;
use std::collections::BTreeMap;

use super::Provider;
use super::file::Folder;
use super::gateway::Gateway;
use super::http::{HttpClient, Network};
use super::openmarket::OpenMarket;
use super::router::Router;
use super::twilio::Twilio;
use crate::config::{self, Access, Sms};
use crate::delivery::breaker::Breakers;
use crate::delivery::mail::{FileTransport, TransportError};
use crate::outgoing::DnsError;

/// Why the providers cannot be created: a sentence for the administrator.
#[derive(Debug, thiserror::Error)]
pub enum SmsError {
    /// There are no trust anchors to verify certificates with.
    #[error(
        "no CA certificates found, so the certificates of SMS providers cannot be verified; \
         install the ca-certificates package or set a ca_file"
    )]
    NoAuthorities,
    /// The TLS library rejected its settings.
    #[error("TLS cannot be set up: {0}")]
    Tls(#[source] rustls::Error),
    /// The DNS resolver cannot be created.
    #[error(transparent)]
    Dns(#[from] DnsError),
    /// The folder for SMS cannot be created or written.
    #[error(transparent)]
    Folder(#[from] TransportError),
}

/// Providers that are ready to be created on the thread that sends. All steps that
/// can fail are done.
pub struct PreparedProviders {
    sms: Sms,
    providers: BTreeMap<String, PreparedProvider>,
}

enum PreparedProvider {
    Http(Network),
    Folder(FileTransport),
}

impl PreparedProviders {
    /// Loads the trust anchors and creates the folders; `None` if no provider is
    /// configured. It does not connect.
    ///
    /// # Errors
    /// A provider cannot be created; the sentence is for the administrator.
    pub fn new(sms: &Sms) -> Result<Option<Self>, SmsError> {
        if sms.providers.is_empty() {
            return Ok(None);
        }
        let providers = sms
            .providers
            .iter()
            .map(|(name, provider)| Ok((name.clone(), PreparedProvider::new(provider)?)))
            .collect::<Result<_, SmsError>>()?;
        Ok(Some(Self {
            sms: sms.clone(),
            providers,
        }))
    }

    /// Creates the providers, which cannot move to another thread.
    #[must_use]
    pub fn open(self, breakers: Breakers) -> Router {
        let Self {
            mut sms,
            providers: prepared,
        } = self;
        let mut providers: BTreeMap<String, Box<dyn Provider>> = BTreeMap::new();
        for (name, prepared) in prepared {
            if let Some(settings) = sms.providers.remove(&name)
                && let Some(provider) = prepared.open(settings)
            {
                providers.insert(name, provider);
            }
        }
        Router {
            providers,
            routes: sms.routes,
            originators: sms.originators,
            breakers,
            asked: RefCell::default(),
        }
    }
}

impl PreparedProvider {
    fn new(provider: &config::Provider) -> Result<Self, SmsError> {
        match provider {
            config::Provider::File { dir } => Ok(Self::Folder(FileTransport::new(dir.clone())?)),
            config::Provider::OpenMarket { access } | config::Provider::Twilio { access, .. } => {
                Self::with_network(access)
            }
            config::Provider::Gateway(gateway) => Self::with_network(&gateway.access),
        }
    }

    fn with_network(access: &Access) -> Result<Self, SmsError> {
        Network::new(access).map(Self::Http)
    }

    /// Creates the provider. Never `None`, because `settings` are those that it was
    /// prepared for.
    fn open(self, settings: config::Provider) -> Option<Box<dyn Provider>> {
        Some(match (settings, self) {
            (config::Provider::File { .. }, Self::Folder(folder)) => Box::new(Folder(folder)),
            (config::Provider::OpenMarket { access }, Self::Http(network)) => {
                Box::new(OpenMarket {
                    client: HttpClient::new(&access, network),
                    url: access.url.clone(),
                })
            }
            (
                config::Provider::Twilio {
                    access,
                    messaging_service,
                },
                Self::Http(network),
            ) => Box::new(Twilio {
                client: HttpClient::new(&access, network),
                url: messages_url(&access),
                messaging_service,
            }),
            (config::Provider::Gateway(settings), Self::Http(network)) => Box::new(Gateway {
                client: HttpClient::new(&settings.access, network),
                settings: *settings,
            }),
            _ => return None,
        })
    }
}

/// The URL of the messages of a Twilio account.
fn messages_url(access: &Access) -> String {
    let account = access.login.as_ref().map_or("", |login| &login.username);
    let url = &access.url;
    format!("{url}/2010-04-01/Accounts/{account}/Messages.json")
}
