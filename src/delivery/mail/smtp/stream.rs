//! The stream that lettre reads replies from.
//!
//! lettre 0.11.23, the newest version, wants replies that real relays do not send: a
//! blank after the code of the last line, UTF-8, second digits from 0 to 5, lines of at
//! most 1000 bytes, and the same code on every line. Anything else ends the connection
//! with an error, also after a relay has accepted a message, which is then sent again.
//! There is no option for it (`transport::smtp::response::parse_response`; worth a
//! report at <https://github.com/lettre/lettre/issues>).
//!
//! So replies are parsed here, by [`super::reply`]. lettre gets a reply of the same
//! class in the one form that it knows, and the caller takes the real one from
//! [`Replies`]. lettre's own greeting and EHLO are answered here too, since
//! [`super::hello`] has done that part.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};

use lettre::transport::smtp::client::AsyncTokioStream;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::reply::{Malformed, Reply, ReplyReader};

/// A connection to the relay, encrypted or not.
pub(super) trait Stream: AsyncRead + AsyncWrite + Send + Sync + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Sync + Unpin> Stream for T {}

/// Where the real reply to the last command is found.
#[derive(Clone, Default)]
pub(super) struct Replies(Arc<Mutex<Option<Result<Reply, Malformed>>>>);

impl Replies {
    pub(super) fn take(&self) -> Option<Result<Reply, Malformed>> {
        self.lock().take()
    }

    fn put(&self, reply: Result<Reply, Malformed>) {
        *self.lock() = Some(reply);
    }

    fn lock(&self) -> MutexGuard<'_, Option<Result<Reply, Malformed>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Adapts a connection for lettre.
pub(super) struct ReplyStream {
    stream: Box<dyn Stream>,
    peer: SocketAddr,
    reader: ReplyReader,
    replies: Replies,
    /// What lettre reads next.
    for_lettre: &'static [u8],
    /// lettre's EHLO is not sent: it is answered already.
    is_handover: bool,
}

impl ReplyStream {
    /// Of a connection after EHLO or HELO.
    pub(super) fn new(
        stream: Box<dyn Stream>,
        peer: SocketAddr,
        reader: ReplyReader,
        replies: Replies,
    ) -> Self {
        Self {
            stream,
            peer,
            reader,
            replies,
            // A greeting, and the reply to EHLO, of which lettre wants a first word.
            for_lettre: b"220 .\r\n250 .\r\n",
            is_handover: true,
        }
    }

    fn accept(&mut self, reply: Reply) {
        self.for_lettre = reply.for_lettre();
        self.replies.put(Ok(reply));
    }
}

impl fmt::Debug for ReplyStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReplyStream").finish_non_exhaustive()
    }
}

impl AsyncTokioStream for ReplyStream {
    fn peer_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.peer)
    }
}

impl AsyncRead for ReplyStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        while self.for_lettre.is_empty() {
            match self.reader.next_reply() {
                Ok(Some(reply)) => {
                    self.accept(reply);
                    break;
                }
                Ok(None) => {}
                Err(malformed) => {
                    self.replies.put(Err(malformed));
                    return Poll::Ready(Err(io::ErrorKind::InvalidData.into()));
                }
            }
            let mut space = [0; 4096];
            let mut received = ReadBuf::new(&mut space);
            ready!(Pin::new(&mut self.stream).poll_read(cx, &mut received))?;
            if received.filled().is_empty() {
                match self.reader.finish() {
                    Some(reply) => self.accept(reply),
                    None => return Poll::Ready(Ok(())),
                }
            }
            self.reader.push(received.filled());
        }
        let fitting = self.for_lettre.len().min(buf.remaining());
        let (now, later) = self.for_lettre.split_at(fitting);
        buf.put_slice(now);
        self.for_lettre = later;
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for ReplyStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        if self.is_handover {
            let line_end = buf.iter().position(|&byte| byte == b'\n');
            self.is_handover = line_end.is_none();
            return Poll::Ready(Ok(line_end.map_or(buf.len(), |at| at + 1)));
        }
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
