//! The way through an HTTP proxy: `CONNECT` (RFC 9110 section 9.3.6).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::CallError;
use crate::config::{Proxy, Secret};

/// More than a proxy has to say, in bytes.
const LONGEST_ANSWER: usize = 16 * 1024;

/// Lets the proxy open a connection to `to`, `HOST:PORT`.
pub(super) async fn connect(proxy: &Proxy, to: &str) -> Result<TcpStream, CallError> {
    let address = (proxy.host.as_str(), proxy.port);
    let failed = |error: std::io::Error| CallError::Proxy(error.kind().to_string());
    let mut stream = TcpStream::connect(address).await.map_err(failed)?;
    ask(&mut stream, to, proxy.login.as_ref()).await?;
    Ok(stream)
}

async fn ask<S>(stream: &mut S, to: &str, login: Option<&Secret>) -> Result<(), CallError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let failed = |error: std::io::Error| CallError::Proxy(error.kind().to_string());
    let login = login.map_or_else(String::new, |login| {
        let coded = STANDARD.encode(login.expose());
        format!("Proxy-Authorization: Basic {coded}\r\n")
    });
    let request = format!("CONNECT {to} HTTP/1.1\r\nHost: {to}\r\n{login}\r\n");
    stream.write_all(request.as_bytes()).await.map_err(failed)?;
    let mut head = Vec::new();
    // Byte by byte: what follows the head is the homeserver's, and TLS's to
    // read. (A server in TLS says nothing before it is spoken to.)
    while !head.ends_with(b"\r\n\r\n") {
        if head.len() >= LONGEST_ANSWER {
            return Err(CallError::Proxy("its answer was too long".to_owned()));
        }
        head.push(stream.read_u8().await.map_err(failed)?);
    }
    match status(&head) {
        Some(200..=299) => Ok(()),
        Some(status) => Err(CallError::Proxy(format!("it answered {status}"))),
        None => Err(CallError::Proxy("it does not speak HTTP".to_owned())),
    }
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

    /// What comes of a proxy that answers so, and what it heard.
    async fn ask_of(answer: &str, login: Option<&str>) -> (Result<(), CallError>, String) {
        let (mut ours, mut theirs) = tokio::io::duplex(64 * 1024);
        theirs.write_all(answer.as_bytes()).await.unwrap();
        theirs.shutdown().await.unwrap();
        let login = login.map(|login| Secret::from(login.to_owned()));
        let outcome = ask(&mut ours, "hs.example:8448", login.as_ref()).await;
        drop(ours);
        let mut heard = String::new();
        theirs.read_to_string(&mut heard).await.unwrap();
        (outcome, heard)
    }

    #[tokio::test]
    async fn a_proxy_is_asked_for_a_connection() {
        let (outcome, heard) = ask_of("HTTP/1.1 200 Connected\r\nX: y\r\n\r\n", None).await;
        assert_eq!(outcome, Ok(()));
        let wanted = "CONNECT hs.example:8448 HTTP/1.1\r\nHost: hs.example:8448\r\n\r\n";
        assert_eq!(heard, wanted);
        let (_, heard) = ask_of("HTTP/1.0 200\r\n\r\n", Some("user:pass")).await;
        assert!(heard.contains("\r\nProxy-Authorization: Basic dXNlcjpwYXNz\r\n"));
    }

    #[tokio::test]
    async fn what_is_no_connection_is_a_failure() {
        let endless = format!("HTTP/1.1 200 OK\r\nX: {}", "y".repeat(20_000));
        for (answer, part) in [
            ("HTTP/1.1 403 Forbidden\r\n\r\n", "403"),
            ("HTTP/1.1 407 Log in\r\n\r\n", "407"),
            ("SSH-2.0-x\r\n\r\n", "HTTP"),
            ("HTTP/1.1 OK\r\n\r\n", "HTTP"),
            ("HTTP/1.1 200 OK\r\n", "end of file"),
            (endless.as_str(), "too long"),
        ] {
            let (outcome, _) = ask_of(answer, None).await;
            let failure = outcome.unwrap_err().to_string();
            assert!(failure.contains(part), "{failure} for {answer}");
        }
    }
}
