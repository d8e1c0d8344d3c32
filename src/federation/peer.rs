//! Pushing to another identity server (INT-03). Its place comes from the
//! administrator and from nobody else: no network is forbidden, and no proxy
//! asked.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use awc::http::Method;
use rustls_pki_types::ServerName as TlsName;
use serde::Deserialize;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use url::Url;

use super::client::OpenError;
use super::dns::Dns;
use super::exchange::{Answer, Request, exchange};
use super::route::{Target, route_to_url};
use super::stream::Stream;
use super::{CallError, tls};
use crate::config::{Federation, Peer, TlsIdentity};

const PATH: &str = "/_matrix/identity/replicate/v1/push";

/// How long a connection may take to be made, and a push as a whole: the peer
/// verifies a hundred signatures and may write each of them by itself.
const CONNECT_PATIENCE: Duration = Duration::from_secs(10);
const PATIENCE: Duration = Duration::from_secs(30);

/// The largest answer that is read, in bytes: a hundred numbers fit well.
const LIMIT: usize = 64 * 1024;

/// So many of a peer's addresses are tried.
const MOST_TRIES: usize = 4;

/// The way to one peer.
pub struct PeerClient {
    dns: Arc<Dns>,
    tls: TlsConnector,
    tls_name: TlsName<'static>,
    target: Target,
    host: String,
    path: String,
}

/// What all ways to peers share.
pub struct PeerClients<'a> {
    settings: &'a Federation,
    own: Option<&'a TlsIdentity>,
    dns: Arc<Dns>,
}

/// Why a peer has not taken what it was sent. The texts hold no addresses of
/// people.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PushError {
    /// It was not reached, or did not answer.
    #[error(transparent)]
    Call(#[from] CallError),
    /// It holds signatures of this server for bad.
    #[error("it could not verify {0:?} (the numbers of changes)")]
    Unverified(Vec<i64>),
    /// It refused.
    #[error("it answered {0}")]
    Refused(u16),
    /// The same, with a reason.
    #[error("it answered {0} {1}")]
    RefusedFor(u16, String),
    /// Whoever answered is no identity server, or another part of one.
    #[error("it answered 200, but not as a server does that took something")]
    NotTaken,
}

impl<'a> PeerClients<'a> {
    /// `own` is what this server shows to peers, if anything.
    ///
    /// # Errors
    /// When DNS cannot be used.
    pub fn new(settings: &'a Federation, own: Option<&'a TlsIdentity>) -> Result<Self, OpenError> {
        let dns = Arc::new(Dns::open(&settings.dns_servers)?);
        Ok(Self { settings, own, dns })
    }

    /// The way to that peer; nothing is connected to yet.
    ///
    /// # Errors
    /// When the URL names no host, or TLS cannot be used with the certificate.
    pub fn open(&self, peer: &Peer) -> Result<PeerClient, OpenError> {
        let url = Url::parse(&peer.url).ok();
        let route = url.as_ref().and_then(route_to_url);
        let (url, route) = url.zip(route).ok_or(OpenError::Url)?;
        let path = url.path().trim_end_matches('/');
        let authorities = &peer.authorities;
        Ok(PeerClient {
            dns: Arc::clone(&self.dns),
            tls: tls::connector_to_peer(self.settings, authorities, self.own)?,
            tls_name: route.tls_name,
            target: route.target,
            host: route.host,
            path: format!("{path}{PATH}"),
        })
    }
}

impl PeerClient {
    /// Sends changes; `body` is JSON.
    ///
    /// # Errors
    /// Why they were not taken. They may have been all the same where the answer
    /// got lost; taking them twice does no harm.
    pub async fn push(&self, body: String) -> Result<(), PushError> {
        let whole = async {
            let connected = timeout(CONNECT_PATIENCE, self.connect()).await;
            let stream = connected.unwrap_or(Err(CallError::Late))?;
            let request = Request {
                method: Method::POST,
                host: &self.host,
                path: &self.path,
                body: Some(body),
                limit: LIMIT,
            };
            exchange(stream, request).await
        };
        let asked = timeout(PATIENCE, whole).await;
        read(&asked.unwrap_or(Err(CallError::Late))?)
    }

    async fn connect(&self) -> Result<Stream, CallError> {
        let addresses = match &self.target {
            Target::Fixed(address) | Target::Address(address) => vec![*address],
            Target::Name(host, port) => {
                let found: Vec<IpAddr> = self.dns.addresses(host).await?;
                let found = found.into_iter().take(MOST_TRIES);
                found.map(|ip| SocketAddr::new(ip, *port)).collect()
            }
            Target::Service(_) => Vec::new(),
        };
        let mut failure = CallError::NoAddress;
        for address in addresses {
            match TcpStream::connect(address).await {
                Ok(stream) => return self.secure(stream).await,
                Err(error) => failure = CallError::Connect(error.kind()),
            }
        }
        Err(failure)
    }

    async fn secure(&self, stream: TcpStream) -> Result<Stream, CallError> {
        let secured = self.tls.connect(self.tls_name.clone(), stream).await;
        let stream = secured.map_err(|error| CallError::Tls(error.to_string()))?;
        Ok(Stream(stream))
    }
}

/// What peers answer, of which some is there.
#[derive(Default, Deserialize)]
#[serde(default)]
struct PushResponse {
    success: bool,
    errcode: String,
    // Sydent writes them as the strings that they were in the request.
    failed_ids: Vec<serde_json::Value>,
}

fn read(answer: &Answer) -> Result<(), PushError> {
    let told: PushResponse = serde_json::from_slice(&answer.body).unwrap_or_default();
    if answer.status == 200 {
        // Anything may stand behind a wrong URL and answer 200.
        return if told.success {
            Ok(())
        } else {
            Err(PushError::NotTaken)
        };
    }
    let ids = told.failed_ids.iter();
    let ids: Vec<i64> = ids
        .filter_map(|id| id.as_i64().or_else(|| id.as_str()?.parse().ok()))
        .collect();
    if !ids.is_empty() {
        return Err(PushError::Unverified(ids));
    }
    // What is no errcode could be anything, and is not shown.
    let is_errcode = |code: &String| {
        let rest = code.bytes();
        (3..=40).contains(&code.len())
            && rest
                .into_iter()
                .all(|b| b.is_ascii_uppercase() || b == b'_')
    };
    let errcode = Some(told.errcode).filter(is_errcode);
    Err(
        errcode.map_or(PushError::Refused(answer.status), |errcode| {
            PushError::RefusedFor(answer.status, errcode)
        }),
    )
}

#[cfg(test)]
mod tests {
    use awc::http::header::HeaderMap;
    use serde_json::json;

    use super::*;

    fn read_of(status: u16, body: &str) -> Result<(), PushError> {
        read(&Answer {
            status,
            headers: HeaderMap::new(),
            body: body.as_bytes().to_vec(),
        })
    }

    #[test]
    fn int_03_what_answers_mean() {
        assert_eq!(read_of(200, r#"{"success": true}"#), Ok(()));
        for body in ["{}", "", "<html>", r#"{"success": false}"#, "[]"] {
            assert_eq!(read_of(200, body), Err(PushError::NotTaken), "{body}");
        }
        let unverified = Err(PushError::Unverified(vec![7, 8]));
        for ids in [json!([7, 8]), json!(["7", "8"])] {
            let body = json!({"errcode": "M_VERIFICATION_FAILED", "failed_ids": ids});
            assert_eq!(read_of(400, &body.to_string()), unverified);
        }
        let unknown = PushError::RefusedFor(403, "M_UNKNOWN_PEER".to_owned());
        let body = r#"{"errcode": "M_UNKNOWN_PEER", "error": "alice@example.com"}"#;
        assert_eq!(read_of(403, body), Err(unknown));
        for body in [
            "",
            r#"{"errcode": "alice@example.com"}"#,
            r#"{"errcode": 1}"#,
        ] {
            assert_eq!(read_of(500, body), Err(PushError::Refused(500)), "{body}");
        }
    }
}
