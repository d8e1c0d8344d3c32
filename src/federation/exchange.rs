//! One HTTP request on one connection. awc speaks HTTP/1.1 on a connection that is
//! already established, and follows no redirects.

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

/// The `User-Agent` of this server (NET-24).
const PRODUCT: &str = concat!("sydent/", env!("CARGO_PKG_VERSION"));

/// A request.
pub(super) struct Request<'a> {
    pub method: Method,
    /// The `Host` header.
    pub host: &'a str,
    /// Path and query.
    pub path: &'a str,
    /// A JSON body.
    pub body: Option<String>,
    /// The largest response body that is accepted, in bytes (NET-15). With 0, the
    /// body is not read.
    pub max_response: usize,
}

/// A response.
pub(super) struct Response {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: Vec<u8>,
}

/// Sends a request, reads the response and closes the connection. The caller sets
/// the timeout.
///
/// # Errors
/// The response is invalid or too large.
pub(super) async fn exchange(stream: Stream, request: Request<'_>) -> Result<Response, CallError> {
    let uri = Uri::builder()
        .scheme("http")
        .authority("homeserver.invalid")
        .path_and_query(request.path)
        .build()
        .map_err(invalid_response)?;
    let client_request = client(stream)
        .request(request.method, uri)
        .insert_header((HOST, request.host))
        .insert_header((USER_AGENT, PRODUCT))
        .force_close();
    let sending = match request.body {
        None => client_request.send(),
        Some(body) => client_request
            .insert_header((CONTENT_TYPE, "application/json"))
            .send_body(body),
    };
    let mut response = sending.await.map_err(invalid_response)?;
    let body = if request.max_response == 0 {
        Vec::new()
    } else {
        match response.body().limit(request.max_response).await {
            Ok(body) => body.to_vec(),
            Err(PayloadError::Overflow) => return Err(CallError::ResponseTooLarge),
            Err(error) => return Err(invalid_response(error)),
        }
    };
    Ok(Response {
        status: response.status().as_u16(),
        headers: response.headers().clone(),
        body,
    })
}

fn invalid_response(error: impl std::fmt::Display) -> CallError {
    CallError::InvalidResponse(error.to_string())
}

#[expect(
    clippy::disallowed_methods,
    reason = "this client cannot connect: it uses the one connection that passed the guard"
)]
fn client(stream: Stream) -> awc::Client {
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
struct SingleConnection(Rc<RefCell<Option<Stream>>>);

impl Service<ConnectInfo<Uri>> for SingleConnection {
    type Response = Connection<Uri, Stream>;
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
