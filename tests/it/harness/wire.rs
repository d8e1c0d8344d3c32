//! A connection on which a client does what no good client does.

use std::net::SocketAddr;
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// One TCP connection to a listener.
pub struct Wire(TcpStream);

impl Wire {
    pub async fn connect(to: SocketAddr) -> Self {
        Self(TcpStream::connect(to).await.unwrap())
    }

    /// Sends bytes of a request, or of a part of one.
    pub async fn send(&mut self, text: &str) {
        self.0.write_all(text.as_bytes()).await.unwrap();
    }

    /// All that the server sends until it closes, within 30 s.
    pub async fn rest(&mut self) -> String {
        let mut answer = Vec::new();
        let read = self.0.read_to_end(&mut answer);
        tokio::time::timeout(Duration::from_secs(30), read)
            .await
            .expect("the server closes the connection")
            .unwrap();
        String::from_utf8_lossy(&answer).into_owned()
    }

    /// Hangs up with a reset, as when the client's machine has died.
    pub fn reset(self) {
        self.0.set_zero_linger().unwrap();
    }
}

/// The bytes of a `POST` with that body.
pub fn post(path: &str, body: &Value) -> String {
    let body = body.to_string();
    format!(
        "POST {path} HTTP/1.1\r\nHost: id.example.test\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\n\r\n{body}",
        body.len(),
    )
}
