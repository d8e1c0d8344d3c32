//! Lines and replies on one connection, which TLS may encrypt.

use std::io;
use std::pin::pin;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncWrite, AsyncWriteExt, BufReader};
use tokio_rustls::TlsAcceptor;

pub trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

pub struct Connection {
    stream: BufReader<Box<dyn Stream>>,
}

impl Connection {
    pub fn new(stream: impl Stream + 'static) -> Self {
        let stream: Box<dyn Stream> = Box::new(stream);
        Self {
            stream: BufReader::new(stream),
        }
    }

    /// Continues this connection with TLS.
    pub async fn encrypt(self, acceptor: &TlsAcceptor) -> io::Result<Self> {
        let tls = acceptor.accept(self.stream.into_inner()).await?;
        Ok(Self::new(tls))
    }

    /// The next line with its line feed, or `None` if the client hung up.
    pub async fn line(&mut self) -> io::Result<Option<Vec<u8>>> {
        let mut line = Vec::new();
        self.stream.read_until(b'\n', &mut line).await?;
        Ok(line.ends_with(b"\n").then_some(line))
    }

    /// Sends a reply of one or more lines.
    pub async fn reply(&mut self, reply: &str) -> io::Result<()> {
        let bytes = format!("{reply}\r\n").into_bytes();
        self.stream.write_all(&bytes).await?;
        self.stream.flush().await
    }

    /// Whether the client sent more than the line that was read last.
    pub fn has_more(&self) -> bool {
        !self.stream.buffer().is_empty()
    }

    /// Waits. Returns early, with `false`, if the client hangs up.
    pub async fn wait(&mut self, delay: Duration) -> bool {
        if delay.is_zero() {
            return true;
        }
        let mut end = pin!(tokio::time::sleep(delay));
        tokio::select! {
            () = &mut end => return true,
            more = self.stream.fill_buf() => {
                if more.is_ok_and(|bytes| !bytes.is_empty()) {
                    end.await;
                    return true;
                }
            }
        }
        false
    }

    pub async fn close(&mut self) -> io::Result<()> {
        self.stream.shutdown().await
    }
}
