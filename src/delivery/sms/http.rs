//! The HTTP client for providers.
//!
//! Each SMS costs money, so it matters whether a request may have been carried out:
//! until the connection is established, nothing was sent; afterwards every outcome
//! that no rule of the provider covers is uncertain.

use std::sync::Arc;
use std::time::Duration;

use awc::http::header::{AUTHORIZATION, HeaderMap, HttpDate, LOCATION, RETRY_AFTER};
use awc::http::header::{DATE, HeaderName, HeaderValue};
use awc::http::{Method, uri::PathAndQuery};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use tokio::time::{Instant, timeout};
use tokio_rustls::TlsConnector;
use url::Url;

use super::SmsError;
use crate::clock::epoch_ms;
use crate::config::{Access, Credentials};
use crate::delivery::failure::SendFailure;
use crate::delivery::handover::Handover;
use crate::outgoing::{
    Answer, CallError, Connector, Dns, Endpoint, Names, Request, Stream, path_and_query, send, tls,
};

/// The largest response body that is read, in bytes. Providers send a few hundred.
const MAX_RESPONSE: usize = 64 * 1024;

/// The time limit of connecting. The rest of the timeout is left for the response.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// The longest pause that a provider may ask for.
const MAX_PAUSE: Duration = Duration::from_hours(1);

/// What all clients share.
#[derive(Clone)]
pub(super) struct Network {
    dns: Arc<Dns>,
    tls: TlsConnector,
}

impl Network {
    /// Creates a resolver with the name servers of the system, and TLS with the
    /// system's and the `extra` trust anchors.
    pub(super) fn new(access: &Access) -> Result<Self, SmsError> {
        let roots = tls::trust_anchors(&access.extra_authorities);
        if roots.is_empty() {
            return Err(SmsError::NoAuthorities);
        }
        Ok(Self {
            dns: Arc::new(Dns::open(&[])?),
            tls: tls::verifying(roots, &[], None).map_err(SmsError::Tls)?,
        })
    }
}

/// A request to a provider.
pub(super) struct SmsRequest {
    pub(super) method: Method,
    pub(super) url: String,
    pub(super) headers: Vec<(HeaderName, HeaderValue)>,
    /// The body and its content type.
    pub(super) body: Option<(&'static str, String)>,
}

/// The response of a provider.
pub(super) struct Response {
    pub(super) status: u16,
    pub(super) location: Option<String>,
    /// When the provider wants the next request (`Retry-After`).
    pub(super) retry_after: Option<Duration>,
    /// `None` if it was not received completely.
    pub(super) body: Option<Vec<u8>>,
}

/// The client of one provider. It connects only to the configured URL: redirects
/// are not followed. Each request has its own connection, because a pooled one may be
/// closed, and then it would be uncertain whether the SMS was sent.
pub(super) struct HttpClient {
    network: Network,
    login: Option<HeaderValue>,
    timeout: Duration,
}

impl HttpClient {
    pub(super) fn new(access: &Access, network: Network) -> Self {
        Self {
            network,
            login: access.login.as_ref().and_then(basic_auth),
            timeout: access.timeout,
        }
    }

    /// Sends a request and reads the response.
    pub(super) async fn exchange(
        &self,
        request: SmsRequest,
        handover: &Handover,
    ) -> Result<Response, SendFailure> {
        let wrong_url = || SendFailure::transient("the URL of the provider is invalid");
        let url = Url::parse(&request.url).map_err(|_wrong| wrong_url())?;
        let endpoint = Endpoint::from_url(&url).ok_or_else(wrong_url)?;
        let path = path_and_query(&url);
        if PathAndQuery::try_from(path.as_str()).is_err() {
            return Err(wrong_url());
        }
        let (content_type, body) = request.body.unzip();
        let content_type = content_type.map(HeaderValue::from_static);
        let mut http_request = Request::new(request.method, &endpoint.host, &path, None)
            .with_max_response(MAX_RESPONSE);
        http_request.body = body;
        let content_type = content_type.map(|kind| (awc::http::header::CONTENT_TYPE, kind));
        let login = self.login.clone().map(|login| (AUTHORIZATION, login));
        // Those of the settings come last and override the others.
        http_request.headers = content_type
            .into_iter()
            .chain(login)
            .chain(request.headers)
            .collect();

        let deadline = Instant::now() + self.timeout;
        let stream = self.connect(&url, &endpoint).await?;
        handover.begin();
        match send(stream, http_request, deadline).await {
            Ok(answer) => Ok(response(answer)),
            Err(CallError::TimedOut) => Err(SendFailure::uncertain(format!(
                "timed out after {:?} waiting for the response of the provider",
                self.timeout
            ))),
            Err(error) => Err(SendFailure::uncertain(format!(
                "the connection to the provider failed before the response: {error}"
            ))),
        }
    }

    /// Connects, after which nothing was sent yet.
    async fn connect(&self, url: &Url, endpoint: &Endpoint) -> Result<Stream, SendFailure> {
        let limit = CONNECT_TIMEOUT.min(self.timeout);
        let with_tls = url.scheme() == "https";
        let connector = Connector {
            dns: &self.network.dns,
            names: Names::Configured,
            tls: with_tls.then_some((&self.network.tls, &endpoint.tls_name)),
            timeout: limit,
        };
        match timeout(limit, connector.connect(&endpoint.place)).await {
            Ok(Ok(stream)) => Ok(stream),
            Ok(Err(error)) => Err(SendFailure::transient(format!(
                "cannot connect to the provider: {error}"
            ))),
            Err(_elapsed) => Err(SendFailure::transient(
                "cannot connect to the provider: timed out",
            )),
        }
    }
}

fn basic_auth(login: &Credentials) -> Option<HeaderValue> {
    let login = format!("{}:{}", login.username, login.password.expose());
    HeaderValue::try_from(format!("Basic {}", STANDARD.encode(login))).ok()
}

fn response(answer: Answer) -> Response {
    Response {
        status: answer.status,
        location: answer
            .headers
            .get(LOCATION)
            .and_then(|value| value.to_str().ok())
            .map(str::to_owned),
        retry_after: retry_after(&answer.headers),
        body: answer.body.ok(),
    }
}

/// The pause that a response asks for, in seconds or as a date (RFC 9110, section
/// 10.2.3). A date is relative to that of the response, so clocks need not agree.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds).min(MAX_PAUSE));
    }
    let end = text.parse::<HttpDate>().ok()?;
    let now = headers.get(DATE)?.to_str().ok()?.parse::<HttpDate>().ok()?;
    let pause = epoch_ms(end.into()).saturating_sub(epoch_ms(now.into()));
    let pause = Duration::from_millis(u64::try_from(pause).ok()?);
    Some(pause.min(MAX_PAUSE))
}

/// Classifies a status that no rule of the provider covers.
///
/// A retry is justified only after a status that means that the request was not
/// carried out, such as that for a wrong login or URL. After an unexpected 2xx, a
/// redirect (which may lead to the result), a conflict, or a 5xx of the provider or of
/// a proxy in front of it, the SMS may have been sent.
pub(super) fn status_failure(response: &Response) -> SendFailure {
    let status = response.status;
    let reason = match status {
        200..300 => return SendFailure::uncertain(format!("unexpected success status {status}")),
        300..400 => {
            return SendFailure::uncertain(format!(
                "the provider redirects to another URL (status {status})"
            ));
        }
        401 | 403 => "the provider rejected the login",
        404 | 405 => "the provider does not know this URL",
        429 => "the rate limit of the provider is exceeded",
        400..=407 | 410..=417 | 421..=424 | 426 | 428 | 431 | 503 => {
            "the provider did not accept the SMS"
        }
        _ => return SendFailure::uncertain(format!("the provider failed with status {status}")),
    };
    let reason = format!("{reason} (status {status})");
    match response.retry_after {
        Some(pause) if matches!(status, 429 | 503) => SendFailure::Throttled { reason, pause },
        _ => SendFailure::transient(reason),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pause(fields: &[(HeaderName, &'static str)]) -> Option<Duration> {
        let fields = fields
            .iter()
            .map(|(name, value)| (name.clone(), HeaderValue::from_static(value)));
        retry_after(&fields.collect())
    }

    #[test]
    fn statuses_that_are_not_known_are_uncertain() {
        let certain = |status: u16| {
            let response = Response {
                status,
                location: None,
                retry_after: None,
                body: None,
            };
            !matches!(status_failure(&response), SendFailure::Uncertain { .. })
        };
        for status in [408, 409, 418, 420, 425, 427, 430, 444, 451, 460, 499] {
            assert!(!certain(status), "{status}");
        }
        for status in [400, 401, 403, 404, 405, 413, 422, 429, 431, 503] {
            assert!(certain(status), "{status}");
        }
        assert!((432..=599).all(|status| !certain(status) || status == 503));
        assert!((100..=399).all(|status| !certain(status)));
    }

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        let seconds = |number| Some(Duration::from_secs(number));
        for (text, expected) in [
            ("0", seconds(0)),
            ("90", seconds(90)),
            (" 90 ", seconds(90)),
            ("86400", seconds(3600)),
            ("-1", None),
            ("soon", None),
            ("Fri, 15 Jan 2027 08:01:00 GMT", None),
        ] {
            assert_eq!(pause(&[(RETRY_AFTER, text)]), expected, "{text}");
        }
        let date = (DATE, "Fri, 15 Jan 2027 08:00:00 GMT");
        for (text, expected) in [
            ("Fri, 15 Jan 2027 08:01:00 GMT", seconds(60)),
            ("Fri, 15 Jan 2027 07:59:00 GMT", None),
            ("Sat, 16 Jan 2027 08:00:00 GMT", seconds(3600)),
        ] {
            assert_eq!(pause(&[(RETRY_AFTER, text), date.clone()]), expected);
        }
    }
}
