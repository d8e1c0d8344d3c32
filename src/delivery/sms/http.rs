//! One request to a provider, and its answer within bounds.

use std::sync::Arc;
use std::time::Duration;

use awc::error::{ConnectError, SendRequestError};
use awc::http::{Method, Uri, header};
use awc::{Client, ClientRequest, Connector};
use rustls::{ClientConfig, RootCertStore, crypto::ring};
use rustls_pki_types::CertificateDer;

use super::SmsError;
use crate::config::Access;
use crate::delivery::failure::SendFailure;

/// Answers of providers are a few hundred bytes.
const LONGEST_ANSWER: usize = 64 * 1024;

/// A connection must be there after so long; the rest of the time is the
/// provider's.
const CONNECT_WITHIN: Duration = Duration::from_secs(5);

/// Trusts the system's certificate authorities and the `extra` ones.
pub(super) fn tls(extra: &[CertificateDer<'static>]) -> Result<Arc<ClientConfig>, SmsError> {
    let mut roots = RootCertStore::empty();
    // Single unreadable certificates of the system are not ours to judge.
    let system = rustls_native_certs::load_native_certs();
    roots.add_parsable_certificates(system.certs);
    roots.add_parsable_certificates(extra.iter().cloned());
    if roots.is_empty() {
        return Err(SmsError::NoAuthorities);
    }
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(SmsError::Tls)?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(Arc::new(config))
}

/// What a provider answered.
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) location: Option<String>,
    pub(super) body: Vec<u8>,
}

/// Speaks to one provider. It goes where the administrator said, and nowhere
/// else: redirects are not followed.
pub(super) struct HttpClient {
    client: Client,
    timeout: Duration,
}

impl HttpClient {
    #[expect(
        clippy::disallowed_methods,
        reason = "the address is the administrator's, not a stranger's"
    )]
    pub(super) fn new(access: &Access, tls: Arc<ClientConfig>) -> Self {
        let connector = Connector::new()
            .timeout(CONNECT_WITHIN.min(access.timeout))
            .handshake_timeout(CONNECT_WITHIN.min(access.timeout))
            .rustls_0_23(tls);
        let mut client = Client::builder()
            .connector(connector)
            .disable_redirects()
            // One limit for all of an exchange, see below.
            .disable_timeout();
        if let Some(login) = &access.login {
            client = client.basic_auth(&login.username, Some(login.password.expose()));
        }
        Self {
            client: client.finish(),
            timeout: access.timeout,
        }
    }

    /// A request; it takes no connection that was used before, of which nobody
    /// knows whether it is still open.
    pub(super) fn request(&self, method: Method, uri: &str) -> Result<ClientRequest, SendFailure> {
        let uri: Uri = uri
            .parse()
            .map_err(|_wrong| SendFailure::passing("the provider's address cannot be used"))?;
        Ok(self.client.request(method, uri).force_close())
    }

    /// Sends it and reads the answer.
    pub(super) async fn exchange(
        &self,
        request: ClientRequest,
        content_type: Option<&'static str>,
        body: String,
    ) -> Result<Answer, SendFailure> {
        let request = match content_type {
            Some(content_type) => request.insert_header((header::CONTENT_TYPE, content_type)),
            None => request,
        };
        let exchange = async {
            let mut response = request
                .send_body(body)
                .await
                .map_err(|error| not_sent(&error))?;
            let status = response.status().as_u16();
            let location = response.headers().get(header::LOCATION);
            let location = location
                .and_then(|value| value.to_str().ok())
                .map(str::to_owned);
            let body = response.body().limit(LONGEST_ANSWER).await;
            // The status says it already; the body only says it in other words.
            let body = body.map(|body| body.to_vec()).unwrap_or_default();
            Ok(Answer {
                status,
                location,
                body,
            })
        };
        tokio::time::timeout(self.timeout, exchange)
            .await
            .unwrap_or_else(|_late| Err(uncertain("the provider did not answer in time")))
    }
}

/// A failure after which the SMS may be with the provider all the same.
pub(super) fn uncertain(what: impl Into<String>) -> SendFailure {
    SendFailure::Uncertain { what: what.into() }
}

/// Before there is a connection nothing was sent; afterwards nobody knows. The
/// texts are ours: an error's own may quote the address.
fn not_sent(error: &SendRequestError) -> SendFailure {
    match error {
        // So it calls a connection that ended before the answer.
        SendRequestError::Connect(ConnectError::Disconnected) => {
            uncertain("the provider's answer was lost")
        }
        SendRequestError::Connect(_) => SendFailure::passing("the provider cannot be reached"),
        SendRequestError::Url(_) | SendRequestError::Http(_) => {
            SendFailure::passing("the provider's address cannot be used")
        }
        _ => uncertain("the provider's answer was lost"),
    }
}

/// Judges a status that no rule of the provider covers.
///
/// Each SMS costs money, so only a status that says that the request was not
/// carried out is worth a quick retry; a mistake of the administrator (a wrong
/// login or URL) is one of these. After a 2xx that is not the expected one, or a
/// 5xx from the provider or a proxy in front of it, the SMS may be on its way.
pub(super) fn failure(status: u16) -> SendFailure {
    let what = match status {
        200..300 => return uncertain(format!("unexpected success status {status}")),
        300..400 => "the provider redirects to another URL",
        401 | 403 => "the provider rejected the login",
        404 | 405 => "the provider does not know this URL",
        429 => "the provider limits the rate of messages",
        400..500 | 503 => "the provider did not accept the SMS",
        _ => return uncertain(format!("the provider failed with status {status}")),
    };
    SendFailure::passing(format!("{what} (status {status})"))
}
