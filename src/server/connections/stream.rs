//! A connection with deadlines.
//!
//! actix-http has a timer for the head of the first request only, none for a response
//! that its client does not read, and decodes a head from its start whenever a byte of
//! it arrives. This stream is what it reads and writes instead of the socket; when a
//! deadline is over, the next read or write fails, and actix-http drops the connection.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use actix_rt::net::{ActixStream, Ready};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep_until};

use super::table::Admission;
use crate::http::{Connection, Phase};

/// How long a client may take.
#[derive(Debug, Clone, Copy)]
pub(super) struct Deadlines {
    /// For the head of a request, and for taking a response.
    pub(super) request: Duration,
    /// Until the next request begins.
    pub(super) keep_alive: Duration,
}

/// A response to a head that is not complete in time, without a body, as actix-http
/// sends it.
const TOO_SLOW: &[u8] =
    b"HTTP/1.1 408 Request Timeout\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";

/// So many bytes of requests are read before other connections have a turn: a client
/// that sends requests one after another would otherwise take the thread for itself,
/// and fill the memory with responses that it does not read.
const READ_AT_ONCE: usize = 2 * 1024;

/// The same of a body.
const READ_OF_BODY_AT_ONCE: usize = 16 * 1024;

/// A client may take so many bytes of a response a second, at least.
const MIN_RATE: u64 = 8 * 1024;

/// A head may have so many bytes: several times what browsers and proxies send.
const MAX_HEAD: usize = 64 * 1024;

/// actix-http decodes a head from its start whenever a piece of it arrives. So many bytes
/// of it may be decoded: one in very small pieces would take quadratic time.
const MAX_DECODED: usize = 2 * 1024 * 1024;

/// After the response to a head that is too long, so many bytes of it are discarded, so
/// that a client that sends first and reads later gets the response.
const MAX_DISCARDED: usize = 1024 * 1024;

/// The response to a head that is too long.
const TOO_LONG: &[u8] = b"HTTP/1.1 431 Request Header Fields Too Large\r\n\
    content-type: application/json\r\naccess-control-allow-origin: *\r\ncontent-length: 108\r\n\
    connection: close\r\n\r\n\
    {\"errcode\":\"M_TOO_LARGE\",\"error\":\"The request line and the headers must not be longer than \
    64 KiB together\"}";

/// An accepted connection, with its deadlines. Dropping it makes room for another one.
pub(super) struct Guarded<T> {
    stream: T,
    peer: Option<SocketAddr>,
    admission: Admission,
    deadlines: Deadlines,
    /// Whether the stream carries HTTP, and not TLS.
    is_plain: bool,
    sleep: Option<Pin<Box<Sleep>>>,
    /// Since when the client takes no more bytes.
    write_blocked_since: Option<Instant>,
    /// The bytes that it has taken since then.
    written_since: u64,
    /// Who waits to read until the client takes more bytes.
    reader: Option<Waker>,
    /// Bytes that were read since the stream had none.
    read_at_once: usize,
    /// Bytes of the head that is being read.
    head: usize,
    /// Bytes that were decoded for it, again and again.
    decoded: usize,
    /// Bytes that were discarded since a head was refused.
    discarded: Option<usize>,
    /// Whether the client has sent anything.
    has_sent: bool,
    /// When the phase began in which the head was counted.
    counted_since: std::time::Instant,
}

impl<T> Guarded<T> {
    pub(super) fn new(
        stream: T,
        peer: Option<SocketAddr>,
        admission: Admission,
        deadlines: Deadlines,
        is_plain: bool,
    ) -> Self {
        let (_, counted_since) = admission.connection().phase();
        Self {
            stream,
            peer,
            admission,
            deadlines,
            is_plain,
            sleep: None,
            write_blocked_since: None,
            written_since: 0,
            reader: None,
            read_at_once: 0,
            head: 0,
            decoded: 0,
            discarded: None,
            has_sent: false,
            counted_since,
        }
    }

    /// The other end of the connection.
    pub(super) fn peer(&self) -> Option<SocketAddr> {
        self.peer
    }

    /// The state that the requests of this connection share.
    pub(super) fn connection(&self) -> &Connection {
        self.admission.connection()
    }
}

impl<T: AsyncRead + AsyncWrite + Unpin> Guarded<T> {
    fn deadline(&self) -> Option<Instant> {
        if let Some(since) = self.write_blocked_since {
            let seconds = self.written_since / MIN_RATE;
            return Some(since + self.deadlines.request + Duration::from_secs(seconds));
        }
        let (phase, since) = self.connection().phase();
        let after = match phase {
            Phase::FirstHead | Phase::Head => self.deadlines.request,
            Phase::Idle => self.deadlines.keep_alive,
            // Handlers and the bodies that they read have timeouts of their own.
            Phase::Queued | Phase::Working | Phase::Body => return None,
        };
        Some(Instant::from_std(since) + after)
    }

    /// Fails when a deadline is over. Otherwise `context` is woken when it is. The
    /// timer is set again only for an earlier time: it may go off too early.
    fn check(&mut self, context: &mut Context<'_>) -> io::Result<()> {
        if self.connection().is_closing(context) {
            return Err(io::ErrorKind::ConnectionAborted.into());
        }
        loop {
            let Some(deadline) = self.deadline() else {
                return Ok(());
            };
            if Instant::now() >= deadline {
                self.refuse(context, TOO_SLOW);
                return Err(io::ErrorKind::TimedOut.into());
            }
            let sleep = self
                .sleep
                .get_or_insert_with(|| Box::pin(sleep_until(deadline)));
            if deadline < sleep.deadline() || sleep.is_elapsed() {
                sleep.as_mut().reset(deadline);
            }
            if sleep.as_mut().poll(context).is_pending() {
                return Ok(());
            }
        }
    }

    /// Says why the connection is closed to a client that has sent a part of a head.
    /// Nothing else is being written then.
    fn refuse(&mut self, context: &mut Context<'_>, reason: &[u8]) {
        let (phase, _) = self.connection().phase();
        let is_head = match phase {
            Phase::FirstHead => self.has_sent,
            Phase::Head => true,
            Phase::Idle | Phase::Queued | Phase::Working | Phase::Body => false,
        };
        let is_free = self.write_blocked_since.is_none() && self.discarded.is_none();
        if is_head && self.is_plain && is_free {
            let mut stream = Pin::new(&mut self.stream);
            let _ = stream.as_mut().poll_write(context, reason);
            let _ = stream.poll_shutdown(context);
        }
    }

    /// Counts what was read. Returns whether it is no head that is too long or comes in
    /// too small pieces.
    fn received(&mut self, length: usize) -> bool {
        self.connection().received();
        let (phase, since) = self.connection().phase();
        if since != self.counted_since {
            self.counted_since = since;
            self.head = 0;
            self.decoded = 0;
        }
        self.has_sent = true;
        self.read_at_once = self.read_at_once.saturating_add(length);
        if !matches!(phase, Phase::FirstHead | Phase::Head) {
            return true;
        }
        // What was there before this piece was no complete head.
        if self.head >= MAX_HEAD || self.decoded >= MAX_DECODED {
            return false;
        }
        self.head = self.head.saturating_add(length);
        self.decoded = self.decoded.saturating_add(self.head);
        true
    }

    /// Discards what is still sent of a head that was refused (RFC 9112, section 9.6).
    fn discard(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut bytes = [0; 4096];
        loop {
            let mut buffer = ReadBuf::new(&mut bytes);
            ready!(Pin::new(&mut self.stream).poll_read(context, &mut buffer))?;
            let length = buffer.filled().len();
            let discarded = self.discarded.unwrap_or_default().saturating_add(length);
            self.discarded = Some(discarded);
            if length == 0 || discarded > MAX_DISCARDED {
                return Poll::Ready(Err(io::ErrorKind::InvalidData.into()));
            }
        }
    }

    /// Whether more may be read now; otherwise `context` is woken when it may.
    fn may_read(&mut self, context: &Context<'_>) -> bool {
        if self.write_blocked_since.is_some() {
            self.reader = Some(context.waker().clone());
            return false;
        }
        let limit = match self.connection().phase().0 {
            // The check before this has registered who is woken then.
            Phase::Queued => return false,
            Phase::Body => READ_OF_BODY_AT_ONCE,
            _ => READ_AT_ONCE,
        };
        if self.read_at_once >= limit {
            self.read_at_once = 0;
            context.waker().wake_by_ref();
            return false;
        }
        true
    }

    fn write_made_progress(&mut self) {
        self.write_blocked_since = None;
        self.written_since = 0;
        if let Some(reader) = self.reader.take() {
            reader.wake();
        }
    }
}

impl<T: AsyncRead + AsyncWrite + Unpin> AsyncRead for Guarded<T> {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        this.check(context)?;
        if this.discarded.is_some() {
            return this.discard(context);
        }
        if !this.may_read(context) {
            return Poll::Pending;
        }
        let before = buffer.filled().len();
        match Pin::new(&mut this.stream).poll_read(context, buffer) {
            Poll::Ready(Ok(())) => {
                let length = buffer.filled().len().saturating_sub(before);
                if length > 0 {
                    if !this.received(length) {
                        buffer.set_filled(before);
                        this.refuse(context, TOO_LONG);
                        this.discarded = Some(0);
                        return this.discard(context);
                    }
                    // For the deadline that the first byte of a head begins.
                    this.check(context)?;
                }
                Poll::Ready(Ok(()))
            }
            Poll::Pending => {
                this.read_at_once = 0;
                Poll::Pending
            }
            failed @ Poll::Ready(Err(_)) => failed,
        }
    }
}

impl<T: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Guarded<T> {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = Pin::new(&mut this.stream).poll_write(context, bytes);
        if written.is_pending() {
            this.write_blocked_since.get_or_insert_with(Instant::now);
            this.check(context)?;
        } else if let Poll::Ready(Ok(length)) = written
            && this.write_blocked_since.is_some()
        {
            let length = u64::try_from(length).unwrap_or(u64::MAX);
            this.written_since = this.written_since.saturating_add(length);
        }
        written
    }

    /// actix-http calls it when all bytes of a response are written.
    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let flushed = Pin::new(&mut this.stream).poll_flush(context);
        if flushed.is_ready() {
            if this.write_blocked_since.is_some() {
                this.connection().sent();
            }
            this.write_made_progress();
        }
        this.check(context)?;
        flushed
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        this.check(context)?;
        Pin::new(&mut this.stream).poll_shutdown(context)
    }
}

impl<T: ActixStream> ActixStream for Guarded<T> {
    fn poll_read_ready(&self, context: &mut Context<'_>) -> Poll<io::Result<Ready>> {
        self.stream.poll_read_ready(context)
    }

    fn poll_write_ready(&self, context: &mut Context<'_>) -> Poll<io::Result<Ready>> {
        self.stream.poll_write_ready(context)
    }
}
