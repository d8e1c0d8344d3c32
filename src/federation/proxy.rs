//! Connections through an HTTP proxy with `CONNECT` (RFC 9110, section 9.3.6).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::CallError;
use crate::config::{Proxy, Secret};

/// The largest response of a proxy that is read, in bytes.
const MAX_RESPONSE: usize = 16 * 1024;

/// Connects to `destination`, `HOST:PORT`, through the proxy.
pub(super) async fn connect(proxy: &Proxy, destination: &str) -> Result<TcpStream, CallError> {
    let mut stream = TcpStream::connect((proxy.host.as_str(), proxy.port))
        .await
        .map_err(|error| io_failure(&error))?;
    request_tunnel(&mut stream, destination, proxy.login.as_ref()).await?;
    Ok(stream)
}

async fn request_tunnel<S>(
    stream: &mut S,
    destination: &str,
    login: Option<&Secret>,
) -> Result<(), CallError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let authorization = login.map_or_else(String::new, |login| {
        let encoded = STANDARD.encode(login.expose());
        format!("Proxy-Authorization: Basic {encoded}\r\n")
    });
    let request =
        format!("CONNECT {destination} HTTP/1.1\r\nHost: {destination}\r\n{authorization}\r\n");
    stream
        .write_all(request.as_bytes())
        .await
        .map_err(|error| io_failure(&error))?;
    let mut head = Vec::new();
    // Byte by byte: the bytes after the head belong to the TLS connection. A TLS
    // server sends nothing before the client, so there are none yet.
    while !head.ends_with(b"\r\n\r\n") {
        if head.len() >= MAX_RESPONSE {
            return Err(CallError::Proxy("response too large".to_owned()));
        }
        head.push(stream.read_u8().await.map_err(|error| io_failure(&error))?);
    }
    match status(&head) {
        Some(200..=299) => Ok(()),
        Some(status) => Err(CallError::Proxy(format!("responded with status {status}"))),
        None => Err(CallError::Proxy("response is not HTTP".to_owned())),
    }
}

fn io_failure(error: &std::io::Error) -> CallError {
    CallError::Proxy(error.kind().to_string())
}

fn status(head: &[u8]) -> Option<u16> {
    let line = std::str::from_utf8(head).ok()?.lines().next()?;
    let (version, rest) = line.split_once(' ')?;
    let status = rest.split(' ').next()?;
    version
        .starts_with("HTTP/1.")
        .then(|| status.parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Requests a tunnel from a proxy with this response. Returns the outcome and the
    /// request.
    async fn request(response: &str, login: Option<&str>) -> (Result<(), CallError>, String) {
        let (mut ours, mut theirs) = tokio::io::duplex(64 * 1024);
        theirs.write_all(response.as_bytes()).await.unwrap();
        theirs.shutdown().await.unwrap();
        let login = login.map(|login| Secret::from(login.to_owned()));
        let outcome = request_tunnel(&mut ours, "hs.example:8448", login.as_ref()).await;
        drop(ours);
        let mut received = String::new();
        theirs.read_to_string(&mut received).await.unwrap();
        (outcome, received)
    }

    #[tokio::test]
    async fn proxy_receives_a_connect_request() {
        let (outcome, received) = request("HTTP/1.1 200 Connected\r\nX: y\r\n\r\n", None).await;
        assert_eq!(outcome, Ok(()));
        let expected = "CONNECT hs.example:8448 HTTP/1.1\r\nHost: hs.example:8448\r\n\r\n";
        assert_eq!(received, expected);
        let (_, received) = request("HTTP/1.0 200\r\n\r\n", Some("user:pass")).await;
        assert!(received.contains("\r\nProxy-Authorization: Basic dXNlcjpwYXNz\r\n"));
    }

    #[tokio::test]
    async fn unsuccessful_connect_is_a_failure() {
        let endless = format!("HTTP/1.1 200 OK\r\nX: {}", "y".repeat(20_000));
        for (response, part) in [
            ("HTTP/1.1 403 Forbidden\r\n\r\n", "403"),
            ("HTTP/1.1 407 Log in\r\n\r\n", "407"),
            ("SSH-2.0-x\r\n\r\n", "HTTP"),
            ("HTTP/1.1 OK\r\n\r\n", "HTTP"),
            ("HTTP/1.1 200 OK\r\n", "end of file"),
            (endless.as_str(), "too large"),
        ] {
            let (outcome, _) = request(response, None).await;
            let failure = outcome.unwrap_err().to_string();
            assert!(failure.contains(part), "{failure} for {response}");
        }
    }
}
