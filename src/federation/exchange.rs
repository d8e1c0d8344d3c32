//! One HTTP request on one connection. awc speaks HTTP/1.1 here and nothing
//! else: it gets a connection that is there already, and follows no redirect.

use std::cell::RefCell;
use std::rc::Rc;
use std::task::{Context, Poll};

use actix_service::Service;
use actix_tls::connect::{ConnectError, ConnectInfo, Connection};
use awc::error::PayloadError;
use awc::http::header::{CONTENT_TYPE, HOST, HeaderMap, USER_AGENT};
use awc::http::{Method, Uri};
use futures_util::future::{Ready, ready};

use super::CallError;
use super::stream::Stream;

/// What this server calls itself (NET-24).
const NAME: &str = concat!("sydent/", env!("CARGO_PKG_VERSION"));

/// A request.
pub(super) struct Request<'a> {
    pub method: Method,
    /// What `Host` says.
    pub host: &'a str,
    /// Path and query.
    pub path: &'a str,
    /// A JSON body.
    pub body: Option<String>,
    /// How many bytes of the answer's body are read at most (NET-15). 0 reads
    /// none.
    pub limit: usize,
}

/// An answer.
pub(super) struct Answer {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: Vec<u8>,
}

/// Sends the request and reads the answer. The connection is closed then.
///
/// # Errors
/// When the answer is broken or too long. Without an end in time: the caller
/// sets one.
pub(super) async fn exchange(stream: Stream, request: Request<'_>) -> Result<Answer, CallError> {
    let client = client(stream);
    let uri = Uri::builder()
        .scheme("http")
        .authority("homeserver.invalid")
        .path_and_query(request.path)
        .build()
        .map_err(|error| CallError::Broken(error.to_string()))?;
    let prepared = client
        .request(request.method, uri)
        .insert_header((HOST, request.host))
        .insert_header((USER_AGENT, NAME))
        .force_close();
    let sent = match request.body {
        None => prepared.send(),
        Some(body) => prepared
            .insert_header((CONTENT_TYPE, "application/json"))
            .send_body(body),
    };
    let mut response = sent
        .await
        .map_err(|error| CallError::Broken(error.to_string()))?;
    let body = if request.limit == 0 {
        Vec::new()
    } else {
        let read = response.body().limit(request.limit).await;
        read.map(|body| body.to_vec())
            .map_err(|error| match error {
                PayloadError::Overflow => CallError::TooLong,
                error => CallError::Broken(error.to_string()),
            })?
    };
    Ok(Answer {
        status: response.status().as_u16(),
        headers: response.headers().clone(),
        body,
    })
}

#[expect(
    clippy::disallowed_methods,
    reason = "this client cannot connect: it has the one connection that passed the guard"
)]
fn client(stream: Stream) -> awc::Client {
    let given = Given(Rc::new(RefCell::new(Some(stream))));
    awc::Client::builder()
        .connector(awc::Connector::new().connector(given))
        .no_default_headers()
        .disable_redirects()
        .disable_timeout()
        .finish()
}

/// Hands out the connection that it was given, once.
#[derive(Clone)]
struct Given(Rc<RefCell<Option<Stream>>>);

impl Service<ConnectInfo<Uri>> for Given {
    type Response = Connection<Uri, Stream>;
    type Error = ConnectError;
    type Future = Ready<Result<Self::Response, Self::Error>>;

    fn poll_ready(&self, _context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&self, asked: ConnectInfo<Uri>) -> Self::Future {
        let given = self.0.borrow_mut().take();
        let stream = given.ok_or(ConnectError::NoRecords);
        ready(stream.map(|stream| Connection::new(asked.request().clone(), stream)))
    }
}
