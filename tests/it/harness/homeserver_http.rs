//! The HTTP of the tests' homeserver, with its failures.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use rustls::ServerConfig;
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use super::homeserver::State;

/// A request that the homeserver received.
#[derive(Debug, Clone)]
pub struct Request {
    pub method: String,
    /// The path, without the query.
    pub path: String,
    pub query: String,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
    /// The server name of the TLS handshake (SNI).
    pub sni: Option<String>,
}

impl Request {
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut headers = self.headers.iter();
        let found = headers.find(|(found, _)| found == name);
        found.map(|(_, value)| value.as_str())
    }

    pub fn query(&self, name: &str) -> Option<String> {
        let mut pairs = url::form_urlencoded::parse(self.query.as_bytes());
        pairs
            .find(|(found, _)| found == name)
            .map(|(_, value)| value.into_owned())
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }
}

/// The response to requests for a path.
#[derive(Debug, Clone)]
pub enum Behaviour {
    /// A status, further headers and a body.
    Answer(u16, Vec<(String, String)>, Vec<u8>),
    /// These bytes, after which the connection is closed: with an end of TLS, or
    /// without, as many servers do.
    Bytes(Vec<u8>, TlsEnd),
    /// None; the connection stays open.
    Silent,
    /// A header that never ends, a few bytes at a time.
    DrippingHead,
    /// A body that arrives one byte at a time.
    DrippingBody,
    /// A chunked body that never ends.
    Endless,
    /// None; the connection is closed.
    HangUp,
}

/// Whether a server says that its data ends (`close_notify`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TlsEnd {
    Said,
    Missing,
}

impl Behaviour {
    /// A response as it is on the wire.
    pub fn bytes(response: impl Into<Vec<u8>>) -> Self {
        Self::Bytes(response.into(), TlsEnd::Said)
    }

    /// A JSON body.
    pub fn json(status: u16, body: &Value) -> Self {
        let kind = ("content-type".to_owned(), "application/json".to_owned());
        Self::Answer(status, vec![kind], body.to_string().into_bytes())
    }

    /// A body without a content type.
    pub fn text(status: u16, body: impl Into<String>) -> Self {
        Self::Answer(status, Vec::new(), body.into().into_bytes())
    }

    /// Whether another request may follow on the connection.
    fn leaves_open(&self) -> bool {
        let Self::Answer(_, headers, _) = self else {
            return false;
        };
        let mut names = headers.iter().map(|(name, _)| name);
        !names.any(|name| name.eq_ignore_ascii_case("connection"))
    }

    /// A redirect.
    pub fn redirect(location: &str) -> Self {
        let location = ("location".to_owned(), location.to_owned());
        Self::Answer(302, vec![location], Vec::new())
    }
}

/// Serves in a thread; returns the address.
pub(super) fn serve(listen: &str, tls: Arc<ServerConfig>, state: Arc<State>) -> SocketAddr {
    let acceptor = TlsAcceptor::from(tls);
    let listener = std::net::TcpListener::bind(listen).unwrap();
    listener.set_nonblocking(true).unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async move {
            let listener = TcpListener::from_std(listener).unwrap();
            while let Ok((stream, _)) = listener.accept().await {
                let (acceptor, state) = (acceptor.clone(), Arc::clone(&state));
                tokio::spawn(async move {
                    if let Ok(mut stream) = acceptor.accept(stream).await {
                        state.count_connection();
                        let sni = stream.get_ref().1.server_name().map(str::to_owned);
                        // An error means that the client hung up.
                        let _ = converse(&mut stream, sni, &state).await;
                    }
                });
            }
        });
    });
    address
}

async fn converse<S>(stream: &mut S, sni: Option<String>, state: &State) -> std::io::Result<()>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    while let Some(request) = read(stream, sni.clone()).await? {
        let behaviour = state.answer(&request);
        answer(stream, &behaviour).await?;
        if !behaviour.leaves_open() {
            return stream.shutdown().await;
        }
    }
    Ok(())
}

async fn read<S: AsyncRead + Unpin>(
    stream: &mut S,
    sni: Option<String>,
) -> std::io::Result<Option<Request>> {
    let mut bytes = Vec::new();
    let end = loop {
        if let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            break end;
        }
        if stream.read_buf(&mut bytes).await? == 0 {
            return Ok(None);
        }
    };
    let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
    let mut lines = head.split("\r\n");
    let mut first = lines.next().unwrap().split(' ');
    let (method, target) = (first.next().unwrap(), first.next().unwrap());
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let headers: Vec<(String, String)> = lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_lowercase(), value.trim().to_owned()))
        .collect();
    let mut request = Request {
        method: method.to_owned(),
        path: path.to_owned(),
        query: query.to_owned(),
        headers,
        body: bytes.split_off(end + 4),
        sni,
    };
    let length = request.header("content-length");
    let length: usize = length.map_or(0, |length| length.parse().unwrap());
    while request.body.len() < length {
        if stream.read_buf(&mut request.body).await? == 0 {
            return Ok(None);
        }
    }
    Ok(Some(request))
}

async fn answer<S>(stream: &mut S, behaviour: &Behaviour) -> std::io::Result<()>
where
    S: AsyncWrite + Unpin,
{
    match behaviour {
        Behaviour::Answer(status, headers, body) => {
            let mut head = format!("HTTP/1.1 {status} Status\r\n");
            for (name, value) in headers {
                let _ = write!(head, "{name}: {value}\r\n");
            }
            let _ = write!(head, "content-length: {}\r\n\r\n", body.len());
            stream.write_all(head.as_bytes()).await?;
            stream.write_all(body).await
        }
        Behaviour::Bytes(bytes, end) => {
            stream.write_all(bytes).await?;
            stream.flush().await?;
            match end {
                TlsEnd::Said => Ok(()),
                TlsEnd::Missing => Err(std::io::Error::other("no end of TLS")),
            }
        }
        Behaviour::Silent => {
            tokio::time::sleep(Duration::from_mins(10)).await;
            Ok(())
        }
        Behaviour::DrippingHead => {
            stream.write_all(b"HTTP/1.1 200 OK\r\n").await?;
            drip(stream, b"x-a: b\r\n").await
        }
        Behaviour::DrippingBody => {
            let head = b"HTTP/1.1 200 OK\r\ncontent-length: 5000\r\n\r\n";
            stream.write_all(head).await?;
            drip(stream, b" ").await
        }
        Behaviour::Endless => {
            let head = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";
            stream.write_all(head).await?;
            loop {
                stream.write_all(b"400\r\n").await?;
                stream.write_all(&[b' '; 0x400]).await?;
                stream.write_all(b"\r\n").await?;
            }
        }
        Behaviour::HangUp => Ok(()),
    }
}

async fn drip<S: AsyncWrite + Unpin>(stream: &mut S, drop: &[u8]) -> std::io::Result<()> {
    loop {
        stream.write_all(drop).await?;
        stream.flush().await?;
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
