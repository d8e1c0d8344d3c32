//! A load on loopback: connections that send the next request as soon as one is
//! answered.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// The result of a load.
pub struct Figures {
    pub per_second: u64,
    pub median: Duration,
    pub slow: Duration,
}

/// Makes request number n.
pub type Request = Arc<dyn Fn(u32) -> String + Send + Sync>;

/// A `GET` of `path(n)`.
pub fn get(path: impl Fn(u32) -> String + Send + Sync + 'static) -> Request {
    Arc::new(move |number| format!("GET {} HTTP/1.1\r\nhost: localhost\r\n\r\n", path(number)))
}

/// A `POST` of `body(n)` with an access token.
pub fn post(
    path: &'static str,
    token: &str,
    body: impl Fn(u32) -> String + Send + Sync + 'static,
) -> Request {
    let token = token.to_owned();
    Arc::new(move |number| {
        let body = body(number);
        format!(
            "POST {path} HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {token}\r\n\
             content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        )
    })
}

/// Keeps `connections` connections busy for `time`.
pub fn load(at: SocketAddr, connections: u32, time: Duration, request: &Request) -> Figures {
    let started = Instant::now();
    let threads: Vec<_> = (0..connections)
        .map(|connection| {
            let request = Arc::clone(request);
            std::thread::spawn(move || send_for(at, connection * 1_000_003, time, &request))
        })
        .collect();
    let mut times: Vec<Duration> = threads
        .into_iter()
        .flat_map(|thread| thread.join().expect("a load"))
        .collect();
    let took = started.elapsed();
    times.sort_unstable();
    let count = times.len();
    Figures {
        per_second: u64::try_from(count as u128 * 1000 / took.as_millis()).expect("a figure"),
        median: times[count / 2],
        slow: times[count * 99 / 100],
    }
}

/// Sends a request for a token in its own thread, which returns the status.
pub fn request_token(at: SocketAddr, number: u32) -> JoinHandle<u16> {
    std::thread::spawn(move || {
        let body = format!(
            r#"{{"client_secret":"s{number}","email":"stalled{number}@example.com","send_attempt":1}}"#
        );
        let mut connection = Connection::open(at);
        let head = "POST /_matrix/identity/api/v1/validate/email/requestToken HTTP/1.1\r\nhost: localhost\r\n";
        let length = body.len();
        connection.send(&format!(
            "{head}content-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}"
        ))
    })
}

fn send_for(at: SocketAddr, first: u32, time: Duration, request: &Request) -> Vec<Duration> {
    let mut connection = Connection::open(at);
    let started = Instant::now();
    let mut times = Vec::new();
    for number in first.. {
        let sent = Instant::now();
        if sent - started > time {
            break;
        }
        let status = connection.send(&request(number));
        assert_eq!(status, 200);
        times.push(sent.elapsed());
    }
    times
}

struct Connection(BufReader<TcpStream>);

impl Connection {
    fn open(at: SocketAddr) -> Self {
        let stream = TcpStream::connect(at).expect("a connection");
        stream.set_nodelay(true).expect("a socket");
        Self(BufReader::new(stream))
    }

    fn send(&mut self, request: &str) -> u16 {
        self.0
            .get_mut()
            .write_all(request.as_bytes())
            .expect("the request is sent");
        let (mut line, mut status, mut length) = (String::new(), 0, 0);
        loop {
            line.clear();
            self.0.read_line(&mut line).expect("an answer");
            let lower = line.trim_end().to_ascii_lowercase();
            if let Some(rest) = lower.strip_prefix("http/1.1 ") {
                status = rest[..3].parse().expect("a status");
            } else if let Some(value) = lower.strip_prefix("content-length:") {
                length = value.trim().parse().expect("a length");
            } else if lower.is_empty() {
                break;
            }
        }
        self.0.read_exact(&mut vec![0; length]).expect("a body");
        status
    }
}
