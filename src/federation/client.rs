//! Calls to homeservers, with caches of delegations and keys.

use std::cell::RefCell;
use std::time::Duration;

use awc::http::Method;
use rustls::RootCertStore;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use super::cache::Cache;
use super::connect::{AddressLimit, Connected, CountedCall, Network};
use super::guard::Guard;
use super::idle::{IdleConnections, Kept, MAX_IDLE_TIME};
use super::keys::{self, CachedKey, KeyCache, KeyError, ServerKeys};
use super::onbind::{self, OnbindFailure};
use super::route::{Route, may_delegate, route};
use super::user_info::{self, UserInfoError};
use super::well_known::{self, Delegation};
use crate::config::Federation;
use crate::domain::ids::{KeyId, Mxid, ServerName};
use crate::domain::public_key::PublicKey;
use crate::outgoing::{CallError, Dns, DnsError, Failed, Request, Response, Reusable, tls};

/// The maximum number of cached delegations.
const MAX_DELEGATIONS: usize = 10_000;

/// Calls to one address that may be under way at least.
const MIN_PER_ADDRESS: usize = 8;

/// A client for homeservers, for use on one thread. Times are milliseconds since
/// the epoch.
pub struct Client {
    network: Network,
    idle: IdleConnections,
    /// The timeout of a whole call.
    timeout: Duration,
    delegations: RefCell<Cache<String, Option<ServerName>>>,
    keys: RefCell<KeyCache>,
}

/// Why a client cannot be created.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The DNS resolver cannot be created.
    #[error(transparent)]
    Dns(#[from] DnsError),
    /// TLS cannot be set up.
    #[error("cannot set up TLS: {0}")]
    Tls(#[from] rustls::Error),
    /// The URL of a peer has no host.
    #[error("the URL of a peer has no host")]
    Url,
}

/// With this, a server also closes a connection on which it has waited for a request (RFC
/// 9110, section 15.5.9).
const REQUEST_TIMEOUT: u16 = 408;

/// The parts of a request that do not depend on the homeserver.
struct Call<'a> {
    method: Method,
    path: &'a str,
    body: Option<String>,
    max_response: usize,
}

impl Client {
    /// How long a connection waits for another call.
    pub const IDLE_TIME: Duration = MAX_IDLE_TIME;

    /// Creates a client.
    ///
    /// # Errors
    /// The DNS resolver or TLS cannot be set up.
    pub fn open(settings: &Federation) -> Result<Self, OpenError> {
        let network = Network {
            dns: Dns::open(&settings.dns_servers)?,
            guard: Guard::new(&settings.allow_ranges, &settings.block_ranges),
            tls: connector(settings)?,
            proxy: settings.proxy.clone(),
            hosts: settings.hosts.clone(),
            homeservers: settings.homeservers.clone(),
            addresses: AddressLimit::new((settings.concurrency / 4).max(MIN_PER_ADDRESS)),
            // Leaves time for another target, or for proceeding without .well-known.
            timeout: settings.timeout / 4,
        };
        Ok(Self {
            network,
            idle: IdleConnections::new(MAX_IDLE_TIME),
            timeout: settings.timeout,
            delegations: RefCell::new(Cache::new(MAX_DELEGATIONS)),
            keys: RefCell::new(KeyCache::new()),
        })
    }

    /// Asks a homeserver for the owner of an `OpenID` token (ACC-04 … ACC-06).
    ///
    /// # Errors
    /// The homeserver does not confirm the token.
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
        let call = Call {
            method: Method::GET,
            path: &path,
            body: None,
            max_response: user_info::MAX_RESPONSE,
        };
        let response = self.call(server, call, now).await?;
        user_info::parse(server, &response)
    }

    /// The same as [`Self::server_key`] if that needs no call; otherwise `None`.
    pub fn known_key(
        &self,
        server: &ServerName,
        id: &KeyId,
        now: i64,
    ) -> Option<Result<Option<PublicKey>, KeyError>> {
        match self.keys.borrow().get(server, id, now) {
            CachedKey::Found(key) => Some(Ok(key)),
            CachedKey::Failed(error) => Some(Err(error)),
            CachedKey::Unknown => {
                let refused = self.network.check_allowed(server).err()?;
                Some(Err(refused.into()))
            }
        }
    }

    /// Returns the current signing key of a homeserver with this id; `None` if it
    /// has no such key (NET-17 … NET-20).
    ///
    /// # Errors
    /// The keys cannot be fetched or are invalid.
    pub async fn server_key(
        &self,
        server: &ServerName,
        id: &KeyId,
        now: i64,
    ) -> Result<Option<PublicKey>, KeyError> {
        if let Some(known) = self.known_key(server, id, now) {
            return known;
        }
        let fetched = self.fetch_keys(server, now).await;
        let mut cache = self.keys.borrow_mut();
        match fetched {
            Ok(keys) => {
                let key = keys.get(id);
                cache.insert(server, keys, now);
                Ok(key)
            }
            // It says nothing about this homeserver.
            Err(error @ KeyError::Unreachable(CallError::TooManyCalls)) => Err(error),
            Err(error) => {
                cache.insert_failure(server, error.clone(), now);
                Err(error)
            }
        }
    }

    async fn fetch_keys(&self, server: &ServerName, now: i64) -> Result<ServerKeys, KeyError> {
        let call = Call {
            method: Method::GET,
            path: keys::PATH,
            body: None,
            max_response: keys::MAX_RESPONSE,
        };
        let response = self.call(server, call, now).await?;
        keys::parse(server, &response, now)
    }

    /// Sends an onbind notification to a homeserver; `body` is JSON (ONB-01,
    /// ONB-02).
    ///
    /// # Errors
    /// The homeserver did not accept it; the error says whether a retry may help.
    pub async fn onbind(
        &self,
        server: &ServerName,
        body: &str,
        now: i64,
    ) -> Result<(), OnbindFailure> {
        let mut outcome = Ok(());
        for method in onbind::METHODS {
            let call = Call {
                method,
                path: onbind::PATH,
                body: Some(body.to_owned()),
                max_response: 0,
            };
            let status = self.call(server, call, now).await?.status;
            outcome = onbind::check_status(status);
            if !onbind::is_unknown_method(status) {
                break;
            }
        }
        outcome
    }

    async fn call(
        &self,
        server: &ServerName,
        call: Call<'_>,
        now: i64,
    ) -> Result<Response, CallError> {
        self.network.check_allowed(server)?;
        let whole_call = async {
            let route = self.resolve(server, now).await?;
            if let Some(kept) = self.idle.take(&route) {
                let count = |address| self.network.addresses.take(address);
                match kept.address.map(count).transpose() {
                    Ok(counted) => match self.exchange(&route, &call, kept, counted).await {
                        // The server may have closed it meanwhile.
                        Err(failed) if failed.is_unanswered => {}
                        Ok((response, false)) if response.status == REQUEST_TIMEOUT => {}
                        outcome => return response_of(outcome),
                    },
                    // Another address of the homeserver may have room.
                    Err(_too_many) => self.idle.put(route.clone(), kept),
                }
            }
            let Connected {
                stream,
                call: counted,
            } = self.network.connect(&route).await?;
            let address = counted.as_ref().map(|counted| counted.address);
            let kept = Kept::new(Reusable::new(stream), address);
            response_of(self.exchange(&route, &call, kept, counted).await)
        };
        // A slow response must not occupy a connection permit for longer (NET-16).
        timeout(self.timeout, whole_call)
            .await
            .unwrap_or(Err(CallError::TimedOut))
    }

    /// Makes a call, which counts for its address until the response is complete. Keeps the
    /// connection if the homeserver does, and returns whether that is so.
    async fn exchange(
        &self,
        route: &Route,
        call: &Call<'_>,
        kept: Kept,
        counted: Option<CountedCall>,
    ) -> Result<(Response, bool), Failed> {
        let (method, body) = (call.method.clone(), call.body.clone());
        let request = Request::new(method, &route.host, call.path, body);
        let request = request.with_max_response(call.max_response);
        let (response, is_open) = kept.connection.exchange(request).await?;
        drop(counted);
        if is_open {
            self.idle.put(route.clone(), kept);
        }
        Ok((response, is_open))
    }

    /// Closes connections that nobody has used for [`Self::IDLE_TIME`].
    pub fn close_idle(&self) {
        self.idle.close_old();
    }

    async fn resolve(&self, server: &ServerName, now: i64) -> Result<Route, CallError> {
        let static_target = self.network.static_target(server.as_str());
        let delegate = match static_target {
            None if may_delegate(server) => self.delegate(server, now).await,
            _ => None,
        };
        let name = delegate.as_ref().unwrap_or(server);
        // A denied server must not be reachable through delegation.
        self.network.check_allowed(name)?;
        let mut route = route(name).ok_or(CallError::NoAddress)?;
        if let Some(target) = self.network.static_target(name.as_str()) {
            route.target = target;
        }
        Ok(route)
    }

    async fn delegate(&self, server: &ServerName, now: i64) -> Option<ServerName> {
        let key = server.as_str().to_ascii_lowercase();
        let cached = self.delegations.borrow().get(&key, now).cloned();
        if let Some(delegate) = cached {
            return delegate;
        }
        let lookup = well_known::look_up(&self.network, server.host(), now);
        // Leaves enough time for proceeding without delegation (NET-05).
        let Delegation { delegate, ttl_ms } = timeout(self.timeout / 3, lookup)
            .await
            .unwrap_or_else(|_elapsed| Delegation::unreachable());
        self.delegations.borrow_mut().insert(
            key,
            delegate.clone(),
            now.saturating_add(ttl_ms),
            now,
        );
        delegate
    }
}

fn response_of(outcome: Result<(Response, bool), Failed>) -> Result<Response, CallError> {
    outcome
        .map(|(response, _is_open)| response)
        .map_err(|failed| failed.error)
}

/// Creates the TLS connector for homeservers.
fn connector(settings: &Federation) -> Result<TlsConnector, rustls::Error> {
    if !settings.verify_certificates {
        return tls::not_verifying();
    }
    tls::verifying(trust_anchors(settings), &[], None)
}

/// The trust anchors for homeservers, and for peers without their own.
pub(super) fn trust_anchors(settings: &Federation) -> RootCertStore {
    let roots = tls::trust_anchors(&settings.extra_authorities);
    if roots.is_empty() {
        log::warn!(
            "no CA certificates found, so certificates of homeservers cannot be verified; \
             install the ca-certificates package or set federation.ca_file"
        );
    }
    roots
}
