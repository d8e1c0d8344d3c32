//! The three questions, with what is remembered between them.

use std::cell::RefCell;
use std::time::Duration;

use awc::http::Method;
use tokio::time::timeout;

use super::cache::Cache;
use super::connect::Network;
use super::dns::Dns;
use super::exchange::{Answer, Request, exchange};
use super::guard::Guard;
use super::keys::{self, KeyError, Known, KnownKeys, ServerKeys};
use super::onbind::{self, OnbindFailure};
use super::route::{Route, may_delegate, route};
use super::user_info::{self, UserInfoError};
use super::well_known::{self, WellKnownOutcome};
use super::{CallError, DnsError, tls};
use crate::config::Federation;
use crate::domain::ids::{KeyId, Mxid, ServerName};

/// Server names whose delegation is remembered.
const MOST_NAMES: usize = 10_000;

/// Asks homeservers. It is used by one thread; times are milliseconds since the
/// epoch.
pub struct Client {
    network: Network,
    /// How long a call may take as a whole.
    limit: Duration,
    delegations: RefCell<Cache<String, Option<ServerName>>>,
    keys: RefCell<KnownKeys>,
}

/// Why no client can be made.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// DNS cannot be used.
    #[error(transparent)]
    Dns(#[from] DnsError),
    /// TLS cannot be used.
    #[error("TLS cannot be used: {0}")]
    Tls(#[from] rustls::Error),
    /// A peer's URL leads nowhere.
    #[error("the URL of a peer names no host")]
    Url,
}

/// What is asked of a server; the rest of the request follows from it.
struct Question<'a> {
    method: Method,
    path: &'a str,
    body: Option<String>,
    limit: usize,
}

impl Client {
    /// Makes a client of those settings.
    ///
    /// # Errors
    /// When DNS or TLS cannot be used.
    pub fn open(settings: &Federation) -> Result<Self, OpenError> {
        let network = Network {
            dns: Dns::open(&settings.dns_servers)?,
            guard: Guard::new(&settings.allow_ranges, &settings.block_ranges),
            tls: tls::connector(settings)?,
            proxy: settings.proxy.clone(),
            hosts: settings.hosts.clone(),
            homeservers: settings.homeservers.clone(),
            // Time for another target, or for going on without .well-known.
            patience: settings.timeout / 4,
        };
        Ok(Self {
            network,
            limit: settings.timeout,
            delegations: RefCell::new(Cache::new(MOST_NAMES)),
            keys: RefCell::new(KnownKeys::new()),
        })
    }

    /// Who holds an `OpenID` token of that homeserver (ACC-04 … ACC-06).
    ///
    /// # Errors
    /// When the homeserver does not say so.
    pub async fn user_info(
        &self,
        server: &ServerName,
        access_token: &str,
        now: i64,
    ) -> Result<Mxid, UserInfoError> {
        if !self.network.homeservers.may_register(server) {
            return Err(CallError::NotAllowed.into());
        }
        let path = user_info::path(access_token);
        let question = Question {
            method: Method::GET,
            path: &path,
            body: None,
            limit: user_info::LIMIT,
        };
        let answer = self.ask(server, question, now).await?;
        user_info::read(server, &answer)
    }

    /// The key of that id with which the homeserver signs now; `None` if it has
    /// none (NET-17 … NET-20).
    ///
    /// # Errors
    /// When its keys cannot be had, or not be believed.
    pub async fn server_key(
        &self,
        server: &ServerName,
        id: &KeyId,
        now: i64,
    ) -> Result<Option<[u8; 32]>, KeyError> {
        let known = self.keys.borrow().find(server, id, now);
        match known {
            Known::Answer(key) => return Ok(key),
            Known::Failure(error) => return Err(error),
            Known::Operation => {}
        }
        let asked = self.ask_for_keys(server, now).await;
        let mut known = self.keys.borrow_mut();
        match asked {
            Ok(found) => {
                let key = found.key(id);
                known.remember(server, found, now);
                Ok(key)
            }
            Err(error) => {
                known.remember_failure(server, error.clone(), now);
                Err(error)
            }
        }
    }

    async fn ask_for_keys(&self, server: &ServerName, now: i64) -> Result<ServerKeys, KeyError> {
        let question = Question {
            method: Method::GET,
            path: keys::PATH,
            body: None,
            limit: keys::LIMIT,
        };
        let answer = self.ask(server, question, now).await?;
        keys::read(server, &answer, now)
    }

    /// Tells a homeserver of a binding of one of its users; `body` is JSON
    /// (ONB-01, ONB-02).
    ///
    /// # Errors
    /// When it did not take it, and whether trying again helps.
    pub async fn onbind(
        &self,
        server: &ServerName,
        body: &str,
        now: i64,
    ) -> Result<(), OnbindFailure> {
        let mut outcome = Ok(());
        for method in onbind::METHODS {
            let question = Question {
                method,
                path: onbind::PATH,
                body: Some(body.to_owned()),
                limit: 0,
            };
            let status = self.ask(server, question, now).await?.status;
            outcome = onbind::read(status);
            if !onbind::is_unknown_method(status) {
                break;
            }
        }
        outcome
    }

    async fn ask(
        &self,
        server: &ServerName,
        question: Question<'_>,
        now: i64,
    ) -> Result<Answer, CallError> {
        self.network.want(server)?;
        let whole = async {
            let route = self.find(server, now).await?;
            let stream = self.network.connect(&route).await?;
            let request = Request {
                method: question.method,
                host: &route.host,
                path: question.path,
                body: question.body,
                limit: question.limit,
            };
            exchange(stream, request).await
        };
        // Slow answers cannot keep a place for longer (NET-16).
        let asked = timeout(self.limit, whole).await;
        asked.unwrap_or(Err(CallError::Late))
    }

    async fn find(&self, server: &ServerName, now: i64) -> Result<Route, CallError> {
        let fixed = self.network.fixed(server.as_str());
        let delegate = match fixed {
            None if may_delegate(server) => self.delegate(server, now).await,
            _ => None,
        };
        let name = delegate.as_ref().unwrap_or(server);
        // Whoever is not wanted is not reached under another name either.
        self.network.want(name)?;
        let mut route = route(name).ok_or(CallError::NoAddress)?;
        if let Some(fixed) = self.network.fixed(name.as_str()) {
            route.target = fixed;
        }
        Ok(route)
    }

    async fn delegate(&self, server: &ServerName, now: i64) -> Option<ServerName> {
        let key = server.as_str().to_ascii_lowercase();
        let known = self.delegations.borrow().get(&key, now).cloned();
        if let Some(known) = known {
            return known;
        }
        let ask = well_known::ask(&self.network, server.host(), now);
        // It ends early enough for going on without it (NET-05).
        let said = timeout(self.limit / 3, ask).await;
        let WellKnownOutcome { delegate, for_ms } =
            said.unwrap_or_else(|_elapsed| WellKnownOutcome::nothing());
        let until = now.saturating_add(for_ms);
        let mut delegations = self.delegations.borrow_mut();
        delegations.put(key, delegate.clone(), until, now);
        delegate
    }
}
