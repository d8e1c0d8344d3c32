//! One HTTP request on one connection. awc speaks HTTP/1.1 on a connection that is
//! already established, and follows no redirects. The stream decodes the response
//! (`response`).

use std::cell::RefCell;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use actix_service::Service;
use actix_tls::connect::{ConnectError, ConnectInfo, Connection};
use awc::ClientResponse;
use awc::error::PayloadError;
use awc::http::header::{
    ACCEPT_ENCODING, CONTENT_TYPE, HOST, HeaderMap, HeaderName, HeaderValue, USER_AGENT,
};
use awc::http::{Method, Uri};
use futures_util::future::{Ready, ready};
use tokio::time::{Instant, timeout, timeout_at};

use super::CallError;
use super::shared::Shared;
use super::stream::Stream;

/// The `User-Agent` of this server (NET-24).
const PRODUCT: &str = concat!("sydent/", env!("CARGO_PKG_VERSION"));

/// How many bytes of a body that nobody wants are read, so that the connection can be used
/// again, and how long they are waited for.
const MAX_UNREAD: usize = 16 * 1024;
const UNREAD_FOR: Duration = Duration::from_millis(100);

/// A longer body may not be sent to its end when the response comes, so that the connection
/// is not used again.
const MAX_SENT: usize = 16 * 1024;

/// A request.
pub(crate) struct Request<'a> {
    pub method: Method,
    /// The `Host` header.
    pub host: &'a str,
    /// Path and query.
    pub path: &'a str,
    /// Further headers.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// The body.
    pub body: Option<String>,
    /// The largest response body that is accepted, in bytes (NET-15). With 0, the
    /// body is not read.
    pub max_response: usize,
}

impl<'a> Request<'a> {
    /// A request without a body, unless `json` is one.
    pub(crate) fn new(method: Method, host: &'a str, path: &'a str, json: Option<String>) -> Self {
        let json_type = HeaderValue::from_static("application/json");
        Self {
            method,
            host,
            path,
            headers: json
                .iter()
                .map(|_| (CONTENT_TYPE, json_type.clone()))
                .collect(),
            body: json,
            max_response: 0,
        }
    }

    /// Accepts a response body of up to so many bytes.
    pub(crate) fn with_max_response(mut self, bytes: usize) -> Self {
        self.max_response = bytes;
        self
    }
}

/// A complete response.
pub(crate) struct Response {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: Vec<u8>,
}

/// The head of a response, and its body as far as that can be read.
pub(crate) struct Answer {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: Result<Vec<u8>, CallError>,
}

/// Sends a request, reads the whole response and closes the connection. The caller
/// sets the timeout.
///
/// # Errors
/// The response is invalid, incomplete or too large.
pub(crate) async fn exchange(stream: Stream, request: Request<'_>) -> Result<Response, CallError> {
    let max_response = request.max_response;
    let mut response = read_head(Shared::new(stream, true), request).await?;
    let body = read_body(&mut response, max_response).await?;
    Ok(Response {
        status: response.status().as_u16(),
        headers: response.headers().clone(),
        body,
    })
}

/// Like [`exchange`], for callers to which the status alone says something: the head
/// of the response is enough.
///
/// # Errors
/// Until `deadline` there is no response, or its head is invalid.
pub(crate) async fn send(
    stream: Stream,
    request: Request<'_>,
    deadline: Instant,
) -> Result<Answer, CallError> {
    let max_response = request.max_response;
    let mut response = timeout_at(deadline, read_head(Shared::new(stream, true), request))
        .await
        .unwrap_or(Err(CallError::TimedOut))?;
    let body = timeout_at(deadline, read_body(&mut response, max_response));
    let body = body.await.unwrap_or(Err(CallError::TimedOut));
    Ok(Answer {
        status: response.status().as_u16(),
        headers: response.headers().clone(),
        body,
    })
}

/// A connection that may carry several requests, one after the other.
#[derive(Debug)]
pub(crate) struct Reusable(Shared);

/// Why there is no response.
pub(crate) struct Failed {
    pub error: CallError,
    /// Whether the server sent nothing of a response: it may have closed the connection
    /// before it got the request.
    pub is_unanswered: bool,
}

impl Reusable {
    /// A new connection.
    pub(crate) fn new(stream: Stream) -> Self {
        Self(Shared::new(stream, false))
    }

    /// Whether it can still be used, as far as one can see from here.
    pub(crate) fn is_idle(&self) -> bool {
        self.0.with(Stream::is_idle)
    }

    /// As [`exchange`], and returns whether another request may follow.
    ///
    /// # Errors
    /// As there.
    pub(crate) async fn exchange(&self, request: Request<'_>) -> Result<(Response, bool), Failed> {
        let max_response = request.max_response;
        let is_short = |body: &String| body.len() <= MAX_SENT;
        let is_sent = request.body.as_ref().is_none_or(is_short);
        let answered = async {
            let mut response = read_head(self.0.clone(), request).await?;
            let body = if max_response == 0 {
                if is_sent && self.0.with(|stream| stream.persists()) {
                    let rest = read_body(&mut response, MAX_UNREAD);
                    // Without its end, the connection is closed, which is no harm.
                    let _ = timeout(UNREAD_FOR, rest).await;
                }
                Vec::new()
            } else {
                read_body(&mut response, max_response).await?
            };
            Ok(Response {
                status: response.status().as_u16(),
                headers: response.headers().clone(),
                body,
            })
        };
        match answered.await {
            Ok(response) => Ok((response, is_sent && self.0.with(Stream::renew))),
            Err(error) => Err(Failed {
                error,
                is_unanswered: self.0.with(|stream| stream.is_unanswered()),
            }),
        }
    }
}

/// Sends a request and reads the head of the response.
async fn read_head(stream: Shared, request: Request<'_>) -> Result<ClientResponse, CallError> {
    let uri = Uri::builder()
        .scheme("http")
        .authority("server.invalid")
        .path_and_query(request.path)
        .build()
        .map_err(invalid_response)?;
    let closes = stream.closes();
    let mut client_request = client(stream)
        .request(request.method, uri)
        .insert_header((HOST, request.host))
        .insert_header((USER_AGENT, PRODUCT))
        // Without it a server may choose any coding (RFC 9110, section 12.5.3).
        .insert_header((ACCEPT_ENCODING, "identity"));
    if closes {
        client_request = client_request.force_close();
    }
    for header in request.headers {
        client_request = client_request.insert_header(header);
    }
    let sending = match request.body {
        None => client_request.send(),
        Some(body) => client_request.send_body(body),
    };
    sending.await.map_err(invalid_response)
}

/// Reads the body of a response, up to so many bytes; with 0, not at all.
async fn read_body(
    response: &mut ClientResponse,
    max_response: usize,
) -> Result<Vec<u8>, CallError> {
    if max_response == 0 {
        return Ok(Vec::new());
    }
    match response.body().limit(max_response).await {
        Ok(body) => Ok(body.to_vec()),
        Err(PayloadError::Overflow) => Err(CallError::ResponseTooLarge),
        Err(error) => Err(invalid_response(error)),
    }
}

fn invalid_response(error: impl std::fmt::Display) -> CallError {
    CallError::InvalidResponse(error.to_string())
}

#[expect(
    clippy::disallowed_methods,
    reason = "this client cannot connect: it uses the one connection that passed the guard"
)]
fn client(stream: Shared) -> awc::Client {
    let connector = SingleConnection(Rc::new(RefCell::new(Some(stream))));
    awc::Client::builder()
        .connector(awc::Connector::new().connector(connector))
        .no_default_headers()
        .disable_redirects()
        .disable_timeout()
        .finish()
}

/// A connector that returns one established connection, once.
#[derive(Clone)]
struct SingleConnection(Rc<RefCell<Option<Shared>>>);

impl Service<ConnectInfo<Uri>> for SingleConnection {
    type Response = Connection<Uri, Shared>;
    type Error = ConnectError;
    type Future = Ready<Result<Self::Response, Self::Error>>;

    fn poll_ready(&self, _context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&self, info: ConnectInfo<Uri>) -> Self::Future {
        let connection = self
            .0
            .borrow_mut()
            .take()
            .map(|stream| Connection::new(info.request().clone(), stream));
        ready(connection.ok_or(ConnectError::NoRecords))
    }
}
