//! A TCP connection for clients that break the rules of HTTP.

use std::net::SocketAddr;
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// One TCP connection to a listener.
pub struct RawConnection(TcpStream);

impl RawConnection {
    pub async fn connect(to: SocketAddr) -> Self {
        Self(TcpStream::connect(to).await.unwrap())
    }

    /// Sends a request or a part of one.
    pub async fn send(&mut self, text: &str) {
        self.0.write_all(text.as_bytes()).await.unwrap();
    }

    /// The next response: its head, and as much of a body as the head says.
    pub async fn read_response(&mut self) -> String {
        let mut answer = Vec::new();
        let read = async {
            loop {
                let text = String::from_utf8_lossy(&answer).into_owned();
                if let Some((head, body)) = text.split_once("\r\n\r\n") {
                    let length = head
                        .lines()
                        .find_map(|line| line.strip_prefix("content-length: "))
                        .map_or(0, |length| length.parse::<usize>().unwrap());
                    if body.len() >= length {
                        return text;
                    }
                }
                answer.push(self.0.read_u8().await.expect("the server answers"));
            }
        };
        tokio::time::timeout(Duration::from_secs(30), read)
            .await
            .expect("the server answers")
    }

    /// Everything that the server sends until it closes the connection, within 30 s.
    pub async fn read_to_end(&mut self) -> String {
        let mut answer = Vec::new();
        let read = self.0.read_to_end(&mut answer);
        tokio::time::timeout(Duration::from_secs(30), read)
            .await
            .expect("the server closes the connection")
            .unwrap();
        String::from_utf8_lossy(&answer).into_owned()
    }

    /// Closes the connection with a reset, as if the client had crashed.
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
