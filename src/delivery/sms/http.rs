//! The HTTP client for providers.

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

/// The largest response body that is read, in bytes. Providers send a few hundred.
const MAX_RESPONSE: usize = 64 * 1024;

/// The time limit of a connection attempt. The rest of the timeout is left for the
/// response.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Creates a TLS configuration with the system's and the `extra` trust anchors.
pub(super) fn tls(extra: &[CertificateDer<'static>]) -> Result<Arc<ClientConfig>, SmsError> {
    let mut roots = RootCertStore::empty();
    // Unreadable certificates of the system are ignored.
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

/// The response of a provider.
pub(super) struct Response {
    pub(super) status: u16,
    pub(super) location: Option<String>,
    pub(super) body: Vec<u8>,
}

/// The client of one provider. It connects only to the configured URL: redirects
/// are not followed.
pub(super) struct HttpClient {
    client: Client,
    timeout: Duration,
}

impl HttpClient {
    #[expect(
        clippy::disallowed_methods,
        reason = "the administrator configures the URL, not a stranger"
    )]
    pub(super) fn new(access: &Access, tls: Arc<ClientConfig>) -> Self {
        let connector = Connector::new()
            .timeout(CONNECT_TIMEOUT.min(access.timeout))
            .handshake_timeout(CONNECT_TIMEOUT.min(access.timeout))
            .rustls_0_23(tls);
        let mut client = Client::builder()
            .connector(connector)
            .disable_redirects()
            // `exchange` has one timeout for everything.
            .disable_timeout();
        if let Some(login) = &access.login {
            client = client.basic_auth(&login.username, Some(login.password.expose()));
        }
        Self {
            client: client.finish(),
            timeout: access.timeout,
        }
    }

    /// Creates a request. It uses a new connection, because a pooled one may be
    /// closed, and then it would be uncertain whether the SMS was sent.
    pub(super) fn request(&self, method: Method, uri: &str) -> Result<ClientRequest, SendFailure> {
        let uri: Uri = uri
            .parse()
            .map_err(|_wrong| SendFailure::transient("the URL of the provider is invalid"))?;
        Ok(self.client.request(method, uri).force_close())
    }

    /// Sends a request and reads the response.
    pub(super) async fn exchange(
        &self,
        request: ClientRequest,
        content_type: Option<&'static str>,
        body: String,
    ) -> Result<Response, SendFailure> {
        let request = match content_type {
            Some(content_type) => request.insert_header((header::CONTENT_TYPE, content_type)),
            None => request,
        };
        let exchange = async {
            let mut response = request
                .send_body(body)
                .await
                .map_err(|error| send_failure(&error))?;
            let body = response.body().limit(MAX_RESPONSE).await;
            Ok(Response {
                status: response.status().as_u16(),
                location: response
                    .headers()
                    .get(header::LOCATION)
                    .and_then(|value| value.to_str().ok())
                    .map(str::to_owned),
                // The status is enough if the body cannot be read.
                body: body.map(|body| body.to_vec()).unwrap_or_default(),
            })
        };
        tokio::time::timeout(self.timeout, exchange)
            .await
            .unwrap_or_else(|_elapsed| {
                Err(SendFailure::uncertain(format!(
                    "timed out after {:?} waiting for the response of the provider",
                    self.timeout
                )))
            })
    }
}

/// Converts an error of awc. Until the connection is established, nothing was sent;
/// afterwards the SMS may have been accepted. The text of the error is not used,
/// because it may quote the URL.
fn send_failure(error: &SendRequestError) -> SendFailure {
    const NO_RESPONSE: &str = "the connection to the provider failed before the response";
    match error {
        // awc's error for a connection that was closed before the response.
        SendRequestError::Connect(ConnectError::Disconnected) => {
            SendFailure::uncertain(NO_RESPONSE)
        }
        SendRequestError::Connect(_) => SendFailure::transient("cannot connect to the provider"),
        SendRequestError::Url(_) | SendRequestError::Http(_) => {
            SendFailure::transient("the URL of the provider is invalid")
        }
        _ => SendFailure::uncertain(NO_RESPONSE),
    }
}

/// Classifies a status that no rule of the provider covers.
///
/// Each SMS costs money, so a quick retry is justified only after a status that
/// means that the request was not carried out, such as that for a wrong login or
/// URL. After an unexpected 2xx, or a 5xx of the provider or of a proxy in front of
/// it, the SMS may have been sent.
pub(super) fn status_failure(status: u16) -> SendFailure {
    let reason = match status {
        200..300 => return SendFailure::uncertain(format!("unexpected success status {status}")),
        300..400 => "the provider redirects to another URL",
        401 | 403 => "the provider rejected the login",
        404 | 405 => "the provider does not know this URL",
        429 => "the rate limit of the provider is exceeded",
        400..500 | 503 => "the provider did not accept the SMS",
        _ => return SendFailure::uncertain(format!("the provider failed with status {status}")),
    };
    SendFailure::transient(format!("{reason} (status {status})"))
}
