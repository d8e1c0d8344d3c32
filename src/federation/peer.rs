//! Pushes to other identity servers (INT-03). The administrator configures their
//! URLs, so the guard and the proxy are not used.

use std::sync::Arc;
use std::time::Duration;

use awc::http::Method;
use serde::Deserialize;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use url::Url;

use super::client::{OpenError, trust_anchors};
use crate::config::{Federation, Peer, TlsIdentity};
use crate::outgoing::{
    CallError, Connector, Dns, Endpoint, Names, Request, Response, exchange, tls,
};

const PATH: &str = "/_matrix/identity/replicate/v1/push";

/// The timeout of connecting, and that of a whole push: the peer verifies a hundred
/// signatures and may write each association separately.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
const PUSH_TIMEOUT: Duration = Duration::from_secs(30);

/// The largest response that is accepted, in bytes. A hundred ids are shorter.
const MAX_RESPONSE: usize = 64 * 1024;

/// A client for one peer.
pub struct PeerClient {
    dns: Arc<Dns>,
    tls: TlsConnector,
    endpoint: Endpoint,
    path: String,
}

/// Creates clients that share a resolver.
pub(crate) struct PeerClients<'a> {
    settings: &'a Federation,
    own: Option<&'a TlsIdentity>,
    dns: Arc<Dns>,
}

/// Why a push failed. The texts contain no addresses of users.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PushError {
    /// The request failed.
    #[error(transparent)]
    Call(#[from] CallError),
    /// The peer rejected the signatures of some changes, listed by their ids.
    #[error("it could not verify {0:?} (ids of changes)")]
    Unverified(Vec<i64>),
    /// The peer rejected the push.
    #[error("it answered {status}{}", errcode.as_ref().map(|errcode| format!(" {errcode}")).unwrap_or_default())]
    Rejected {
        /// The HTTP status.
        status: u16,
        /// The error code, if there was one.
        errcode: Option<String>,
    },
    /// The response is not that of a replication endpoint, so the URL may be wrong.
    #[error("it answered 200 with an unexpected body")]
    UnexpectedBody,
}

impl<'a> PeerClients<'a> {
    /// Creates the resolver. `own` is the client certificate of this server.
    ///
    /// # Errors
    /// The DNS resolver cannot be created.
    pub(crate) fn new(
        settings: &'a Federation,
        own: Option<&'a TlsIdentity>,
    ) -> Result<Self, OpenError> {
        let dns = Arc::new(Dns::open(&settings.dns_servers)?);
        Ok(Self { settings, own, dns })
    }

    /// Creates the client of a peer. It does not connect.
    ///
    /// # Errors
    /// The URL has no host, or TLS cannot be set up with the client certificate.
    pub(crate) fn open(&self, peer: &Peer) -> Result<PeerClient, OpenError> {
        let url = Url::parse(&peer.url).map_err(|_not_a_url| OpenError::Url)?;
        let endpoint = Endpoint::from_url(&url).ok_or(OpenError::Url)?;
        let roots = if peer.authorities.is_empty() {
            trust_anchors(self.settings)
        } else {
            tls::only_trust_anchors(&peer.authorities)
        };
        let base_path = url.path().trim_end_matches('/');
        Ok(PeerClient {
            dns: Arc::clone(&self.dns),
            tls: tls::verifying(roots, &peer.authorities, self.own)?,
            endpoint,
            path: format!("{base_path}{PATH}"),
        })
    }
}

impl PeerClient {
    /// Sends changes; `body` is JSON.
    ///
    /// # Errors
    /// The peer did not confirm them. It may have stored them if the response was
    /// lost; storing them twice has no effect.
    pub async fn push(&self, body: String) -> Result<(), PushError> {
        let exchange = async {
            let connector = Connector {
                dns: &self.dns,
                names: Names::Configured,
                tls: Some((&self.tls, &self.endpoint.tls_name)),
                timeout: CONNECT_TIMEOUT,
            };
            let stream = connector.connect(&self.endpoint.place).await?;
            let host = &self.endpoint.host;
            let request = Request::new(Method::POST, host, &self.path, Some(body));
            exchange(stream, request.with_max_response(MAX_RESPONSE)).await
        };
        let response = timeout(PUSH_TIMEOUT, exchange)
            .await
            .unwrap_or(Err(CallError::TimedOut))?;
        check_response(&response)
    }
}

/// The response to a push. Peers send only some of the fields.
#[derive(Default, Deserialize)]
#[serde(default)]
struct PushResponse {
    success: bool,
    errcode: String,
    // Sydent writes the ids as strings, as they were in the request.
    failed_ids: Vec<serde_json::Value>,
}

fn check_response(response: &Response) -> Result<(), PushError> {
    let body: PushResponse = serde_json::from_slice(&response.body).unwrap_or_default();
    if response.status == 200 {
        // Any server behind a wrong URL may respond with 200.
        return if body.success {
            Ok(())
        } else {
            Err(PushError::UnexpectedBody)
        };
    }
    let failed_ids: Vec<i64> = body
        .failed_ids
        .iter()
        .filter_map(|id| id.as_i64().or_else(|| id.as_str()?.parse().ok()))
        .collect();
    if !failed_ids.is_empty() {
        return Err(PushError::Unverified(failed_ids));
    }
    Err(PushError::Rejected {
        status: response.status,
        // Any other text may be personal data, and is not shown.
        errcode: Some(body.errcode).filter(|errcode| is_errcode(errcode)),
    })
}

fn is_errcode(text: &str) -> bool {
    (3..=40).contains(&text.len())
        && text
            .bytes()
            .all(|byte| byte.is_ascii_uppercase() || byte == b'_')
}

#[cfg(test)]
mod tests {
    use awc::http::header::HeaderMap;
    use serde_json::json;

    use super::*;

    fn check(status: u16, body: &str) -> Result<(), PushError> {
        check_response(&Response {
            status,
            headers: HeaderMap::new(),
            body: body.as_bytes().to_vec(),
        })
    }

    /// INT-03
    #[test]
    fn push_responses_are_classified() {
        assert_eq!(check(200, r#"{"success": true}"#), Ok(()));
        for body in ["{}", "", "<html>", r#"{"success": false}"#, "[]"] {
            assert_eq!(check(200, body), Err(PushError::UnexpectedBody), "{body}");
        }
        let unverified = Err(PushError::Unverified(vec![7, 8]));
        for ids in [json!([7, 8]), json!(["7", "8"])] {
            let body = json!({"errcode": "M_VERIFICATION_FAILED", "failed_ids": ids});
            assert_eq!(check(400, &body.to_string()), unverified);
        }
        let body = r#"{"errcode": "M_UNKNOWN_PEER", "error": "alice@example.com"}"#;
        let error = check(403, body).unwrap_err();
        assert_eq!(error.to_string(), "it answered 403 M_UNKNOWN_PEER");
        for body in [
            "",
            r#"{"errcode": "alice@example.com"}"#,
            r#"{"errcode": 1}"#,
        ] {
            let rejected = PushError::Rejected {
                status: 500,
                errcode: None,
            };
            assert_eq!(check(500, body), Err(rejected), "{body}");
        }
    }
}
