//! `[federation]`: requests to homeservers.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use ipnet::IpNet;
use rustls_pki_types::CertificateDer;
use serde::{Deserialize, Serialize};
use url::Url;

use super::certificates::authorities;
use super::checker::Checker;
use super::secret::{Secret, SecretUrl};
use super::{V1Settings, duration, network};
use crate::domain::homeservers::{HomeserverLists, HomeserverPattern};
use crate::domain::ids::ServerName;

/// `[federation]` as set.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct FederationSettings {
    /// Networks to allow although they are blocked by default.
    #[serde(with = "network")]
    pub allow_ranges: Vec<IpNet>,
    /// Networks to block in any case.
    #[serde(with = "network")]
    pub block_ranges: Vec<IpNet>,
    /// Certificates of further authorities to trust, PEM.
    pub ca_file: Option<PathBuf>,
    /// Verify certificates; `false` only in tests.
    pub verify_certificates: bool,
    /// The HTTP proxy for requests to homeservers.
    pub proxy: Option<SecretUrl>,
    /// The total timeout of a request.
    #[serde(with = "duration")]
    pub timeout: Duration,
    /// The maximum number of concurrent token checks. Each other kind of request is
    /// limited to half of it.
    pub concurrency: usize,
    /// Name servers to use instead of the system's.
    pub dns_servers: Vec<SocketAddr>,
    /// If not empty, only users of these homeservers can register.
    pub allow_homeservers: Vec<HomeserverPattern>,
    /// Homeservers that are never contacted.
    pub deny_homeservers: Vec<HomeserverPattern>,
    /// Static addresses of homeservers, which skip discovery.
    pub hosts: BTreeMap<String, SocketAddr>,
}

impl Default for FederationSettings {
    fn default() -> Self {
        Self {
            allow_ranges: Vec::new(),
            block_ranges: Vec::new(),
            ca_file: None,
            verify_certificates: true,
            proxy: None,
            timeout: Duration::from_secs(20),
            concurrency: 100,
            dns_servers: Vec::new(),
            allow_homeservers: Vec::new(),
            deny_homeservers: Vec::new(),
            hosts: BTreeMap::new(),
        }
    }
}

/// `[federation]` as checked.
#[derive(Debug, Clone)]
pub struct Federation {
    /// Networks to allow although they are blocked by default.
    pub allow_ranges: Vec<IpNet>,
    /// Networks to block in any case.
    pub block_ranges: Vec<IpNet>,
    /// Authorities to trust in addition to the system's.
    pub extra_authorities: Vec<CertificateDer<'static>>,
    /// Verify certificates.
    pub verify_certificates: bool,
    /// The HTTP proxy for requests to homeservers.
    pub proxy: Option<Proxy>,
    /// The total timeout of a request.
    pub timeout: Duration,
    /// The maximum number of concurrent token checks. Each other kind of request is
    /// limited to half of it.
    pub concurrency: usize,
    /// Name servers to use instead of the system's.
    pub dns_servers: Vec<SocketAddr>,
    /// The homeservers whose users can register, and those that are never contacted.
    pub homeservers: HomeserverLists,
    /// Static addresses of homeservers, which skip discovery.
    pub hosts: BTreeMap<ServerName, SocketAddr>,
}

/// An HTTP proxy that supports `CONNECT`.
#[derive(Debug, Clone)]
pub struct Proxy {
    /// Its host name or IP address, without brackets.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// `user:password`, if the proxy requires it.
    pub login: Option<Secret>,
}

const UNVERIFIED: &str = "is false: anyone between this server and a homeserver can impersonate \
    that homeserver and all its users. Use it only in tests";
const NOT_A_PROXY: &str = "must be a URL such as http://proxy.example.org:3128, without a path; \
    TLS to the proxy itself is not supported";
const PROXY_RESOLVES: &str = "is set, so the proxy resolves the names of homeservers, which \
    strangers choose: configure the proxy to block its internal networks. This server checks only \
    literal IP addresses";
const ALLOWS_ALL: &str = "allows every network: strangers can make this server connect to internal \
    machines";
const ALLOW_LIST_WITH_V1: &str = "cannot be enforced while v1 is enabled, which requires no \
    account: set v1.enabled = false, or remove the list";

impl FederationSettings {
    pub(super) fn check(self, v1: &V1Settings, checker: &mut Checker<'_>) -> Federation {
        let (second, minute) = (Duration::from_secs(1), Duration::from_mins(1));
        checker.duration("federation.timeout", self.timeout, second, minute);
        checker.range("federation.concurrency", self.concurrency, 1..=10_000);
        if !self.verify_certificates {
            checker.warn("federation.verify_certificates", UNVERIFIED);
        }
        self.check_ranges(checker);
        if !self.allow_homeservers.is_empty() && v1.enabled {
            checker.error("federation.allow_homeservers", ALLOW_LIST_WITH_V1);
        }
        let extra_authorities = self.ca_file.as_deref().map_or_else(Vec::new, |file| {
            authorities("federation.ca_file", file, checker)
        });
        let proxy = self.proxy.as_ref().and_then(|url| {
            let proxy = proxy(url.expose());
            match proxy {
                Some(_) => checker.warn("federation.proxy", PROXY_RESOLVES),
                None => checker.error("federation.proxy", NOT_A_PROXY),
            }
            proxy
        });
        let hosts = hosts(self.hosts, checker);
        let homeservers = HomeserverLists {
            allow: self.allow_homeservers,
            deny: self.deny_homeservers,
        };
        for pattern in homeservers.contradictions() {
            let pattern = String::from(pattern.clone());
            checker.error(
                "federation.allow_homeservers",
                format!(
                    "contains {pattern}, which federation.deny_homeservers denies; remove it from \
                     one of the lists"
                ),
            );
        }
        Federation {
            allow_ranges: self.allow_ranges,
            block_ranges: self.block_ranges,
            extra_authorities,
            verify_certificates: self.verify_certificates,
            proxy,
            timeout: self.timeout,
            concurrency: self.concurrency,
            dns_servers: self.dns_servers,
            homeservers,
            hosts,
        }
    }

    fn check_ranges(&self, checker: &mut Checker<'_>) {
        const KEY: &str = "federation.allow_ranges";
        for network in &self.allow_ranges {
            if network.prefix_len() == 0 {
                checker.warn(KEY, ALLOWS_ALL);
            }
            let is_blocked = self
                .block_ranges
                .iter()
                .any(|block| block.contains(network));
            if is_blocked {
                checker.warn(
                    KEY,
                    format!("has no effect for {network}: federation.block_ranges blocks it"),
                );
            }
        }
    }
}

fn hosts(
    settings: BTreeMap<String, SocketAddr>,
    checker: &mut Checker<'_>,
) -> BTreeMap<ServerName, SocketAddr> {
    let mut hosts = BTreeMap::new();
    for (name, address) in settings {
        match ServerName::parse(&name) {
            Ok(name) => {
                hosts.insert(name, address);
            }
            Err(error) => checker.error(&format!("federation.hosts.{name}"), error.to_string()),
        }
    }
    hosts
}

fn proxy(text: &str) -> Option<Proxy> {
    let url = Url::parse(text).ok()?;
    let bare = url.path() == "/" && url.query().is_none() && url.fragment().is_none();
    if url.scheme() != "http" || !bare {
        return None;
    }
    let host = url.host_str()?.trim_matches(['[', ']']).to_owned();
    let port = url.port_or_known_default()?;
    let decoded = |text: &str| {
        let decoded = percent_encoding::percent_decode_str(text).decode_utf8();
        decoded.ok().map(std::borrow::Cow::into_owned)
    };
    let login = match (url.username(), url.password()) {
        ("", None) => None,
        (user, password) => {
            let login = format!("{}:{}", decoded(user)?, decoded(password.unwrap_or(""))?);
            Some(Secret::from(login))
        }
    };
    Some(Proxy { host, port, login })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::origins::Origins;

    fn warnings(settings: FederationSettings) -> Vec<String> {
        let origins = Origins::default();
        let mut checker = Checker::new(&origins);
        settings.check(&V1Settings::default(), &mut checker);
        let warnings = checker.warnings.into_iter();
        warnings.map(|warning| warning.key).collect()
    }

    /// NET-11
    #[test]
    fn proxy_setting_causes_a_warning() {
        assert!(warnings(FederationSettings::default()).is_empty());
        let proxy = SecretUrl::from("http://proxy.example:3128".to_owned());
        let behind_proxy = FederationSettings {
            proxy: Some(proxy),
            ..FederationSettings::default()
        };
        assert_eq!(warnings(behind_proxy), ["federation.proxy"]);
    }

    /// NET-12
    #[test]
    fn blocked_allow_range_causes_a_warning() {
        for (block, warned) in [("10.1.0.0/24", 0), ("10.1.0.0/16", 1), ("10.0.0.0/8", 1)] {
            let settings = FederationSettings {
                allow_ranges: vec!["10.1.0.0/16".parse().unwrap()],
                block_ranges: vec![block.parse().unwrap()],
                ..FederationSettings::default()
            };
            assert_eq!(warnings(settings).len(), warned, "{block}");
        }
    }

    #[test]
    fn parses_proxy_urls() {
        for (text, host, port, login) in [
            ("http://proxy.example:3128", "proxy.example", 3128, None),
            ("http://[2001:db8::1]", "2001:db8::1", 80, None),
            ("http://u:p%40ss@10.0.0.1:1/", "10.0.0.1", 1, Some("u:p@ss")),
        ] {
            let proxy = proxy(text).unwrap();
            assert_eq!((proxy.host.as_str(), proxy.port), (host, port), "{text}");
            assert_eq!(proxy.login.as_ref().map(Secret::expose), login, "{text}");
            assert!(!format!("{proxy:?}").contains("p@ss"));
        }
        for bad in [
            "proxy.example:3128",
            "https://proxy.example",
            "socks5://proxy.example",
            "http://proxy.example/x",
            "http://",
        ] {
            assert!(proxy(bad).is_none(), "{bad}");
        }
    }
}
