//! Speaks to the internal listener of a running server.

use std::fmt::Display;
use std::net::SocketAddr;
use std::str::FromStr;
use std::time::Duration;

use awc::SendClientRequest;
use awc::error::{ConnectError, SendRequestError};
use serde_json::Value;
use url::form_urlencoded;

use super::Failure;
use crate::config::BaseUrl;
use crate::error::UNRECOGNIZED;

/// Longer than a server that has much to do takes to answer.
const PATIENCE: Duration = Duration::from_mins(1);

/// Where an internal listener is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct InternalUrl(String);

impl InternalUrl {
    pub(super) fn at(address: SocketAddr) -> Self {
        Self(format!("http://{address}"))
    }
}

impl FromStr for InternalUrl {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match BaseUrl::parse(text) {
            Ok(url) if url.is_https() => {
                Err("must begin with http://: the internal listener speaks no TLS")
            }
            Ok(url) => Ok(Self(url.as_str().to_owned())),
            Err(_) => Err("must be a URL such as http://127.0.0.1:8091"),
        }
    }
}

/// A client of the internal API.
pub(super) struct InternalClient(InternalUrl);

impl InternalClient {
    pub(super) fn new(url: InternalUrl) -> Self {
        Self(url)
    }

    /// Posts a JSON object; returns what a success brings.
    ///
    /// # Errors
    /// When there is no answer, or it is a refusal.
    pub(super) fn post(&self, name: &str, fields: &Value) -> Result<Value, Failure> {
        self.send(|client, api| client.post(format!("{api}/{name}")).send_json(fields))
    }

    /// As [`post`](Self::post), by GET and with a query.
    ///
    /// # Errors
    /// As [`post`](Self::post).
    pub(super) fn get(&self, name: &str, query: &[(&str, &str)]) -> Result<Value, Failure> {
        let query = form_urlencoded::Serializer::new(String::new())
            .extend_pairs(query)
            .finish();
        self.send(|client, api| client.get(format!("{api}/{name}?{query}")).send())
    }

    fn send(
        &self,
        request: impl FnOnce(&awc::Client, &str) -> SendClientRequest,
    ) -> Result<Value, Failure> {
        let api = format!("{}/_matrix/identity/internal", self.0.0);
        actix::System::new().block_on(async {
            let sent = request(&http_client(), &api).await;
            let mut answer = sent.map_err(|error| match error {
                SendRequestError::Connect(error) => self.unreachable(&error),
                error => self.unanswered(&error),
            })?;
            let body = answer.body().await;
            let body = body.map_err(|error| self.unanswered(&error))?;
            let body = serde_json::from_slice(&body).ok();
            self.outcome(answer.status().is_success(), body)
        })
    }

    fn outcome(&self, success: bool, body: Option<Value>) -> Result<Value, Failure> {
        let text = |name: &str| body.as_ref()?.get(name)?.as_str();
        match (success, text("errcode"), text("error")) {
            (true, _, _) if body.is_some() => Ok(body.unwrap_or_default()),
            (false, Some(errcode), Some(error)) if errcode != UNRECOGNIZED => Err(Failure::new(
                format!("The server refused: {error} ({errcode})."),
            )),
            _ => Err(Failure::new(format!(
                "What answers at {} is not the internal listener of an identity server. Its \
                 address is the one in internal.listen of the server's configuration.",
                self.0.0
            ))),
        }
    }

    fn unreachable(&self, error: &ConnectError) -> Failure {
        Failure::new(format!(
            "Nothing answers at {}: {error}.\nThe server must be running, with that address in \
             internal.listen of its configuration. --internal URL names another one.",
            self.0.0
        ))
    }

    fn unanswered(&self, error: &dyn Display) -> Failure {
        Failure::new(format!(
            "The server at {} gave no answer: {error}. It may have done what it was asked for.",
            self.0.0
        ))
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "whoever runs the command chooses the address, and an internal one is what is wanted"
)]
fn http_client() -> awc::Client {
    awc::Client::builder()
        .disable_redirects()
        .timeout(PATIENCE)
        .finish()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn addresses_of_listeners() {
        for (text, url) in [
            ("http://127.0.0.1:8091", "http://127.0.0.1:8091"),
            ("http://[::1]:8091/", "http://[::1]:8091"),
        ] {
            assert_eq!(text.parse(), Ok(InternalUrl(url.to_owned())));
        }
        let address = "[::1]:8091".parse().unwrap();
        assert_eq!(
            InternalUrl::at(address),
            "http://[::1]:8091".parse().unwrap()
        );
        for bad in ["", "127.0.0.1:8091", "https://127.0.0.1:8091", "http://a?b"] {
            assert!(bad.parse::<InternalUrl>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_refusal_is_told_in_the_servers_words() {
        let client = InternalClient::new("http://127.0.0.1:1".parse().unwrap());
        let refusal = |errcode: &str| Some(json!({ "errcode": errcode, "error": "No room" }));
        for (success, body, told) in [
            (false, refusal("M_SHUT"), "refused: No room (M_SHUT)."),
            (
                false,
                refusal(UNRECOGNIZED),
                "http://127.0.0.1:1 is not the internal",
            ),
            (false, None, "internal.listen"),
            (true, None, "is not the internal"),
        ] {
            let failure = client.outcome(success, body).unwrap_err().to_string();
            assert!(failure.contains(told), "{failure}");
        }
        assert_eq!(client.outcome(true, Some(json!({}))).unwrap(), json!({}));
    }
}
