//! Requests on loopback: connections that send the next one as soon as one is answered.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use serde_json::Value;

const TIMEOUT: Duration = Duration::from_mins(1);

/// A connection that stays open.
pub struct Connection {
    stream: BufReader<TcpStream>,
    body: Vec<u8>,
}

impl Connection {
    pub fn open(at: SocketAddr) -> Self {
        let stream = TcpStream::connect(at).expect("a connection");
        stream.set_nodelay(true).expect("a socket");
        stream.set_read_timeout(Some(TIMEOUT)).expect("a socket");
        Self {
            stream: BufReader::new(stream),
            body: Vec::new(),
        }
    }

    /// Sends a request as it is; returns the status. The body stays in the connection.
    pub fn send(&mut self, request: &[u8]) -> u16 {
        let stream = self.stream.get_mut();
        stream.write_all(request).expect("the request is sent");
        let (mut line, mut status, mut length) = (String::new(), 0, 0);
        loop {
            line.clear();
            self.stream.read_line(&mut line).expect("an answer");
            let lower = line.trim_end().to_ascii_lowercase();
            if let Some(rest) = lower.strip_prefix("http/1.1 ") {
                status = rest[..3].parse().expect("a status");
            } else if let Some(value) = lower.strip_prefix("content-length:") {
                length = value.trim().parse().expect("a length");
            } else if lower.is_empty() {
                break;
            }
        }
        self.body.resize(length, 0);
        self.stream.read_exact(&mut self.body).expect("a body");
        status
    }

    /// Posts JSON, which must be answered with JSON.
    pub fn post(&mut self, path: &str, token: &str, body: &Value) -> Value {
        let body = body.to_string();
        let request = format!(
            "POST {path} HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {token}\r\n\
             content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        );
        let status = self.send(request.as_bytes());
        let answer = String::from_utf8_lossy(&self.body);
        assert!(status == 200, "{path} answers {status} {answer}");
        serde_json::from_str(&answer).expect("JSON")
    }
}

/// Reads a file of requests: each is a line with its length, and then the request.
pub fn read_requests(file: &str) -> Vec<Vec<u8>> {
    let bytes = std::fs::read(file).expect("a file of requests");
    let (mut rest, mut requests) = (&bytes[..], Vec::new());
    while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
        let length = std::str::from_utf8(&rest[..end]).ok();
        let length: usize = length.and_then(|it| it.parse().ok()).expect("a length");
        let from = end + 1;
        requests.push(rest[from..from + length].to_vec());
        rest = &rest[from + length..];
    }
    requests
}
