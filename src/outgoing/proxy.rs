//! Connections through an HTTP proxy with `CONNECT` (RFC 9110, section 9.3.6).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

use super::CallError;
use super::response::Decoder;
use crate::config::Secret;

/// The largest response of a proxy that is read, in bytes.
const MAX_RESPONSE: usize = 16 * 1024;

/// Requests a connection to `destination`, `HOST:PORT`, from the proxy that `stream`
/// is connected to. Returns the stream, which leads to the destination then.
pub(super) async fn request_tunnel<S>(
    mut stream: S,
    destination: &str,
    login: Option<&Secret>,
) -> Result<S, CallError>
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
    let status = read_status(&mut stream).await?;
    match status {
        200..=299 => Ok(stream),
        status => Err(CallError::Proxy(format!("responded with status {status}"))),
    }
}

/// Reads the head of the response, with the rules for all responses.
async fn read_status(stream: &mut (impl AsyncRead + Unpin)) -> Result<u16, CallError> {
    let (mut decoder, mut output) = (Decoder::new(), Vec::new());
    // Byte by byte: the bytes after the head belong to the TLS connection. A TLS
    // server sends nothing before the client, so there are none yet.
    for _ in 0..MAX_RESPONSE {
        let byte = stream.read_u8().await.map_err(|error| io_failure(&error))?;
        decoder
            .push(&[byte], &mut output)
            .map_err(|error| CallError::Proxy(error.to_string()))?;
        if let Some(status) = decoder.status() {
            return Ok(status);
        }
    }
    Err(CallError::Proxy("response too large".to_owned()))
}

fn io_failure(error: &std::io::Error) -> CallError {
    CallError::Proxy(error.kind().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Requests a tunnel from a proxy with this response. Returns the outcome and the
    /// request.
    async fn request(response: &str, login: Option<&str>) -> (Result<(), CallError>, String) {
        let (ours, mut theirs) = tokio::io::duplex(64 * 1024);
        theirs.write_all(response.as_bytes()).await.unwrap();
        theirs.shutdown().await.unwrap();
        let login = login.map(|login| Secret::from(login.to_owned()));
        let outcome = request_tunnel(ours, "hs.example:8448", login.as_ref()).await;
        let outcome = outcome.map(drop);
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
        for odd in [
            "HTTP/1.1 200 Connection \u{fc}\n\n",
            "HTTP/1.1 100\r\n\r\nHTTP/1.1 200\r\nContent-Length: 7\r\n\r\n",
        ] {
            assert_eq!(request(odd, None).await.0, Ok(()), "{odd}");
        }
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
