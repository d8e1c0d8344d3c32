//! A client for the internal listener of a running server.

use std::fmt::Display;
use std::net::SocketAddr;
use std::str::FromStr;
use std::time::Duration;

use awc::SendClientRequest;
use awc::error::{ConnectError, SendRequestError};
use serde_json::Value;
use url::form_urlencoded;

use super::failure::Failure;
use crate::config::BaseUrl;
use crate::error::UNRECOGNIZED;

/// More than the server's own `http.request_timeout` by default, so that an
/// overloaded server still answers with its own error.
const TIMEOUT: Duration = Duration::from_mins(1);

/// The URL of an internal listener.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct InternalUrl(String);

impl InternalUrl {
    pub(super) fn from_address(address: SocketAddr) -> Self {
        Self(format!("http://{address}"))
    }
}

impl FromStr for InternalUrl {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match BaseUrl::parse(text) {
            Ok(url) if url.is_https() => {
                Err("must start with http://: the internal listener does not support TLS")
            }
            Ok(url) => Ok(Self(url.as_str().to_owned())),
            Err(_) => Err("must be a URL such as http://127.0.0.1:8091"),
        }
    }
}

/// A client of the internal API.
pub(super) struct InternalClient {
    url: InternalUrl,
    /// Tried if nothing can be connected to at the first URL.
    fallback: Option<InternalUrl>,
}

impl InternalClient {
    pub(super) fn new(url: InternalUrl, fallback: Option<InternalUrl>) -> Self {
        Self { url, fallback }
    }

    /// Sends a POST request with a JSON object; returns the JSON body of a
    /// successful response.
    pub(super) fn post(&self, name: &str, fields: &Value) -> Result<Value, Failure> {
        self.send(|client, api| client.post(format!("{api}/{name}")).send_json(fields))
    }

    /// Sends a GET request with a query; returns as [`post`](Self::post).
    pub(super) fn get(&self, name: &str, query: &[(&str, &str)]) -> Result<Value, Failure> {
        let query = form_urlencoded::Serializer::new(String::new())
            .extend_pairs(query)
            .finish();
        self.send(|client, api| client.get(format!("{api}/{name}?{query}")).send())
    }

    fn send(
        &self,
        request: impl Fn(&awc::Client, &str) -> SendClientRequest,
    ) -> Result<Value, Failure> {
        let client = http_client();
        let send = async |url: &InternalUrl| {
            request(&client, &format!("{}/_matrix/identity/internal", url.0)).await
        };
        actix::System::new().block_on(async {
            let mut at = &self.url;
            let mut answer = send(at).await;
            // Nothing was sent, so no request is executed twice.
            if let (Err(SendRequestError::Connect(_)), Some(fallback)) = (&answer, &self.fallback) {
                let again = send(fallback).await;
                if !matches!(again, Err(SendRequestError::Connect(_))) {
                    (at, answer) = (fallback, again);
                }
            }
            let mut response = answer.map_err(|error| match error {
                SendRequestError::Connect(error) => at.cannot_connect(&error),
                error => at.no_response(&error),
            })?;
            let body = response.body().await;
            let body = body.map_err(|error| at.no_response(&error))?;
            let body = serde_json::from_slice(&body).ok();
            at.read_response(response.status().is_success(), body)
        })
    }
}

impl InternalUrl {
    fn read_response(&self, success: bool, body: Option<Value>) -> Result<Value, Failure> {
        let text = |name: &str| body.as_ref()?.get(name)?.as_str();
        match (success, text("errcode"), text("error")) {
            (true, _, _) if body.is_some() => Ok(body.unwrap_or_default()),
            (false, Some(errcode), Some(error)) if errcode != UNRECOGNIZED => Err(Failure::new(
                format!("The server refused the request: {error} ({errcode})."),
            )),
            _ => Err(Failure::new(format!(
                "{} is not the internal listener of an identity server. Use an address from \
                 internal.listen in the server's configuration.",
                self.0
            ))),
        }
    }

    fn cannot_connect(&self, error: &ConnectError) -> Failure {
        Failure::new(format!(
            "Cannot connect to {}: {error}.\nCheck that the server is running and that \
             internal.listen in its configuration contains this address, or give another URL with \
             --internal.",
            self.0
        ))
    }

    fn no_response(&self, error: &dyn Display) -> Failure {
        Failure::new(format!(
            "No response from {}: {error}. The server may have executed the request.",
            self.0
        ))
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "the user of the command line chooses the address; connecting to an internal one is \
              the purpose"
)]
fn http_client() -> awc::Client {
    awc::Client::builder()
        .disable_redirects()
        .timeout(TIMEOUT)
        .finish()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn parses_internal_listener_urls() {
        for (text, url) in [
            ("http://127.0.0.1:8091", "http://127.0.0.1:8091"),
            ("http://[::1]:8091/", "http://[::1]:8091"),
        ] {
            assert_eq!(text.parse(), Ok(InternalUrl(url.to_owned())));
        }
        let address = "[::1]:8091".parse().unwrap();
        assert_eq!(
            InternalUrl::from_address(address),
            "http://[::1]:8091".parse().unwrap()
        );
        for bad in ["", "127.0.0.1:8091", "https://127.0.0.1:8091", "http://a?b"] {
            assert!(bad.parse::<InternalUrl>().is_err(), "{bad}");
        }
    }

    #[test]
    fn refusal_shows_the_error_of_the_server() {
        let url: InternalUrl = "http://127.0.0.1:1".parse().unwrap();
        let refusal = |errcode: &str| Some(json!({ "errcode": errcode, "error": "No room" }));
        for (success, body, message) in [
            (
                false,
                refusal("M_SHUT"),
                "refused the request: No room (M_SHUT).",
            ),
            (
                false,
                refusal(UNRECOGNIZED),
                "http://127.0.0.1:1 is not the internal",
            ),
            (false, None, "internal.listen"),
            (true, None, "is not the internal"),
        ] {
            let failure = url.read_response(success, body).unwrap_err().to_string();
            assert!(failure.contains(message), "{failure}");
        }
        let body = Some(json!({}));
        assert_eq!(url.read_response(true, body).unwrap(), json!({}));
    }
}
