//! Requests to the two servers.

use std::fmt;
use std::time::Duration;

use awc::error::{PayloadError, SendRequestError};
use awc::http::Method;
use awc::http::header::{AUTHORIZATION, RETRY_AFTER};
use serde_json::Value;

use crate::cli::failure::Failure;
use crate::config::BaseUrl;
use crate::import::verify::Answer;

pub(super) const V1: &str = "/_matrix/identity/api/v1";
pub(super) const V2: &str = "/_matrix/identity/v2";

/// Longer than an overloaded server takes to respond.
const TIMEOUT: Duration = Duration::from_mins(1);
/// A server that asks for a longer delay is not waited for.
const MAX_DELAY: Duration = Duration::from_mins(2);
/// Attempts for one request.
const MAX_ATTEMPTS: u32 = 10;
/// More than the largest response.
const MAX_BODY_BYTES: usize = 64 << 20;

/// The two servers.
pub(super) struct Servers {
    old: BaseUrl,
    new: BaseUrl,
    client: awc::Client,
    /// The sum of all delays that the servers asked for.
    pub(super) waited: Duration,
}

/// A request that either server can be sent.
pub(super) struct Request<'a> {
    path: String,
    body: Option<Value>,
    token: Option<&'a str>,
}

impl<'a> Request<'a> {
    /// A GET request; the path includes the query.
    pub(super) fn get(path: String) -> Self {
        Self {
            path,
            body: None,
            token: None,
        }
    }

    /// A POST request.
    pub(super) fn post(path: String, body: Value) -> Self {
        Self {
            body: Some(body),
            ..Self::get(path)
        }
    }

    /// The same with an access token.
    pub(super) fn with_token(self, token: &'a str) -> Self {
        Self {
            token: Some(token),
            ..self
        }
    }
}

#[derive(Clone, Copy)]
enum Which {
    Old,
    New,
}

impl fmt::Display for Which {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Old => "old",
            Self::New => "new",
        })
    }
}

enum Response {
    Answer(Answer),
    /// The server limits the rate of requests.
    RetryAfter(Duration),
}

impl Servers {
    #[expect(
        clippy::disallowed_methods,
        reason = "the user of the command line chooses the addresses; connecting to internal \
                  ones is the purpose"
    )]
    pub(super) fn new(old: BaseUrl, new: BaseUrl) -> Self {
        let client = awc::Client::builder()
            .disable_redirects()
            .timeout(TIMEOUT)
            .finish();
        Self {
            old,
            new,
            client,
            waited: Duration::ZERO,
        }
    }

    /// Sends a request to the old server only.
    pub(super) async fn old(&mut self, request: &Request<'_>) -> Result<Answer, Failure> {
        self.send_with_retries(Which::Old, request).await
    }

    /// Sends a request to both servers, the old one first.
    pub(super) async fn both(
        &mut self,
        request: &Request<'_>,
    ) -> Result<(Answer, Answer), Failure> {
        self.each(request, request).await
    }

    /// Sends each server its own request, the old one first.
    pub(super) async fn each(
        &mut self,
        old: &Request<'_>,
        new: &Request<'_>,
    ) -> Result<(Answer, Answer), Failure> {
        let old = self.send_with_retries(Which::Old, old).await?;
        Ok((old, self.send_with_retries(Which::New, new).await?))
    }

    async fn send_with_retries(
        &mut self,
        which: Which,
        request: &Request<'_>,
    ) -> Result<Answer, Failure> {
        for _ in 0..MAX_ATTEMPTS {
            match self.send(which, request).await? {
                Response::Answer(answer) => return Ok(answer),
                Response::RetryAfter(delay) if delay <= MAX_DELAY => {
                    self.waited += delay;
                    tokio::time::sleep(delay).await;
                }
                Response::RetryAfter(_) => break,
            }
        }
        Err(Failure::new(format!(
            "The {which} server limits the rate of requests (429 or 503) too much. Shorten \
             limits.lookup_per_client.every and limits.lookup_per_account.every of the new server \
             during the comparison, or compare fewer addresses with --sample."
        )))
    }

    async fn send(&self, which: Which, request: &Request<'_>) -> Result<Response, Failure> {
        let base = match which {
            Which::Old => &self.old,
            Which::New => &self.new,
        };
        // Without the path, whose query may contain an address.
        let no_response = |error: &dyn fmt::Display| {
            Failure::new(format!(
                "No response from the {which} server at {base}: {error}."
            ))
        };
        let mut response = self
            .request(base, request)
            .await
            .map_err(|error: SendRequestError| no_response(&error))?;
        let status = response.status().as_u16();
        let retry_after = response.headers().get(RETRY_AFTER).cloned();
        let body = response
            .body()
            .limit(MAX_BODY_BYTES)
            .await
            .map_err(|error: PayloadError| no_response(&error))?;
        let body: Value = serde_json::from_slice(&body).unwrap_or_default();
        if matches!(status, 429 | 503) {
            let seconds = retry_after.and_then(|value| value.to_str().ok()?.parse().ok());
            let delay = body
                .get("retry_after_ms")
                .and_then(Value::as_u64)
                .map(Duration::from_millis)
                .or(seconds.map(Duration::from_secs));
            return Ok(Response::RetryAfter(
                delay.unwrap_or(Duration::from_secs(1)),
            ));
        }
        Ok(Response::Answer(Answer { status, body }))
    }

    fn request(&self, base: &BaseUrl, request: &Request<'_>) -> awc::SendClientRequest {
        let method = match request.body {
            Some(_) => Method::POST,
            None => Method::GET,
        };
        let mut builder = self
            .client
            .request(method, format!("{base}{}", request.path));
        if let Some(token) = request.token {
            builder = builder.insert_header((AUTHORIZATION, format!("Bearer {token}")));
        }
        match &request.body {
            Some(body) => builder.send_json(body),
            None => builder.send(),
        }
    }
}
