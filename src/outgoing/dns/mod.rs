//! DNS lookups of addresses and SRV records.

mod addresses;
mod service;

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use futures_util::stream;
use hickory_resolver::TokioResolver;
use hickory_resolver::config::{
    ConnectionConfig, NameServerConfig, ResolveHosts, ResolverConfig, ResolverOpts,
};
use hickory_resolver::net::NetError;
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::proto::rr::{Name, RData, RecordType};
use hickory_resolver::system_conf::read_system_conf;
use log::warn;

use super::CallError;
use super::race::{ATTEMPT_DELAY, race};
pub(crate) use addresses::Names;
pub(crate) use service::Service;

/// The timeout of one query to a name server. Each is tried twice.
const QUERY_TIMEOUT: Duration = Duration::from_secs(2);

/// The DNS resolver cannot be created.
#[derive(Debug, thiserror::Error)]
#[error("cannot create the DNS resolver: {0}")]
pub struct DnsError(#[from] NetError);

/// A resolver. It caches answers for their TTL.
pub(crate) struct Dns {
    /// One for each name server, since hickory-resolver 0.26 does not ask the next
    /// server if one refuses (SERVFAIL, REFUSED).
    servers: Vec<TokioResolver>,
}

impl Dns {
    /// Creates a resolver for these name servers, or for those of the system if there
    /// are none.
    pub(crate) fn open(servers: &[SocketAddr]) -> Result<Self, DnsError> {
        let (config, mut options) = if servers.is_empty() {
            of_system()
        } else {
            config(servers)
        };
        options.timeout = options.timeout.min(QUERY_TIMEOUT);
        // It is read for each name (`addresses`).
        options.use_hosts_file = ResolveHosts::Never;
        // Further tries after the first one.
        options.attempts = 1;
        let (domain, search, servers) = config.into_parts();
        let resolver = |server| {
            let config = ResolverConfig::from_parts(domain.clone(), search.clone(), vec![server]);
            let provider = TokioRuntimeProvider::default();
            let mut builder = TokioResolver::builder_with_config(config, provider);
            *builder.options_mut() = options.clone();
            builder.build()
        };
        let servers = servers.into_iter().map(resolver);
        Ok(Self {
            servers: servers.collect::<Result<_, _>>()?,
        })
    }

    /// The records of a name. A failed query counts as none.
    ///
    /// The name servers are asked in their order: the next one if one refuses, or has
    /// not answered for a moment.
    async fn query(&self, name: &Name, kind: RecordType) -> Vec<RData> {
        let ask = |server: &TokioResolver| {
            let (server, name) = (server.clone(), name.clone());
            async move {
                match server.lookup(name, kind).await {
                    Ok(found) => Ok(found
                        .answers()
                        .iter()
                        .map(|record| record.data.clone())
                        .collect()),
                    // An answer, too.
                    Err(error) if error.is_no_records_found() => Ok(Vec::new()),
                    Err(error) => Err(error),
                }
            }
        };
        race(stream::iter(&self.servers), ATTEMPT_DELAY, ask)
            .await
            .unwrap_or_default()
    }
}

fn of_system() -> (ResolverConfig, ResolverOpts) {
    // The system's own resolver falls back to this address, too.
    let fallback = || config(&[SocketAddr::from((Ipv4Addr::LOCALHOST, 53))]);
    match read_system_conf() {
        Ok((config, _)) if config.name_servers().is_empty() => fallback(),
        Ok(found) => found,
        Err(error) => {
            warn!("cannot read the DNS settings of the system; using 127.0.0.1: {error}");
            fallback()
        }
    }
}

fn config(servers: &[SocketAddr]) -> (ResolverConfig, ResolverOpts) {
    let servers = servers.iter().map(|server| {
        let connections = [ConnectionConfig::udp(), ConnectionConfig::tcp()].map(|mut config| {
            config.port = server.port();
            config
        });
        NameServerConfig::new(server.ip(), true, connections.into())
    });
    let mut options = ResolverOpts::default();
    // As in the system's resolver: some name servers and firewalls do not answer
    // queries with extensions.
    options.edns0 = false;
    (
        ResolverConfig::from_name_servers(servers.collect()),
        options,
    )
}

/// A fully qualified name, which is not completed with the search domains of the
/// system.
fn fqdn(host: &str) -> Result<Name, CallError> {
    let mut name = Name::from_ascii(host).map_err(|_too_long| CallError::NoAddress)?;
    name.set_fqdn(true);
    Ok(name)
}
