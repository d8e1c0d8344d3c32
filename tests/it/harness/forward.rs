//! What a load balancer does with the connection of a client: it gives each request to the
//! next server. What it does not understand it gives to one server, unchanged, with all
//! that follows: TLS, for example, or requests that break the rules of HTTP.

use std::collections::HashMap;
use std::future::pending;
use std::io::{Error, ErrorKind, Result};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, copy};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::time::timeout;

use super::framing::{Body, Head};

/// How long a client may go on sending a request that is answered already.
const DRAIN: Duration = Duration::from_secs(2);

/// Forwards the requests of a client until it closes the connection.
pub async fn forward(client: TcpStream, next: impl Fn() -> Option<SocketAddr>) -> Result<()> {
    let mut client = Connection::new(client);
    let mut servers: HashMap<SocketAddr, Connection> = HashMap::new();
    loop {
        let head = client.from.head().await?;
        let Some(head) = head else {
            if client.from.buffer.is_empty() {
                return Ok(());
            }
            return tunnel(client, connect(next()).await?).await;
        };
        let Some(body) = head.request_body() else {
            client.from.put_back(&head);
            return tunnel(client, connect(next()).await?).await;
        };
        let address = next();
        let kept = address.and_then(|address| servers.remove(&address));
        let mut server = match kept.filter(Connection::is_open) {
            Some(server) => server,
            None => connect(address).await?,
        };
        match exchange(&mut client, &mut server, &head, body).await? {
            Then::Both => drop(address.map(|address| servers.insert(address, server))),
            Then::Client => {}
            Then::Neither => return client.drain().await,
        }
    }
}

/// Which connections can be used again.
enum Then {
    Both,
    Client,
    Neither,
}

async fn exchange(
    client: &mut Connection,
    server: &mut Connection,
    head: &Head,
    body: Body,
) -> Result<Then> {
    let is_sent = AtomicBool::new(false);
    let (requests, answers) = (&mut client.from, &mut client.to);
    let (from, to) = (&mut server.from, &mut server.to);
    let request = async {
        let sent = async {
            to.write_all(&head.bytes).await?;
            requests.copy_body(to, body).await?;
            is_sent.store(true, Ordering::SeqCst);
            // What follows belongs to the next request; the end means that the client
            // does not wait for the response.
            while requests.fill().await? > 0 {}
            Ok::<(), Error>(())
        };
        // The server may have answered although it took no more, or may still do so.
        let _ = sent.await;
        let _ = to.shutdown().await;
        pending::<()>().await;
    };
    let response = async {
        loop {
            let answer = from.head().await?.ok_or(ErrorKind::UnexpectedEof)?;
            answers.write_all(&answer.bytes).await?;
            if answer.is_interim() {
                continue;
            }
            let body = answer.response_body(head).ok_or(ErrorKind::InvalidData)?;
            from.copy_body(answers, body).await?;
            return Ok::<_, Error>((answer, body));
        }
    };
    let (answer, body) = tokio::select! {
        response = response => response?,
        () = request => return Err(ErrorKind::UnexpectedEof.into()),
    };
    let is_sent = is_sent.load(Ordering::SeqCst);
    Ok(if matches!(body, Body::UntilClose) || !is_sent {
        Then::Neither
    } else if answer.closes() || head.closes() {
        // As with a server alone, so that clients learn that it stops.
        Then::Neither
    } else if server.from.buffer.is_empty() {
        Then::Both
    } else {
        Then::Client
    })
}

async fn connect(address: Option<SocketAddr>) -> Result<Connection> {
    let address = address.ok_or(ErrorKind::NotConnected)?;
    let stream = TcpStream::connect(address).await?;
    Ok(Connection::new(stream))
}

/// Forwards all bytes in both directions.
async fn tunnel(mut client: Connection, mut server: Connection) -> Result<()> {
    server.to.write_all(&client.from.buffer).await?;
    let request = async {
        let copied = copy(&mut client.from.half, &mut server.to).await;
        server.to.shutdown().await?;
        copied
    };
    let response = async {
        let copied = copy(&mut server.from.half, &mut client.to).await;
        client.to.shutdown().await?;
        copied
    };
    tokio::try_join!(request, response)?;
    Ok(())
}

/// A connection with a client or a server.
struct Connection {
    from: Incoming,
    to: OwnedWriteHalf,
}

impl Connection {
    fn new(stream: TcpStream) -> Self {
        let _ = stream.set_nodelay(true);
        let (half, to) = stream.into_split();
        let buffer = Vec::new();
        let from = Incoming { half, buffer };
        Self { from, to }
    }

    /// Whether the server has kept it open.
    fn is_open(&self) -> bool {
        let read = self.from.half.try_read(&mut [0]);
        read.is_err_and(|error| error.kind() == ErrorKind::WouldBlock)
    }

    /// Closes it so that the client gets the response also if it is still sending.
    async fn drain(mut self) -> Result<()> {
        self.to.shutdown().await?;
        let rest = async { while self.from.discard().await.is_ok_and(|read| read > 0) {} };
        let _ = timeout(DRAIN, rest).await;
        Ok(())
    }
}

/// What a client or server sends.
pub(super) struct Incoming {
    half: OwnedReadHalf,
    buffer: Vec<u8>,
}

impl Incoming {
    /// Reads more; returns how much.
    async fn fill(&mut self) -> Result<usize> {
        self.half.read_buf(&mut self.buffer).await
    }

    async fn discard(&mut self) -> Result<usize> {
        self.buffer.clear();
        self.fill().await
    }

    /// The next head; `None` when what comes is none.
    async fn head(&mut self) -> Result<Option<Head>> {
        loop {
            if let Some(length) = Head::length(&self.buffer) {
                let bytes = self.buffer.drain(..length).collect();
                return Ok(Some(Head { bytes }));
            }
            if !Head::may_begin(&self.buffer) || self.fill().await? == 0 {
                return Ok(None);
            }
        }
    }

    fn put_back(&mut self, head: &Head) {
        self.buffer.splice(..0, head.bytes.iter().copied());
    }

    async fn copy_body(&mut self, to: &mut OwnedWriteHalf, body: Body) -> Result<()> {
        match body {
            Body::Length(length) => self.copy_bytes(to, length).await,
            Body::Chunked => self.copy_chunks(to).await,
            Body::UntilClose => loop {
                to.write_all(&self.buffer).await?;
                if self.discard().await? == 0 {
                    return Ok(());
                }
            },
        }
    }

    async fn copy_bytes(&mut self, to: &mut OwnedWriteHalf, mut left: usize) -> Result<()> {
        while left > 0 {
            if self.buffer.is_empty() && self.fill().await? == 0 {
                return Err(ErrorKind::UnexpectedEof.into());
            }
            let length = left.min(self.buffer.len());
            to.write_all(&self.buffer[..length]).await?;
            self.buffer.drain(..length);
            left -= length;
        }
        Ok(())
    }

    async fn copy_chunks(&mut self, to: &mut OwnedWriteHalf) -> Result<()> {
        loop {
            let line = self.copy_line(to).await?;
            let size = line.split(';').next().unwrap_or_default().trim();
            let size = usize::from_str_radix(size, 16)
                .map_err(|_no_number| Error::from(ErrorKind::InvalidData))?;
            if size == 0 {
                break;
            }
            self.copy_bytes(to, size + 2).await?;
        }
        while !self.copy_line(to).await?.is_empty() {}
        Ok(())
    }

    /// Forwards a line; returns it without its end.
    async fn copy_line(&mut self, to: &mut OwnedWriteHalf) -> Result<String> {
        loop {
            if let Some(end) = self.buffer.windows(2).position(|two| two == b"\r\n") {
                let line = String::from_utf8_lossy(&self.buffer[..end]).into_owned();
                self.copy_bytes(to, end + 2).await?;
                return Ok(line);
            }
            if self.fill().await? == 0 {
                return Err(ErrorKind::UnexpectedEof.into());
            }
        }
    }
}
