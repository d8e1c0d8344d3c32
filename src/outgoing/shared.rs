//! A connection that awc uses, and that can be had back afterwards: awc drops one whose
//! response ends with the stream.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use actix_rt::net::{ActixStream, Ready};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::stream::Stream;

/// A handle of a connection. The connection is closed with its last handle.
#[derive(Debug, Clone)]
pub(super) struct Shared {
    // A mutex only because the client for homeservers is made on another thread.
    stream: Arc<Mutex<Stream>>,
    /// Whether awc may close it.
    closes: bool,
}

impl Shared {
    /// A connection for one request (`closes`), or perhaps for more.
    pub(super) fn new(stream: Stream, closes: bool) -> Self {
        Self {
            stream: Arc::new(Mutex::new(stream)),
            closes,
        }
    }

    /// Whether it is closed after one request.
    pub(super) fn closes(&self) -> bool {
        self.closes
    }

    /// Uses the connection. Nobody ever waits for another.
    pub(super) fn with<T>(&self, work: impl FnOnce(&mut Stream) -> T) -> T {
        let stream = self.stream.lock();
        work(&mut stream.unwrap_or_else(PoisonError::into_inner))
    }
}

impl ActixStream for Shared {
    fn poll_read_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<Ready>> {
        self.with(|stream| stream.poll_read_ready(cx))
    }

    fn poll_write_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<Ready>> {
        self.with(|stream| stream.poll_write_ready(cx))
    }
}

impl AsyncRead for Shared {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.with(|stream| Pin::new(stream).poll_read(cx, buffer))
    }
}

impl AsyncWrite for Shared {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.with(|stream| Pin::new(stream).poll_write(cx, bytes))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.with(|stream| Pin::new(stream).poll_flush(cx))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.closes {
            self.with(|stream| Pin::new(stream).poll_shutdown(cx))
        } else {
            Poll::Ready(Ok(()))
        }
    }
}
