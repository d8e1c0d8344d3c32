//! The two servers, and how they are asked.

use std::fmt;
use std::time::Duration;

use awc::http::Method;
use awc::http::header::{AUTHORIZATION, RETRY_AFTER};
use serde_json::Value;

use crate::cli::Failure;
use crate::config::BaseUrl;
use crate::import::verify::Answer;

pub(super) const V1: &str = "/_matrix/identity/api/v1";
pub(super) const V2: &str = "/_matrix/identity/v2";

/// Longer than a server that has much to do takes to answer.
const PATIENCE: Duration = Duration::from_mins(1);
/// The longest pause that a server may ask for.
const LONGEST_PAUSE: Duration = Duration::from_mins(2);
/// So often in a row it may ask for one.
const PAUSES: u32 = 10;
/// More than the answer to the largest question has.
const BODY_BYTES: usize = 64 << 20;

/// The two servers.
pub(super) struct Servers {
    old: BaseUrl,
    new: BaseUrl,
    client: awc::Client,
    /// How long they were waited for because they said so, in all.
    pub(super) waited: Duration,
}

/// A question to both.
pub(super) struct Question<'a> {
    path: String,
    body: Option<Value>,
    token: Option<&'a str>,
}

impl<'a> Question<'a> {
    /// A question by GET; the path has its query.
    pub(super) fn get(path: String) -> Self {
        Self {
            path,
            body: None,
            token: None,
        }
    }

    /// A question by POST.
    pub(super) fn post(path: String, body: Value) -> Self {
        Self {
            body: Some(body),
            ..Self::get(path)
        }
    }

    /// The same with an access token.
    pub(super) fn by(self, token: &'a str) -> Self {
        Self {
            token: Some(token),
            ..self
        }
    }
}

#[derive(Clone, Copy)]
enum Which {
    OldDatabase,
    New,
}

impl fmt::Display for Which {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::OldDatabase => "old",
            Self::New => "new",
        })
    }
}

/// An answer, or the pause that the server asks for.
enum Said {
    Answer(Answer),
    Wait(Duration),
}

impl Servers {
    #[expect(
        clippy::disallowed_methods,
        reason = "whoever runs the command chooses the addresses, and internal ones are what is \
                  wanted"
    )]
    pub(super) fn new(old: BaseUrl, new: BaseUrl) -> Self {
        let client = awc::Client::builder()
            .disable_redirects()
            .timeout(PATIENCE)
            .finish();
        Self {
            old,
            new,
            client,
            waited: Duration::ZERO,
        }
    }

    /// Asks the old server alone.
    pub(super) async fn old(&mut self, question: &Question<'_>) -> Result<Answer, Failure> {
        self.patiently(Which::OldDatabase, question).await
    }

    /// Asks both, the old one first.
    pub(super) async fn both(
        &mut self,
        question: &Question<'_>,
    ) -> Result<(Answer, Answer), Failure> {
        self.each(question, question).await
    }

    /// Asks each its own question.
    pub(super) async fn each(
        &mut self,
        old: &Question<'_>,
        new: &Question<'_>,
    ) -> Result<(Answer, Answer), Failure> {
        let old = self.patiently(Which::OldDatabase, old).await?;
        Ok((old, self.patiently(Which::New, new).await?))
    }

    async fn patiently(
        &mut self,
        which: Which,
        question: &Question<'_>,
    ) -> Result<Answer, Failure> {
        for _ in 0..PAUSES {
            match self.send(which, question).await? {
                Said::Answer(answer) => return Ok(answer),
                Said::Wait(pause) if pause <= LONGEST_PAUSE => {
                    self.waited += pause;
                    tokio::time::sleep(pause).await;
                }
                Said::Wait(_) => break,
            }
        }
        Err(Failure::new(format!(
            "The {which} server wants to be asked less often (429 or 503), for too long to wait. \
             Shorten limits.lookup_per_client.every and limits.lookup_per_account.every of the new \
             server while you compare, or compare fewer addresses with --sample."
        )))
    }

    async fn send(&self, which: Which, question: &Question<'_>) -> Result<Said, Failure> {
        let base = match which {
            Which::OldDatabase => &self.old,
            Which::New => &self.new,
        };
        let method = match question.body {
            Some(_) => Method::POST,
            None => Method::GET,
        };
        // The path may have an address in its query, and is not told.
        let silent = |error: &dyn fmt::Display| {
            Failure::new(format!(
                "The {which} server at {base} gave no answer: {error}."
            ))
        };
        let mut request = self
            .client
            .request(method, format!("{base}{}", question.path));
        if let Some(token) = question.token {
            request = request.insert_header((AUTHORIZATION, format!("Bearer {token}")));
        }
        let sent = match &question.body {
            Some(body) => request.send_json(body),
            None => request.send(),
        };
        let mut response = sent.await.map_err(|error| silent(&error))?;
        let status = response.status().as_u16();
        let header = response.headers().get(RETRY_AFTER).cloned();
        let body = response.body().limit(BODY_BYTES).await;
        let body = body.map_err(|error| silent(&error))?;
        let body: Value = serde_json::from_slice(&body).unwrap_or_default();
        if matches!(status, 429 | 503) {
            let seconds = header.and_then(|value| value.to_str().ok()?.parse().ok());
            let millis = body.get("retry_after_ms").and_then(Value::as_u64);
            let pause = millis.map(Duration::from_millis);
            let pause = pause.or(seconds.map(Duration::from_secs));
            return Ok(Said::Wait(pause.unwrap_or(Duration::from_secs(1))));
        }
        Ok(Said::Answer(Answer { status, body }))
    }
}
